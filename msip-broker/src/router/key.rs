//! What tells sessions apart.

use std::fmt;

/// The number of a session, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(u64);

impl SessionKey {
    /// What the broker itself publishes is from.
    pub const BROKER: Self = Self(0);

    /// The key of this number.
    pub(super) const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Whose turn it is where its calls have to wait with those of others. Two sessions that share it would take turns as one.
    pub(crate) fn turn(self) -> u32 {
        u32::try_from(self.0 % (1 << 32)).unwrap_or(0)
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// MSIP.
    Msip,
    /// MIP: it hears topics literally, and COMMAND as any kind.
    Mip,
    /// MiddleMan, in text over WebSockets.
    MiddleMan,
}
