//! The request of a call, as its handler is given it.

use std::sync::Arc;

use super::Dispatch;
use crate::{Answered, Status, Streaming};

/// What a handler of a call is given.
pub(super) enum Request<In> {
    Message(In),
    Stream(Streaming<In>),
}

/// The handler of a call, which owns all that it needs, so that it can go on in a task.
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
