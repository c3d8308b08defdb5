//! What waits to be written to a client.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Sink as _;
use tokio_tungstenite::tungstenite::{Utf8Bytes, protocol::Message};

use super::{
    ending::Ending,
    socket::{Socket, write_failed},
};
use crate::router::SessionHandle;

#[derive(Default)]
pub(super) struct Writer {
    /// What the socket is given next.
    pub(super) texts: Vec<Utf8Bytes>,
    /// Whether what it was given is not all written.
    pub(super) is_writing: bool,
    /// Since when the client takes nothing.
    pub(super) blocked_since: Option<Duration>,
    /// How much was written when that was looked at last.
    written: u64,
}

impl Writer {
    /// Gives the socket the texts. Returns whether there were any.
    pub(super) fn start(&mut self, socket: &mut Socket) -> Result<bool, Ending> {
        let has_texts = !self.texts.is_empty();
        for text in self.texts.drain(..) {
            let sent = Pin::new(&mut *socket).start_send(Message::Text(text));
            sent.map_err(write_failed)?;
            self.is_writing = true;
        }
        Ok(has_texts)
    }

    /// Writes what the socket was given. Returns whether all of it is written.
    pub(super) fn flush(
        &mut self,
        socket: &mut Socket,
        session: &SessionHandle,
        now: Duration,
        task: &mut Context<'_>,
    ) -> Result<bool, Ending> {
        if !self.is_writing {
            return Ok(false);
        }
        let polled = Pin::new(&mut *socket).poll_flush(task);
        let written = socket.get_ref().written;
        let len = written.saturating_sub(std::mem::replace(&mut self.written, written));
        match polled {
            Poll::Ready(flushed) => {
                flushed.map_err(write_failed)?;
                self.is_writing = false;
                self.blocked_since = None;
                Ok(true)
            }
            Poll::Pending => {
                if len > 0 {
                    self.blocked_since = None;
                    session.wrote(usize::try_from(len).unwrap_or(usize::MAX), now);
                }
                self.blocked_since.get_or_insert(now);
                Ok(false)
            }
        }
    }
}
