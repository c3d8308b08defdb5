//! The trait by which a server calls its handler.

use std::future::Future;

use crate::{Answered, DisconnectReason, Peer, Protocol, Status, Streaming, VariantLabel};

/// A protocol whose client-to-server messages `H` handles; generated code implements it for every
/// `H: HandleClientToServer`.
pub trait ServeWith<H>: Protocol {
    /// Calls the handler method of a message.
    fn dispatch(
        handler: &H,
        peer: &Peer<Self>,
        message: Self::ClientToServer,
    ) -> impl Future<Output = Result<Answered<Self::ServerToClient>, Status>> + Send;

    /// Tells the handler that a STATE was cleared, of which `state` has the key. The default, for protocols without any, does
    /// nothing.
    fn cleared(
        handler: &H,
        peer: &Peer<Self>,
        state: Self::ClientToServer,
    ) -> impl Future<Output = ()> + Send {
        let _ = (handler, peer, state);
        std::future::ready(())
    }

    /// Calls the handler method of a variant whose request is a stream. The default, for protocols without any, refuses
    /// it.
    fn dispatch_stream(
        handler: &H,
        peer: &Peer<Self>,
        variant: u16,
        requests: Streaming<Self::ClientToServer>,
    ) -> impl Future<Output = Result<Answered<Self::ServerToClient>, Status>> + Send {
        let _ = (handler, peer, requests);
        std::future::ready(Err(Status::unimplemented_variant(VariantLabel::of::<
            Self::ClientToServer,
        >(variant))))
    }

    /// A client has connected.
    fn connected(handler: &H, peer: &Peer<Self>) -> impl Future<Output = ()> + Send;

    /// A client's connection has ended.
    fn disconnected(
        handler: &H,
        peer: &Peer<Self>,
        reason: DisconnectReason,
    ) -> impl Future<Output = ()> + Send;

    /// A client's session has ended for good.
    fn gone(handler: &H, peer: &Peer<Self>) -> impl Future<Output = ()> + Send;
}
