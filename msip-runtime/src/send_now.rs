//! Sending without waiting, for generated code.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use crate::SendError;

/// Polls a send once: the default of the `try_` methods of send traits, as in a mock. For generated code.
///
/// # Errors
///
/// [`SendError::Full`] if the send would have to wait, else its own error.
pub fn send_now(send: impl Future<Output = Result<(), SendError>>) -> Result<(), SendError> {
    match pin!(send).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(SendError::Full),
    }
}
