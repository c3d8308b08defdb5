//! What handlers answer with: nothing, a message, or a stream of them.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use pin_project_lite::pin_project;

use crate::Status;

/// A stream of answers that a handler gives.
pub type ItemStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The result of a handler method, in terms of its envelope; generated code makes it.
#[non_exhaustive]
pub enum Answered<Out> {
    /// There is nothing to answer.
    Nothing,
    /// The answer.
    Message(Out),
    /// The answers, one after the other.
    Stream(ItemStream<Out>),
}

impl<Out: 'static> Answered<Out> {
    /// The answers that `items` yields, each wrapped in its variant.
    pub fn stream<T: 'static>(
        items: impl Stream<Item = Result<T, Status>> + Send + 'static,
        wrap: fn(T) -> Out,
    ) -> Self {
        Self::Stream(Box::pin(Wrapped {
            items,
            wrap: move |item: Result<T, Status>| item.map(wrap),
        }))
    }
}

impl<Out> fmt::Debug for Answered<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Message(_) => "Message(..)",
            Self::Stream(_) => "Stream(..)",
        })
    }
}

/// Wraps each item of a stream in its variant; generated code uses it for streams of requests.
pub fn widen<T: 'static, Out: 'static>(
    items: impl Stream<Item = T> + Send + 'static,
    wrap: fn(T) -> Out,
) -> impl Stream<Item = Out> + Send + 'static {
    Wrapped { items, wrap }
}

pin_project! {
    /// A stream whose items are each passed through a function.
    pub(crate) struct Wrapped<S, F> {
        #[pin]
        pub(crate) items: S,
        pub(crate) wrap: F,
    }
}

impl<S: Stream, F: FnMut(S::Item) -> T, T> Stream for Wrapped<S, F> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.project();
        this.items
            .poll_next(context)
            .map(|item| item.map(this.wrap))
    }
}

/// An empty stream: the type of what a handler answers that has no stream to give.
#[derive(Debug, Clone, Copy)]
pub struct EmptyStream<T>(PhantomData<fn() -> T>);

impl<T> EmptyStream<T> {
    /// The empty stream.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for EmptyStream<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Stream for EmptyStream<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(None)
    }
}
