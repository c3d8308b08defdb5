//! The topics that belong to a topic `T`: `T/$in`, `T/$to/<peer>`, `$presence/T` and `$dead/T`.

use bytes::Bytes;

/// The level by which services hear what is sent to a topic.
pub const SERVICES: &str = "$in";

/// The level that precedes the name of one client.
const TO: &[u8] = b"$to";

/// The first level of the topics that tell which clients come and go.
pub const PRESENCE: &str = "$presence";

/// The first level of the topics of what could not be delivered.
const DEAD: &[u8] = b"$dead";

/// What a topic or a filter is about: the topic that it belongs to, and which of the broker's levels it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Internal<'a> {
    /// No level begins with `$`: it is heard by clients.
    Clients(&'a [u8]),
    /// `T/$in`: heard by the services of `T`.
    Services(&'a [u8]),
    /// `T/$to/<peer>`: heard by one client.
    Peer {
        /// `T`.
        topic: &'a [u8],
        /// The client.
        peer: &'a [u8],
    },
    /// `$presence/T`: which clients of `T` come and go.
    Presence(&'a [u8]),
    /// `$dead/T`: what could not be delivered at `T`.
    Dead(&'a [u8]),
    /// Another one with a level that begins with `$`: nobody's.
    Other,
}

impl<'a> Internal<'a> {
    /// Takes a topic or a filter apart.
    pub fn of(topic: &'a [u8]) -> Self {
        let found = Self::split(topic);
        let (Self::Clients(rest)
        | Self::Services(rest)
        | Self::Peer { topic: rest, .. }
        | Self::Presence(rest)
        | Self::Dead(rest)) = found
        else {
            return Self::Other;
        };
        let mut levels = rest.split(|byte| *byte == b'/');
        if levels.any(|level| level.starts_with(b"$")) {
            return Self::Other;
        }
        found
    }

    fn split(topic: &'a [u8]) -> Self {
        if let Some(rest) = after_level(topic, PRESENCE.as_bytes()) {
            return Self::Presence(rest);
        }
        if let Some(rest) = after_level(topic, DEAD) {
            return Self::Dead(rest);
        }
        let Some((before, last)) = split_last(topic) else {
            return Self::Clients(topic);
        };
        if last == SERVICES.as_bytes() {
            return Self::Services(before);
        }
        match split_last(before) {
            Some((topic, TO)) => Self::Peer { topic, peer: last },
            _ => Self::Clients(topic),
        }
    }
}

/// What comes after a first level.
fn after_level<'a>(topic: &'a [u8], level: &[u8]) -> Option<&'a [u8]> {
    topic.strip_prefix(level)?.strip_prefix(b"/")
}

/// What comes before the last level, and that level.
fn split_last(topic: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = topic.iter().rposition(|byte| *byte == b'/')?;
    let (before, last) = topic.split_at_checked(slash)?;
    Some((before, last.strip_prefix(b"/")?))
}

/// `T/$in`.
pub fn services(topic: &[u8]) -> Bytes {
    [topic, b"/", SERVICES.as_bytes()].concat().into()
}

/// `T/$to/<peer>`.
pub fn to_peer(topic: &[u8], peer: &str) -> Bytes {
    [topic, b"/", TO, b"/", peer.as_bytes()].concat().into()
}

/// `$presence/T`.
pub fn presence(topic: &[u8]) -> Bytes {
    [PRESENCE.as_bytes(), b"/", topic].concat().into()
}

/// `$dead/T`.
pub fn dead_letters(topic: &[u8]) -> Bytes {
    [DEAD, b"/", topic].concat().into()
}
