//! One end of a connection that means harm.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use msip_runtime::wire::{Hello, MsgId, Side};
use tokio::net::TcpStream;

use super::RawMessage;
use crate::raw::{self, RawPeer};

/// A raw peer that counts what it sends. Dropping it resets the connection.
#[derive(Debug)]
pub struct Attacker {
    peer: RawPeer,
    side: Side,
    /// The number of its last exchange: that of a client's handshake is the first.
    last: u64,
    sent: Arc<AtomicU64>,
}

impl Attacker {
    pub(super) fn new(stream: TcpStream, side: Side, sent: &Arc<AtomicU64>) -> Self {
        // Otherwise a port is kept for a minute after the end of each. Where it cannot be set, it is.
        let _ = stream.set_zero_linger();
        Self {
            peer: RawPeer::new(stream),
            side,
            last: 1,
            sent: Arc::clone(sent),
        }
    }

    /// Sends bytes, as far as they are taken: it gives up where the other side has closed, or has taken nothing for 200 ms,
    /// and returns how many there were.
    pub async fn send(&mut self, bytes: &[u8]) -> usize {
        let taken = self.peer.say_what_is_taken(bytes).await;
        self.sent
            .fetch_add(u64::try_from(taken).unwrap_or_default(), Ordering::Relaxed);
        taken
    }

    /// Says HELLO, and waits until it is welcome.
    ///
    /// # Panics
    ///
    /// Where it is refused.
    pub async fn greet_with(&mut self, hello: &Hello) {
        let frame = raw::hello_frame(hello);
        self.sent.fetch_add(
            u64::try_from(frame.len()).unwrap_or_default(),
            Ordering::Relaxed,
        );
        self.peer.greet_with(hello).await;
    }

    /// A message of the next exchange, as bytes: its credit is the attacker's business.
    pub fn frame(&mut self, message: &RawMessage) -> Vec<u8> {
        let id = self.next_id();
        message.frame(self.side, id)
    }

    /// The same message in so many exchanges.
    pub fn frames(&mut self, message: &RawMessage, count: usize) -> Vec<u8> {
        (0..count).flat_map(|_| self.frame(message)).collect()
    }

    /// The id of the next exchange.
    pub fn next_id(&mut self) -> MsgId {
        self.last += 1;
        MsgId::exchange(self.side, self.last)
    }
}

impl Deref for Attacker {
    type Target = RawPeer;

    fn deref(&self) -> &RawPeer {
        &self.peer
    }
}

impl DerefMut for Attacker {
    fn deref_mut(&mut self) -> &mut RawPeer {
        &mut self.peer
    }
}
