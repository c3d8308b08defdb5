//! How a client's handler is called.

use std::future::Future;

use super::{Client, Reconnect};
use crate::{Answered, ConnectError, DisconnectReason, Protocol, Status, Streaming};

/// A protocol whose server's messages `H` handles; implemented by generated code for every
/// `H: HandleServerToClient`.
pub trait ConnectWith<H>: Protocol {
    /// Hands a message to its handler method.
    fn dispatch(
        handler: &H,
        client: &Client<Self>,
        message: Self::ServerToClient,
    ) -> impl Future<Output = Result<Answered<Self::ClientToServer>, Status>> + Send;

    /// Hands a stream of requests to the handler method of this variant. Protocols without any need no other than
    /// this, which refuses.
    fn dispatch_stream(
        handler: &H,
        client: &Client<Self>,
        variant: u16,
        requests: Streaming<Self::ServerToClient>,
    ) -> impl Future<Output = Result<Answered<Self::ClientToServer>, Status>> + Send {
        let _ = (handler, client, requests);
        std::future::ready(Err(Status::unimplemented_variant(variant)))
    }

    /// The client has connected, or connected again.
    fn connected(handler: &H, client: &Client<Self>) -> impl Future<Output = ()> + Send;

    /// The client's connection has ended.
    fn disconnected(
        handler: &H,
        client: &Client<Self>,
        reason: DisconnectReason,
    ) -> impl Future<Output = ()> + Send;

    /// An attempt to connect has failed: what next?
    fn connect_failure(
        handler: &H,
        error: &ConnectError,
        attempt: u32,
    ) -> impl Future<Output = Reconnect> + Send;
}
