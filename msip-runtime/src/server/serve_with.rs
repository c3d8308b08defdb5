//! How a server's handler is called.

use std::future::Future;

use crate::{Answered, DisconnectReason, Peer, Protocol, Status, Streaming};

/// A protocol whose clients' messages `H` handles; implemented by generated code for every
/// `H: HandleClientToServer`.
pub trait ServeWith<H>: Protocol {
    /// Hands a message to its handler method.
    fn dispatch(
        handler: &H,
        peer: &Peer<Self>,
        message: Self::ClientToServer,
    ) -> impl Future<Output = Result<Answered<Self::ServerToClient>, Status>> + Send;

    /// Hands a stream of requests to the handler method of this variant. Protocols without any need no other than
    /// this, which refuses.
    fn dispatch_stream(
        handler: &H,
        peer: &Peer<Self>,
        variant: u16,
        requests: Streaming<Self::ClientToServer>,
    ) -> impl Future<Output = Result<Answered<Self::ServerToClient>, Status>> + Send {
        let _ = (handler, peer, requests);
        std::future::ready(Err(Status::unimplemented_variant(variant)))
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
