//! What is put into a channel, as a stream: of reports to an operator, of pieces to the hub.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use msip_runtime::Stream;
use tokio::sync::mpsc::Receiver;

/// The items of a channel. The stream ends when its senders are dropped.
pub(crate) struct Items<T>(pub(crate) Receiver<T>);

impl<T> Stream for Items<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_recv(context)
    }
}
