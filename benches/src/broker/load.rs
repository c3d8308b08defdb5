//! The loads, and what is found out by them.

use std::time::Duration;

/// What is asked of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// Publishers write as fast as they can.
    Throughput(Shape),
    /// Requests are published at one topic and answered at another.
    RoundTrips {
        /// How many requests wait for their answers.
        outstanding: usize,
    },
    /// A thousand messages a second, one at a time.
    Latency,
    /// Connections that have subscribed and are silent.
    Idle,
    /// One of some subscribers stops reading.
    Slow,
}

/// Who publishes, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    /// How many topics there are, with a publisher each.
    pub(super) publishers: usize,
    /// How many subscribers each topic has.
    pub(super) subscribers: usize,
    /// The length of a body, in bytes.
    pub(super) size: usize,
    /// Whether each message is written by itself.
    pub(super) is_written_alone: bool,
}

const fn shape(name: &'static str, publishers: usize, subscribers: usize, size: usize) -> Shape {
    Shape {
        name,
        publishers,
        subscribers,
        size,
        is_written_alone: false,
    }
}

const ALONE: Shape = Shape {
    is_written_alone: true,
    ..shape("1 to 1, 32 B, a write each", 1, 1, 32)
};

impl Load {
    /// All of them, in the order of the table.
    pub(super) const ALL: [Self; 11] = [
        Self::Throughput(shape("1 to 1, 32 B", 1, 1, 32)),
        Self::Throughput(ALONE),
        Self::Throughput(shape("1 to 1, 1 KiB", 1, 1, 1024)),
        Self::Throughput(shape("1 to 16, 32 B", 1, 16, 32)),
        Self::Throughput(shape("1 to 16, 1 KiB", 1, 16, 1024)),
        Self::Throughput(shape("4 pairs, 32 B", 4, 1, 32)),
        Self::Latency,
        Self::RoundTrips { outstanding: 64 },
        Self::RoundTrips { outstanding: 1 },
        Self::Idle,
        Self::Slow,
    ];

    /// What the table calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Throughput(shape) => shape.name,
            Self::RoundTrips { outstanding: 1 } => "request and reply, 1 waiting",
            Self::RoundTrips { .. } => "request and reply, 64 waiting",
            Self::Latency => "latency at 1,000/s",
            Self::Idle => "idle connection",
            Self::Slow => "a subscriber stops reading",
        }
    }
}

/// What one trial found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Figure {
    /// Deliveries, or answers.
    Rate {
        /// Of them, in a second.
        rate: f64,
        /// The broker's processor time for one, in seconds.
        cost: f64,
    },
    /// How long one took.
    Time {
        median: Duration,
        /// Of a hundred, all but one took less.
        most: Duration,
    },
    /// What a connection adds to the broker's memory, in bytes.
    Memory(f64),
    /// What happened to the others, and to the broker.
    Slow(SlowFigure),
}

/// What a subscriber that has stopped reading did to a broker.
#[derive(Debug, Clone, Copy)]
pub(super) struct SlowFigure {
    /// The rate of the others since then, of their rate before.
    pub(super) others: f64,
    /// How many messages the others missed, of both times.
    pub(super) lost: u64,
    /// Whether the broker has closed its connection.
    pub(super) is_cut: bool,
    /// What the broker's memory grew by at most, in bytes.
    pub(super) memory: f64,
}

impl Figure {
    /// By what figures of one load are put in order.
    pub(super) fn weight(self) -> f64 {
        match self {
            Self::Rate { rate, .. } => rate,
            Self::Time { median, .. } => median.as_secs_f64(),
            Self::Memory(bytes) => bytes,
            Self::Slow(SlowFigure { others, .. }) => others,
        }
    }
}
