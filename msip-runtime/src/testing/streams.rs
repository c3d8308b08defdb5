//! Streams from iterators.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use crate::{CallError, Stream, Streaming};

/// A stream of the items of an iterator, always ready: for methods that send a stream.
///
/// ```
/// let parts = msip_runtime::testing::stream_of(["one", "two"]);
/// # let _ = parts;
/// ```
pub fn stream_of<T>(
    items: impl IntoIterator<Item = T, IntoIter: Send + 'static>,
) -> impl Stream<Item = T> + Send + Unpin + 'static {
    StreamOf(items.into_iter())
}

/// The iterator behind a stream. It is never pinned.
struct StreamOf<I>(I);

impl<I> Unpin for StreamOf<I> {}

impl<I: Iterator> Stream for StreamOf<I> {
    type Item = I::Item;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.get_mut().0.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

/// A [`Streaming`] of the items of `items`, as handlers and callers receive it. As always, an error is its last item.
///
/// ```
/// use msip_runtime::{CallError, testing::{stream_of, streaming}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut parts = streaming(stream_of([Ok(1), Err(CallError::ConnectionLost), Ok(2)]));
/// assert_eq!(parts.next().await, Some(Ok(1)));
/// assert_eq!(parts.next().await, Some(Err(CallError::ConnectionLost)));
/// assert_eq!(parts.next().await, None);
/// # }
/// ```
pub fn streaming<T: 'static>(
    items: impl Stream<Item = Result<T, CallError>> + Send + 'static,
) -> Streaming<T> {
    Streaming::local(items)
}
