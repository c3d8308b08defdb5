//! Sending from a client.

use std::{future::Future, sync::Arc};

use super::{Client, topic::ClientTopic};
use crate::{
    CallOptions, OutboundPush, Protocol, SendError, Sender,
    connection::ConnectionShared,
    middleware::Stack,
    options::NO_OPTIONS,
    outbound::{SendHandle, impl_outbound},
    sender::impl_push,
    with::With,
};
use msip_session::wire::Topic;

impl<P: Protocol> SendHandle for Client<P> {
    fn shared(&self) -> &Arc<ConnectionShared> {
        Client::shared(self)
    }

    #[inline]
    fn options(&self) -> &CallOptions {
        self.login.as_deref().unwrap_or(&NO_OPTIONS)
    }

    #[inline]
    fn topic(&self) -> Option<&Topic> {
        self.shared.topic.as_ref().map(ClientTopic::services)
    }

    fn outgoing(&self) -> &Stack {
        &self.shared.outgoing
    }
}

impl_outbound! {
    Client<P>: ClientToServer -> ServerToClient;
    With<'_, Client<P>>: ClientToServer -> ServerToClient;
}
impl_push!(Client<P>: ClientToServer -> ServerToClient);
