//! Why something is not done, in the words that the peer is told.

use std::borrow::Cow;

use msip_session::wire::Code;
use thiserror::Error;

/// A request that is refused: a code and a text, as ERROR carries them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{code}: {text}")]
pub struct Refused {
    /// The code.
    pub code: Code,
    /// The text.
    pub text: Cow<'static, str>,
}

impl Refused {
    pub(super) const fn new(code: Code, text: &'static str) -> Self {
        Self {
            code,
            text: Cow::Borrowed(text),
        }
    }

    /// The one text for what is not allowed and for what there is not.
    pub(crate) const fn permission() -> Self {
        Self::new(
            Code::PermissionDenied,
            "this topic is not enabled for this principal",
        )
    }

    /// No service is there.
    pub(crate) const fn no_service() -> Self {
        Self::new(Code::Unavailable, "no service of this topic is connected")
    }

    /// So much waits of other clients that there is no place for more.
    pub(crate) const fn crowded() -> Self {
        Self::new(
            Code::ResourceExhausted,
            "too much waits for the instances of this service: try again later",
        )
    }

    /// Nobody who hears a message accepts one as large.
    pub(super) fn too_large(len: usize, max: usize) -> Self {
        Self {
            code: Code::ResourceExhausted,
            text: format!(
                "a body of {len} bytes: the receiver accepts {max} (its setting `max_body`)"
            )
            .into(),
        }
    }

    /// A limit is reached. Its name is for the broker's log: it is a setting that the peer does not have, and `text` says what
    /// the peer can do.
    pub(crate) fn limit(name: &str, text: String) -> Self {
        tracing::debug!(limit = name, %text, "refused");
        Self {
            code: Code::ResourceExhausted,
            text: text.into(),
        }
    }

    /// The session has ended.
    pub(super) const fn ended() -> Self {
        Self::new(Code::Unavailable, "the session has ended")
    }
}

/// Why a session has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// It was closed by its peer.
    Closed,
    /// Its connection was lost and did not come back in time.
    Expired,
    /// It was over its limit while it was connected.
    SlowConsumer,
    /// It was over its limit while it was not connected.
    Overflow,
    /// Another connection has taken its place.
    Replaced,
    /// Its principal exists no longer, or another principal asked for it.
    Revoked,
    /// The broker stops.
    Shutdown,
}

impl EndReason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Closed,
        Self::Expired,
        Self::SlowConsumer,
        Self::Overflow,
        Self::Replaced,
        Self::Revoked,
        Self::Shutdown,
    ];

    /// What its peer is told.
    pub const fn told(self) -> (Code, &'static str) {
        match self {
            Self::Closed => (Code::Cancelled, "closed"),
            Self::Expired => (Code::Unavailable, "the session has expired"),
            Self::SlowConsumer => (Code::ResourceExhausted, "slow consumer"),
            Self::Overflow => (
                Code::ResourceExhausted,
                "too much was queued while the session was away",
            ),
            Self::Replaced => (
                Code::Aborted,
                "another connection has taken the session over",
            ),
            Self::Revoked => (Code::PermissionDenied, "the principal has lost its rights"),
            Self::Shutdown => (Code::Unavailable, "the broker stops"),
        }
    }

    /// A name for metrics and for people who look at the broker.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Expired => "expired",
            Self::SlowConsumer => "slow_consumer",
            Self::Overflow => "overflow",
            Self::Replaced => "replaced",
            Self::Revoked => "revoked",
            Self::Shutdown => "shutdown",
        }
    }
}
