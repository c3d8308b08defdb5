//! What is read of a client that is welcome: texts, of which the rest comes in time and within the memory for it.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream as _;
use tokio_tungstenite::tungstenite::{Utf8Bytes, protocol::Message};

use super::{
    Inner,
    ending::{Ending, Fault},
    socket::{self, Socket},
};
use crate::connections::Partial;

/// How long the rest of a message may take: this, and as much again for each part that has come.
const MESSAGE_TIME: Duration = Duration::from_secs(30);
const TIME_PER_16_KIB: Duration = Duration::from_secs(1);

/// How many control frames a client may send at once, and then in a second.
const CONTROL_BURST: u32 = 1000;
const CONTROL_PER_SECOND: u64 = 10;

pub(super) struct Reader<'a> {
    peers: &'a Inner,
    partial: Partial<'a>,
    /// Since when a message is under way.
    partial_since: Option<Duration>,
    control_left: u32,
    control_at: Duration,
}

impl<'a> Reader<'a> {
    pub(super) fn new(peers: &'a Inner) -> Self {
        Self {
            peers,
            partial: Partial::new(&peers.partial),
            partial_since: None,
            control_left: CONTROL_BURST,
            control_at: peers.now(),
        }
    }

    /// Reads one message; `None` where that is a control frame.
    pub(super) fn poll_read(
        &mut self,
        socket: &mut Socket,
        now: Duration,
        task: &mut Context<'_>,
    ) -> Poll<Result<Option<Utf8Bytes>, Ending>> {
        let Poll::Ready(next) = Pin::new(&mut *socket).poll_next(task) else {
            self.count_partial(socket.get_ref().unused(), now)?;
            return Poll::Pending;
        };
        let max_message = self.peers.settings.max_message();
        Poll::Ready(match socket::received(next, max_message)? {
            Message::Text(text) => {
                socket::text_read(socket, max_message);
                self.partial_since = None;
                self.partial.set(0, usize::MAX);
                Ok(Some(text))
            }
            Message::Binary(_) => Err(Ending::Fault(Fault::Binary)),
            // The library answers pings.
            _ => self.count_control(now).map(|()| None),
        })
    }

    /// When the rest of the message must have come that is under way.
    pub(super) fn deadline(&self, socket: &Socket) -> Option<Duration> {
        let since = self.partial_since?;
        let parts = socket.get_ref().unused() / (16 * 1024);
        let parts = u32::try_from(parts).unwrap_or(u32::MAX);
        Some(since.saturating_add(MESSAGE_TIME + TIME_PER_16_KIB.saturating_mul(parts)))
    }

    fn count_control(&mut self, now: Duration) -> Result<(), Ending> {
        let seconds = now.saturating_sub(self.control_at).as_secs();
        if seconds > 0 {
            let more = u32::try_from(seconds.saturating_mul(CONTROL_PER_SECOND));
            let more = more.unwrap_or(CONTROL_BURST);
            self.control_left = self.control_left.saturating_add(more).min(CONTROL_BURST);
            self.control_at = now;
        }
        let left = self.control_left.checked_sub(1);
        self.control_left = left.ok_or(Ending::Fault(Fault::Flood))?;
        Ok(())
    }

    /// Counts so many bytes of a message that has not come whole.
    fn count_partial(&mut self, len: usize, now: Duration) -> Result<(), Ending> {
        if len == 0 {
            return Ok(());
        }
        self.partial_since.get_or_insert(now);
        let most = self.peers.settings.max_memory;
        if self.partial.set(len, most) {
            return Ok(());
        }
        tracing::debug!(
            limit = "memory",
            most,
            "refused: messages that are not complete"
        );
        let why = "too much is kept of messages that are not complete: try again later";
        Err(Ending::Refused(why.to_owned()))
    }
}
