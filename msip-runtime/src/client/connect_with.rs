//! The trait by which a client calls its handler.

use std::future::Future;

use super::{Client, Reconnect};
use crate::{Answered, ConnectError, DisconnectReason, Protocol, Status, Streaming, VariantLabel};

/// A protocol whose server-to-client messages `H` handles; generated code implements it for every
/// `H: HandleServerToClient`.
pub trait ConnectWith<H>: Protocol {
    /// Calls the handler method of a message.
    fn dispatch(
        handler: &H,
        client: &Client<Self>,
        message: Self::ServerToClient,
    ) -> impl Future<Output = Result<Answered<Self::ClientToServer>, Status>> + Send;

    /// Tells the handler that a STATE was cleared, of which `state` has the key. The default, for protocols without any, does
    /// nothing.
    fn cleared(
        handler: &H,
        client: &Client<Self>,
        state: Self::ServerToClient,
    ) -> impl Future<Output = ()> + Send {
        let _ = (handler, client, state);
        std::future::ready(())
    }

    /// Calls the handler method of a variant whose request is a stream. The default, for protocols without any, refuses
    /// it.
    fn dispatch_stream(
        handler: &H,
        client: &Client<Self>,
        variant: u16,
        requests: Streaming<Self::ServerToClient>,
    ) -> impl Future<Output = Result<Answered<Self::ClientToServer>, Status>> + Send {
        let _ = (handler, client, requests);
        std::future::ready(Err(Status::unimplemented_variant(VariantLabel::of::<
            Self::ServerToClient,
        >(variant))))
    }

    /// The client has connected, or reconnected: logs in.
    fn connected(
        handler: &H,
        client: &Client<Self>,
    ) -> impl Future<Output = Result<(), Status>> + Send;

    /// The client's connection has ended.
    fn disconnected(
        handler: &H,
        client: &Client<Self>,
        reason: DisconnectReason,
    ) -> impl Future<Output = ()> + Send;

    /// The server has closed the session with this status; returns whether and when to begin another.
    fn closed_by_server(handler: &H, status: &Status) -> impl Future<Output = Reconnect> + Send;

    /// An attempt to connect has failed; returns whether and when to try again.
    fn connect_failure(
        handler: &H,
        error: &ConnectError,
        attempt: u32,
    ) -> impl Future<Output = Reconnect> + Send;
}
