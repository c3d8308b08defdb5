//! Message ids: the side that chose one, and what it belongs to.

use std::fmt;

/// One end of a connection, by who opened the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The side that connects: the client.
    Connecting,
    /// The side that accepts: the server.
    Accepting,
}

impl Side {
    /// The other end.
    pub const fn reverse(self) -> Self {
        match self {
            Self::Connecting => Self::Accepting,
            Self::Accepting => Self::Connecting,
        }
    }
}

/// The number that ties answers to one exchange (docs/protocol.md, "Message ids").
///
/// Bit 63 says which side chose it, bit 62 whether it is a delivery, and the rest counts from 1 within each of the
/// four classes. 0 means the connection itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MsgId(u64);

impl MsgId {
    /// The connection itself, not an exchange.
    pub const CONNECTION: Self = Self(0);

    const ACCEPTING: u64 = 1 << 63;
    const DELIVERY: u64 = 1 << 62;
    const SEQUENCE: u64 = Self::DELIVERY - 1;

    /// The id with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The id of the `sequence`th call, stream or other exchange that is no delivery, chosen by `side`.
    ///
    /// `sequence` counts from 1. Its upper two bits are not used: a million exchanges a second reach them
    /// after 146,000 years.
    pub const fn exchange(side: Side, sequence: u64) -> Self {
        Self(Self::side_bit(side) | (sequence & Self::SEQUENCE))
    }

    /// The id of the `sequence`th delivery of `side`; `sequence` counts from 1, without gaps.
    pub const fn delivery(side: Side, sequence: u64) -> Self {
        Self(Self::side_bit(side) | Self::DELIVERY | (sequence & Self::SEQUENCE))
    }

    /// The number in the header.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Whether this is the connection itself, not an exchange.
    pub const fn is_connection(self) -> bool {
        self.0 == 0
    }

    /// Whether this is a delivery: a one-way message sent with ACK_REQUIRED.
    pub const fn is_delivery(self) -> bool {
        self.0 & Self::DELIVERY != 0
    }

    /// Whether the accepting side chose it.
    pub const fn is_chosen_by_acceptor(self) -> bool {
        self.0 & Self::ACCEPTING != 0
    }

    /// Who chose it.
    pub const fn chosen_by(self) -> Side {
        if self.is_chosen_by_acceptor() {
            Side::Accepting
        } else {
            Side::Connecting
        }
    }

    /// Which one of its class it is. 0 is not a valid count, but a peer may send it.
    pub const fn sequence(self) -> u64 {
        self.0 & Self::SEQUENCE
    }

    const fn side_bit(side: Side) -> u64 {
        match side {
            Side::Connecting => 0,
            Side::Accepting => Self::ACCEPTING,
        }
    }
}

/// `connection`, or the class and the count: `c7` and `s7` for exchanges that the client or the server began,
/// `cd7` and `sd7` for deliveries.
impl fmt::Display for MsgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_connection() {
            return f.write_str("connection");
        }
        let side = if self.is_chosen_by_acceptor() {
            "s"
        } else {
            "c"
        };
        let class = if self.is_delivery() { "d" } else { "" };
        write!(f, "{side}{class}{}", self.sequence())
    }
}

impl fmt::Debug for MsgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MsgId({self})")
    }
}
