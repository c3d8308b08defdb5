//! One poll of a send.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use crate::SendError;

/// Sends now, or not at all: what the `try_` methods of a send trait do where nothing better is known, as in a mock.
///
/// # Errors
///
/// [`SendError::Full`] where the send would have to wait, else what it says.
pub fn send_now(send: impl Future<Output = Result<(), SendError>>) -> Result<(), SendError> {
    match pin!(send).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(SendError::Full),
    }
}
