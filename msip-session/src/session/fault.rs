//! Protocol errors: violations after which a connection cannot go on.

use thiserror::Error;

use crate::wire::{Code, DecodeError, Header, HeaderError, MsgId};

/// A violation of the protocol by the peer that ends the connection.
///
/// Pass it to [`Session::handle_fault`](crate::Session::handle_fault), write what that has queued, and close the
/// transport.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{rule}")]
#[non_exhaustive]
pub struct Fault {
    /// The code that the peer is sent.
    pub code: Code,
    /// What the peer did and what was expected; the text that the peer is sent.
    pub rule: String,
    /// The message id of the offending frame; [`MsgId::CONNECTION`] where there is none.
    pub id: MsgId,
    /// What the driver may do about it.
    pub kind: FaultKind,
}

/// The kind of a [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// A rule of the protocol was broken.
    Rule,
    /// A frame announced a payload over the limit.
    TooLarge {
        /// The length that was announced, in bytes.
        len: u32,
        /// The limit, in bytes.
        max: u32,
    },
    /// The peer does not speak MSIP. It is sent one ERROR and no CLOSE.
    Foreign,
    /// The peer speaks TLS. It is sent one ERROR and no CLOSE, by which it knows MSIP without TLS.
    TlsPeer,
    /// The server speaks the MIP dialect only. Nothing is sent to it, because it would refuse that.
    MipPeer,
}

impl Fault {
    /// A broken rule.
    pub fn new(id: MsgId, rule: impl Into<String>) -> Self {
        Self {
            code: Code::InvalidArgument,
            rule: rule.into(),
            id,
            kind: FaultKind::Rule,
        }
    }

    /// A frame came in a state that does not allow it.
    pub(super) fn out_of_order(header: &Header, when: &str) -> Self {
        let frame_type = header.frame_type;
        Self {
            code: Code::FailedPrecondition,
            ..Self::new(header.msg_id, format!("{frame_type} {when}"))
        }
    }

    /// A limit of this side was exceeded.
    pub fn exhausted(id: MsgId, rule: impl Into<String>) -> Self {
        Self {
            code: Code::ResourceExhausted,
            ..Self::new(id, rule)
        }
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        let rule = error.to_string();
        match error {
            DecodeError::PayloadTooLarge {
                len, max, msg_id, ..
            } => Self {
                kind: FaultKind::TooLarge { len, max },
                ..Self::exhausted(msg_id, rule)
            },
            DecodeError::Header(HeaderError::BadMagic { found }) if is_tls(&found) => Self {
                kind: FaultKind::TlsPeer,
                ..Self::new(MsgId::CONNECTION, "TLS, where MSIP is spoken without it")
            },
            DecodeError::Header(HeaderError::BadMagic { .. }) => Self {
                kind: FaultKind::Foreign,
                ..Self::new(MsgId::CONNECTION, rule)
            },
            _ => Self::new(MsgId::CONNECTION, rule),
        }
    }
}

/// Whether bytes begin a record of TLS: an alert (21) or a handshake (22), and the major version 3. The second byte may not
/// have come.
fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [21 | 22] | [21 | 22, 3, ..])
}
