//! The requests of a call whose request is a stream.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use msip_runtime::{
    Stream,
    untyped::{Requests, UntypedMessage},
};

/// The requests up to where they break off. There it waits for the end of the call, which follows: a stream that broke off must
/// not look like one that is complete.
#[derive(Debug)]
pub(super) struct Unbroken(pub(super) Requests);

impl Stream for Unbroken {
    type Item = UntypedMessage;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<UntypedMessage>> {
        match ready!(Pin::new(&mut self.0).poll_next(task)) {
            Some(Ok(message)) => Poll::Ready(Some(message)),
            Some(Err(_)) => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}
