//! What a datagram holds: a tag, a counter, a frame, and a code that proves the key (docs/protocol.md, "Datagrams over UDP").

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::replay_window::{Arrival, ReplayWindow};

/// The longest datagram in bytes: it fits into one packet on every ordinary path.
pub(super) const MAX_LEN: usize = 1200;

/// The tag and the counter.
const HEAD_LEN: usize = 16;

/// How much is sent of an HMAC.
const MAC_LEN: usize = 16;

/// The longest frame of a datagram in bytes.
pub(super) const MAX_FRAME_LEN: usize = MAX_LEN - HEAD_LEN - MAC_LEN;

/// The key of one direction, ready to be used.
pub(super) type DirectionKey = Hmac<Sha256>;

/// Makes the datagrams of one direction.
pub(super) struct Sealer {
    tag: u64,
    key: DirectionKey,
    /// The counter of the last one.
    counter: u64,
}

/// Checks the datagrams of one direction.
pub(super) struct Opener {
    tag: u64,
    key: DirectionKey,
}

/// A datagram that whoever has the key has made, maybe not only now: its counter says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Authentic<'a> {
    counter: u64,
    frame: &'a [u8],
}

/// Why a datagram is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusedDatagram {
    /// It is too short to be one, or too long.
    Length,
    /// Its tag is that of no connection, or of another one.
    UnknownTag,
    /// It was not made with the key.
    Forged,
    /// It came before, or is too old to tell.
    Repeated,
}

impl RefusedDatagram {
    /// As metrics name it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::UnknownTag => "unknown_tag",
            Self::Forged => "forged",
            Self::Repeated => "repeated",
        }
    }
}

impl Sealer {
    pub(super) fn new(tag: u64, key: DirectionKey) -> Self {
        let counter = 0;
        Self { tag, key, counter }
    }

    /// The next datagram, with this frame, or with none. `None` where the frame is too long, or the counters are used up: none is
    /// used twice.
    pub(super) fn seal(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        if frame.len() > MAX_FRAME_LEN {
            return None;
        }
        self.counter = self.counter.checked_add(1)?;
        let mut datagram = Vec::with_capacity(HEAD_LEN + frame.len() + MAC_LEN);
        datagram.extend_from_slice(&self.tag.to_be_bytes());
        datagram.extend_from_slice(&self.counter.to_be_bytes());
        datagram.extend_from_slice(frame);
        let mac = self.key.clone().chain_update(&datagram).finalize();
        datagram.extend(mac.into_bytes().iter().take(MAC_LEN));
        Some(datagram)
    }
}

#[cfg(test)]
impl Sealer {
    /// The last one had this counter.
    pub(super) fn skip_to(&mut self, counter: u64) {
        self.counter = counter;
    }
}

/// Where a datagram belongs, as it says itself. Nothing is proved by that.
pub(super) fn tag_of(datagram: &[u8]) -> Result<u64, RefusedDatagram> {
    if !(HEAD_LEN + MAC_LEN..=MAX_LEN).contains(&datagram.len()) {
        return Err(RefusedDatagram::Length);
    }
    let tag = datagram.first_chunk().ok_or(RefusedDatagram::Length)?;
    Ok(u64::from_be_bytes(*tag))
}

impl Opener {
    pub(super) fn new(tag: u64, key: DirectionKey) -> Self {
        Self { tag, key }
    }

    /// Checks that a datagram was made with the key, in a time that says nothing of how much of its code is right.
    pub(super) fn verify<'a>(&self, datagram: &'a [u8]) -> Result<Authentic<'a>, RefusedDatagram> {
        if tag_of(datagram)? != self.tag {
            return Err(RefusedDatagram::UnknownTag);
        }
        let (signed, mac) = datagram
            .split_last_chunk::<MAC_LEN>()
            .ok_or(RefusedDatagram::Length)?;
        let (head, frame) = signed
            .split_first_chunk::<HEAD_LEN>()
            .ok_or(RefusedDatagram::Length)?;
        let counter = head.last_chunk().ok_or(RefusedDatagram::Length)?;
        let computed = self.key.clone().chain_update(signed);
        computed
            .verify_truncated_left(mac)
            .map_err(|_| RefusedDatagram::Forged)?;
        Ok(Authentic {
            counter: u64::from_be_bytes(*counter),
            frame,
        })
    }
}

impl<'a> Authentic<'a> {
    /// The frame of a datagram that has not come before, and whether it is the newest so far.
    pub(super) fn accept(
        self,
        window: &mut ReplayWindow,
    ) -> Result<(&'a [u8], bool), RefusedDatagram> {
        match window.accept(self.counter) {
            Arrival::Newest => Ok((self.frame, true)),
            Arrival::Late => Ok((self.frame, false)),
            Arrival::Repeated => Err(RefusedDatagram::Repeated),
        }
    }
}
