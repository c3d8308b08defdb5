//! Loads: what a client is asked to do.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// What a client does to a server.
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
    },
    /// Messages without an answer over one connection, as fast as it takes them; at the end the server tells how many
    /// have come.
    OneWay {
        /// The length of a message, in bytes of protobuf.
        size: usize,
    },
}

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
            } => {
                write!(f, "calls {}, {in_flight} in flight", size_name(size))?;
                if connections > 1 {
                    write!(f, ", {connections} connections")?;
                }
                Ok(())
            }
            Self::OneWay { size } => write!(f, "one-way {}", size_name(size)),
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
