//! Panics of handlers, which end at the handler.

use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use futures_core::Stream;

use crate::{Status, VariantLabel, log_rate::PANICS, status::HANDLER_PANICKED};

/// Runs a handler, and turns its panic into an error with the panic's text.
pub(crate) async fn caught<F: Future>(handler: F) -> Result<F::Output, String> {
    let mut handler = pin!(handler);
    poll_fn(|task| poll_caught(handler.as_mut(), task)).await
}

pub(crate) fn poll_caught<F: Future>(
    handler: Pin<&mut F>,
    task: &mut Context<'_>,
) -> Poll<Result<F::Output, String>> {
    catching(|| handler.poll(task))
}

/// Polls the answers of a handler, as they come.
pub(super) fn poll_next_caught<S: Stream + ?Sized>(
    answers: Pin<&mut S>,
    task: &mut Context<'_>,
) -> Poll<Result<Option<S::Item>, String>> {
    catching(|| answers.poll_next(task))
}

/// Polls the handler of a one-way message, whose answer is of no interest.
#[inline]
pub(crate) fn poll_told<T>(
    handler: Pin<&mut impl Future<Output = Result<T, Status>>>,
    task: &mut Context<'_>,
) -> Poll<Result<Result<(), Status>, String>> {
    catching(|| handler.poll(task).map(|outcome| outcome.map(|_| ())))
}

#[inline]
fn catching<T>(poll: impl FnOnce() -> Poll<T>) -> Poll<Result<T, String>> {
    // The handler is not touched again after its panic but to be dropped, and what it shares with others is the
    // user's: as in a task that panics.
    match catch_unwind(AssertUnwindSafe(poll)) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic_text(&*panic))),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a text").to_owned()
}

/// Logs the panic of something that a peer has caused to run; so many of these are logged, and no more.
pub(crate) fn log_panic(what: &str, panic: &str) {
    if let Some(unsaid) = PANICS.may_log() {
        tracing::error!(panic, unsaid, "{what} panicked");
    }
}

/// The status that the peer gets for a panic.
pub(crate) fn panicked(variant: VariantLabel, panic: &str) -> Status {
    if let Some(unsaid) = PANICS.may_log() {
        tracing::error!(%variant, panic, unsaid, "a handler panicked");
    }
    Status::internal(HANDLER_PANICKED)
}
