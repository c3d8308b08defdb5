//! Incoming streams of raw messages: the answers of a call, and the requests of one.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::UntypedMessage;
use crate::{CallError, Streaming, connection::CallPermit};

/// What comes back from a call: one message whose [`is_answer`](UntypedMessage::is_answer) is true, or the items of a stream and
/// its end.
///
/// Taking an item gives its sender credit for another. Dropping it before its end cancels the call. An error is the last
/// item.
#[derive(Debug)]
#[must_use = "a call whose answer is not taken is cancelled"]
pub struct Responses(pub(super) Streaming<UntypedMessage>);

/// The requests of a call whose request is a stream.
///
/// Taking an item gives its sender credit for another. An error is the last item.
#[derive(Debug)]
pub struct Requests(pub(super) Streaming<UntypedMessage>);

impl Responses {
    /// Keeps what counts the call among those of its caller until the other end has ended the call, which is later than this is
    /// dropped where the call is given up.
    pub fn keep_permit(&self, permit: CallPermit) {
        self.0.keep_permit(permit);
    }
}

macro_rules! stream {
    ($ty:ty) => {
        impl $ty {
            /// The next message; `None` at the end.
            ///
            /// # Errors
            ///
            /// Why the stream broke off; nothing comes after that.
            ///
            /// # Cancel safety
            ///
            /// Dropping the future loses nothing: the next call yields the message.
            pub async fn next(&mut self) -> Option<Result<UntypedMessage, CallError>> {
                self.0.next().await
            }
        }

        impl Stream for $ty {
            type Item = Result<UntypedMessage, CallError>;

            fn poll_next(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<Option<Self::Item>> {
                Pin::new(&mut self.get_mut().0).poll_next(context)
            }
        }
    };
}

stream!(Responses);
stream!(Requests);
