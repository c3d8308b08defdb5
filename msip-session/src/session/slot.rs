//! Handles of open exchanges and of their streams.

use std::fmt;

/// The driver's own name for an exchange that it has opened, such as an index into its table of waiters.
///
/// The driver chooses it, passes it when it opens the exchange, and gets it back with each event of that exchange.
/// It must be unique among the driver's open exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(usize);

impl Token {
    /// The token with this index.
    #[inline]
    #[must_use]
    pub const fn new(index: usize) -> Self {
        Self(index)
    }

    /// The index that the driver has chosen.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The session's handle of an exchange that this side has opened, while that is open. It is reused afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(usize);

/// The session's handle of a call that this side serves, until that is answered. It is reused afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InboundSlot(usize);

macro_rules! handle {
    ($name:ident) => {
        impl $name {
            /// A handle with this index, for a driver's unit tests. A session hands out its own handles, and treats one
            /// that it has not handed out as that of an exchange that has ended.
            #[doc(hidden)]
            #[inline]
            #[must_use]
            pub const fn from_index(index: usize) -> Self {
                Self(index)
            }

            /// The index, which the session uses for the next one when this has ended.
            #[inline]
            #[must_use]
            pub const fn index(self) -> usize {
                self.0
            }
        }
    };
}

handle!(Slot);
handle!(InboundSlot);

/// One side's streams of a call, named by that side's handle of the call.
///
/// A call has up to two streams, one in each direction. This side sends the one and receives the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamSide {
    /// This side has opened the call: it sends requests and receives answers.
    Caller(Slot),
    /// This side serves the call: it receives requests and sends answers.
    Callee(InboundSlot),
}

/// The stream that a received item belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemTarget {
    /// An answer to a call that this side has opened.
    Answers(Token),
    /// A request of a call that this side serves.
    Requests(InboundSlot),
}
