//! Sending from a server to one client.

use std::{future::Future, sync::Arc};

use super::Peer;
use crate::{
    OutboundPush, Protocol, SendError, Sender,
    connection::ConnectionShared,
    middleware::{RemotePeer, Stack},
    outbound::{SendHandle, impl_outbound},
    sender::impl_push,
    with::With,
};
use msip_session::wire::Topic;

impl<P: Protocol> SendHandle for Peer<P> {
    fn shared(&self) -> &Arc<ConnectionShared> {
        Peer::shared(self)
    }

    #[inline]
    fn topic(&self) -> Option<&Topic> {
        self.to()
    }

    #[inline]
    fn check_open(&self) -> Result<(), SendError> {
        match self.to() {
            Some(_) if self.is_gone() => Err(SendError::Closed),
            _ => Ok(()),
        }
    }

    fn outgoing(&self) -> &Stack {
        Peer::outgoing(self)
    }

    fn peer(&self) -> Option<Arc<dyn RemotePeer>> {
        Some(self.remote_peer())
    }
}

impl_outbound! {
    Peer<P>: ServerToClient -> ClientToServer;
    With<'_, Peer<P>>: ServerToClient -> ClientToServer;
}
impl_push!(Peer<P>: ServerToClient -> ClientToServer);
