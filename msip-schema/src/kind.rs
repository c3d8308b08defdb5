//! Message kinds, and the values of the other options of members.

use crate::words::words;

/// How a message is delivered (docs/protocol.md, "Kinds").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MsgKind {
    /// Something happened; every listener receives it.
    Event,
    /// Something is to be done, by exactly one receiver. All calls are commands.
    Command,
    /// How something is now; only the newest of its key matters.
    State,
    /// A line of a log; may be dropped under pressure, oldest first, counted.
    Log,
    /// A measurement; may be dropped under pressure, oldest first, counted.
    Metric,
}

impl MsgKind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Event,
        Self::Command,
        Self::State,
        Self::Log,
        Self::Metric,
    ];

    /// The number in a frame's header.
    pub const fn number(self) -> u16 {
        match self {
            Self::Event => 1,
            Self::Command => 2,
            Self::State => 3,
            Self::Log => 4,
            Self::Metric => 5,
        }
    }

    /// The kind with this number, if there is one.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Event),
            2 => Some(Self::Command),
            3 => Some(Self::State),
            4 => Some(Self::Log),
            5 => Some(Self::Metric),
            _ => None,
        }
    }

    /// The kind of a member that is not a call and has no option for it: by the last word of its name.
    pub(crate) fn by_name(name: &str) -> Self {
        match words(name).rsplit('_').next().unwrap_or("") {
            "req" | "cmd" | "command" => Self::Command,
            "state" | "status" => Self::State,
            "log" => Self::Log,
            "metric" => Self::Metric,
            _ => Self::Event,
        }
    }

    /// The name as `.proto` options and log lines spell it, such as `COMMAND`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "EVENT",
            Self::Command => "COMMAND",
            Self::State => "STATE",
            Self::Log => "LOG",
            Self::Metric => "METRIC",
        }
    }
}

/// What the sender of a message gets back: the values of `(msip.reply)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reply {
    /// Nothing.
    None,
    /// An acknowledgment once the receiver's handler has returned.
    Ack,
    /// One message.
    Response,
    /// A stream of messages.
    Stream,
}

impl Reply {
    /// Every value, in the order of their numbers in `.proto` files.
    pub const ALL: [Self; 4] = [Self::None, Self::Ack, Self::Response, Self::Stream];

    /// The name as `.proto` options spell it, such as `RESPONSE`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Ack => "ACK",
            Self::Response => "RESPONSE",
            Self::Stream => "STREAM",
        }
    }
}

/// The compression of bodies: the values of `(msip.compress)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Compression {
    /// As the connection has negotiated.
    Negotiated,
    /// Never.
    Never,
}
