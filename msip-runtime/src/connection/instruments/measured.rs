//! The instruments where the feature `metrics` is on.

use std::{fmt, time::Duration};

use ::metrics::{Counter, Gauge};

use super::{OpenCalls, Seen, Waits};
use crate::{Dropped, instruments::Side};

/// What has changed is passed on at most once in this time.
const PERIOD: Duration = Duration::from_millis(100);

/// The instruments of a connection that has a session, and what they were told last.
#[derive(Debug, Default)]
pub(in crate::connection) struct Instruments(Option<Box<Measured>>);

#[derive(Debug)]
struct Measured {
    handles: Handles,
    is_connected: bool,
    last: Seen,
    /// When it may look again.
    next: Duration,
}

/// Looked up once for each connection.
struct Handles {
    connections: Gauge,
    queued: Gauge,
    incoming: Gauge,
    outgoing: Gauge,
    dropped: [Counter; 7],
    waits: [Counter; 3],
}

impl fmt::Debug for Handles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handles").finish_non_exhaustive()
    }
}

impl Handles {
    fn of(side: Side) -> Self {
        let side = side.name();
        let calls = |direction: &'static str| ::metrics::gauge!("msip_open_calls", "side" => side, "direction" => direction);
        let dropped = |reason: &'static str| ::metrics::counter!("msip_dropped_messages_total", "side" => side, "reason" => reason);
        let waits = |queue: &'static str| ::metrics::counter!("msip_send_waits_total", "side" => side, "queue" => queue);
        Self {
            connections: ::metrics::gauge!("msip_connections", "side" => side),
            queued: ::metrics::gauge!("msip_outgoing_queue_bytes", "side" => side),
            incoming: calls("incoming"),
            outgoing: calls("outgoing"),
            dropped: [
                "disconnected",
                "log",
                "metric",
                "replaced",
                "unflushed",
                "received",
                "channel_down",
            ]
            .map(dropped),
            waits: ["messages", "calls", "streams"].map(waits),
        }
    }
}

impl Instruments {
    /// The session has a connection.
    pub(in crate::connection) fn connected(&mut self, side: Side) {
        let measured = self
            .0
            .get_or_insert_with(|| Measured::new(side, Seen::default()));
        if !measured.is_connected {
            measured.is_connected = true;
            measured.handles.connections.increment(1.0);
        }
    }

    /// What the session counts goes on from there: so much was told of it before.
    pub(in crate::connection) fn go_on(&mut self, side: Side, seen: Seen) {
        self.0 = Some(Measured::new(side, seen));
    }

    /// The connection is gone.
    pub(in crate::connection) fn disconnected(&mut self, see: impl FnOnce() -> Seen) {
        if let Some(measured) = &mut self.0 {
            measured.disconnect(see());
        }
    }

    /// Passes on what has changed, if it is time. Returns when to look again, where it is too early.
    #[inline]
    pub(in crate::connection) fn observe(
        &mut self,
        now: Duration,
        see: impl FnOnce() -> Seen,
    ) -> Option<Duration> {
        let measured = self.0.as_mut().filter(|measured| measured.is_connected)?;
        if now < measured.next {
            // Not even a look: a busy connection sleeps after each message.
            return Some(measured.next);
        }
        measured.next = now + PERIOD;
        let seen = see();
        if seen != measured.last {
            measured.tell(seen);
        }
        None
    }
}

impl Measured {
    fn new(side: Side, last: Seen) -> Box<Self> {
        Box::new(Self {
            handles: Handles::of(side),
            is_connected: false,
            last,
            next: Duration::ZERO,
        })
    }

    fn disconnect(&mut self, seen: Seen) {
        // Calls that wait for the next connection, and what is kept for it, are on none.
        self.tell(Seen {
            calls: OpenCalls::default(),
            queued: 0,
            ..seen
        });
        if std::mem::take(&mut self.is_connected) {
            self.handles.connections.decrement(1.0);
        }
    }

    fn tell(&mut self, seen: Seen) {
        let last = std::mem::replace(&mut self.last, seen);
        let Handles {
            queued,
            incoming,
            outgoing,
            dropped,
            waits,
            ..
        } = &self.handles;
        for (gauge, now, before) in [
            (queued, seen.queued, last.queued),
            (incoming, seen.calls.incoming, last.calls.incoming),
            (outgoing, seen.calls.outgoing, last.calls.outgoing),
        ] {
            match now.checked_sub(before) {
                Some(0) => {}
                Some(more) => gauge.increment(as_f64(more)),
                None => gauge.decrement(as_f64(before - now)),
            }
        }
        let counts = |seen: Dropped| {
            let Dropped {
                disconnected,
                logs,
                metrics,
                replaced,
                unflushed,
                received,
                channel_down,
                ..
            } = seen;
            [
                disconnected,
                logs,
                metrics,
                replaced,
                unflushed,
                received,
                channel_down,
            ]
        };
        count(dropped, counts(seen.dropped), counts(last.dropped));
        let counts = |waits: Waits| [waits.messages, waits.calls, waits.streams];
        count(waits, counts(seen.waits), counts(last.waits));
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let last = self.last;
        self.disconnect(last);
    }
}

fn count<const N: usize>(counters: &[Counter; N], now: [u64; N], before: [u64; N]) {
    for ((counter, now), before) in counters.iter().zip(now).zip(before) {
        if now > before {
            counter.increment(now - before);
        }
    }
}

/// Limits are far below the numbers that lose precision.
fn as_f64(number: usize) -> f64 {
    const HIGH: f64 = 4_294_967_296.0;
    let half = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    let number = number as u64;
    half(number >> 32) * HIGH + half(number & 0xffff_ffff)
}
