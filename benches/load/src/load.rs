//! Loads: the work of a client.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// The load that a client puts on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Load {
    /// Calls, each answered with what it brought; as many at a time on each connection, and the next as soon as one is
    /// answered.
    Calls {
        /// The length of a message, in bytes of protobuf.
        size: usize,
        /// How many calls at a time, on each connection.
        in_flight: usize,
        /// How many connections.
        connections: usize,
        /// Who makes the calls of a connection.
        callers: Callers,
    },
    /// Messages without an answer over one connection, as fast as it takes them; at the end the server tells how many
    /// were received.
    OneWay {
        /// The length of a message, in bytes of protobuf.
        size: usize,
    },
    /// A call that is answered by a stream of messages.
    Answers {
        /// The length of a message, in bytes of protobuf.
        size: usize,
        /// How many messages.
        count: u64,
    },
    /// A server tells all of its clients, again and again; a message counts once for each that it came to.
    Broadcast {
        /// The length of a message, in bytes of protobuf.
        size: usize,
        /// How many clients.
        peers: usize,
    },
    /// A connection, one call, and the end of it, one after the other. The latency is that of connection and call.
    Connect,
    /// Connections on which nothing happens. What they take of the server's memory is what counts.
    Idle {
        /// How many connections.
        connections: usize,
        /// Whether there was a burst of calls on each before.
        after_burst: bool,
    },
    /// Small calls on a connection that is full of large messages without an answer. The latency is that of the calls.
    Beside {
        /// How many calls at a time.
        in_flight: usize,
        /// Whether the calls are marked as urgent, where a contender can do that.
        urgent: bool,
    },
}

/// Who makes calls that are in flight together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Callers {
    /// A task for each, as where a server asks another one for each of its own requests.
    Tasks,
    /// One task for all of them, as where a list is worked off: no call has to wake a task of its own.
    OneTask,
}

/// The length of the small messages of [`Load::Connect`], [`Load::Idle`] and [`Load::Beside`].
pub const SMALL: usize = 32;
/// The length of the messages of a burst, and how many there are on each connection.
pub const BURST: (usize, usize) = (1024, 64);
/// The length of the large messages of [`Load::Beside`].
pub const BULK: usize = 16 * 1024;

/// How a message of this length is called in a table.
fn size_name(size: usize) -> String {
    if size >= 1024 && size.is_multiple_of(1024) {
        format!("{} KiB", size / 1024)
    } else {
        format!("{size} B")
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Calls {
                size,
                in_flight,
                connections,
                callers,
            } => {
                write!(f, "calls {}, {in_flight} in flight", size_name(size))?;
                if connections > 1 {
                    write!(f, ", {connections} connections")?;
                }
                if callers == Callers::OneTask {
                    f.write_str(", one task")?;
                }
                Ok(())
            }
            Self::OneWay { size } => write!(f, "one-way {}", size_name(size)),
            Self::Answers { size, count } => {
                write!(f, "answered by {count} messages of {}", size_name(size))
            }
            Self::Broadcast { size, peers } => {
                write!(f, "broadcast {} to {peers}", size_name(size))
            }
            Self::Connect => f.write_str("connect and call"),
            Self::Idle {
                connections,
                after_burst,
            } => {
                write!(f, "{connections} idle connections")?;
                f.write_str(if after_burst { " after a burst" } else { "" })
            }
            Self::Beside { in_flight, urgent } => {
                let urgent = if urgent { "urgent " } else { "" };
                write!(f, "{urgent}calls beside bulk, {in_flight} in flight")
            }
        }
    }
}

/// A load, and for how long.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Job {
    /// What to do.
    pub load: Load,
    /// For how long to begin new work. What is under way then is finished, and counts.
    pub time: Duration,
}
