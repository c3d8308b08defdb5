//! The request of a call, as its handler is given it.

use std::sync::Arc;

use super::Dispatch;
use crate::{Answered, Status, Streaming};

/// What a handler of a call is given.
pub(super) enum Request<In> {
    Message(In),
    Stream(Streaming<In>),
}

/// The handler of a call with one request, which owns all that it needs, so that it can go on in a task. By itself, since
/// most calls are of this kind, and a [`Request`] would be moved once more.
pub(super) async fn handler_of_one<D: Dispatch>(
    side: Arc<D>,
    context: D::Context,
    request: D::In,
) -> Result<Answered<D::Out>, Status> {
    side.dispatch(&context, request).await
}

/// The same, whatever the call asks for.
pub(super) async fn handler<D: Dispatch>(
    side: Arc<D>,
    context: D::Context,
    request: Request<D::In>,
    variant: u16,
) -> Result<Answered<D::Out>, Status> {
    match request {
        Request::Message(message) => side.dispatch(&context, message).await,
        Request::Stream(requests) => side.dispatch_stream(&context, variant, requests).await,
    }
}
