//! A client's handler, as the dispatcher sees it.

use std::{future::Future, marker::PhantomData, sync::Arc};

use super::{Client, ConnectWith, Login};
use crate::{
    Answered, CloseReason, DisconnectReason, Metadata, Status, Streaming, call::Serving,
    dispatch::Dispatch, middleware::Stack,
};
use msip_session::wire::{Escaped, broker::TopicInd};

/// A client's handler, as the dispatcher sees it.
pub(super) struct ClientSide<P, H> {
    pub(super) handler: Arc<H>,
    pub(super) incoming: Stack,
    pub(super) protocol: PhantomData<fn() -> P>,
}

impl<P, H> Dispatch for ClientSide<P, H>
where
    P: ConnectWith<H>,
    H: Send + Sync + 'static,
{
    type In = P::ServerToClient;
    type Out = P::ClientToServer;
    type Context = Client<P>;

    fn incoming(&self) -> Option<&Stack> {
        self.incoming.installed()
    }

    fn serving(context: &Client<P>, mut serving: Serving) -> Client<P> {
        if serving.metadata.is_some() {
            Self::complete(context, &mut serving);
        }
        context.serving(serving)
    }

    fn complete(_: &Client<P>, serving: &mut Serving) {
        Metadata::forget_nameless(&mut serving.metadata);
    }

    fn topic_speaks(context: &Client<P>, spoken: &TopicInd) {
        if spoken.protocol == P::NAME {
            context.shared.topic_speaks(spoken.fingerprint);
        } else {
            tracing::warn!(
                topic = %Escaped::new(&spoken.topic),
                ours = P::NAME,
                theirs = %Escaped::new(&spoken.protocol),
                "the service that came to the topic speaks another protocol"
            );
        }
    }

    fn subscription_ended(context: &Client<P>, topic: &str, why: Status) {
        let shared = &context.shared;
        let own = shared.topic.as_ref().map(|topic| topic.name().as_str());
        if own == Some(topic) {
            tracing::warn!(
                topic,
                %why,
                "the broker has ended the subscription: its services are not heard any more"
            );
            let text = format!(
                "the broker has ended the subscription to {topic}: {}",
                why.message()
            );
            let status = Status::new(why.code(), text);
            if shared.parent.is_some() {
                shared.end_at_topic(CloseReason::ClosedByPeer(status));
            }
        }
    }

    fn dispatch(
        &self,
        context: &Client<P>,
        message: P::ServerToClient,
    ) -> impl Future<Output = Result<Answered<P::ClientToServer>, Status>> + Send {
        P::dispatch(&self.handler, context, message)
    }

    fn cleared(
        &self,
        context: &Client<P>,
        state: P::ServerToClient,
    ) -> impl Future<Output = ()> + Send {
        P::cleared(&self.handler, context, state)
    }

    fn dispatch_stream(
        &self,
        context: &Client<P>,
        variant: u16,
        requests: Streaming<P::ServerToClient>,
    ) -> impl Future<Output = Result<Answered<P::ClientToServer>, Status>> + Send {
        P::dispatch_stream(&self.handler, context, variant, requests)
    }

    /// The supervisor calls the handler's `on_connected`; what came by the connection is handled once it has returned.
    async fn connected(&self, context: &Client<P>) {
        let shared = &context.shared;
        let of_parent = shared.parent.as_ref().map(|parent| &parent.shared);
        for shared in [Some(shared), of_parent].into_iter().flatten() {
            let mut login = shared.login.subscribe();
            // The sender is in `shared`, which the context holds: it cannot be dropped.
            let _ = login.wait_for(|login| *login == Login::Done).await;
        }
    }

    /// The supervisor calls the handler's `on_disconnected`.
    async fn disconnected(&self, _: &Client<P>, _: DisconnectReason) {}
}
