//! The instruments where the feature `metrics` is on.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use ::metrics::{Counter, Gauge};
use tokio::time::Instant;

use super::{OpenCalls, Seen, Waits};
use crate::{Dropped, instruments::Side};

/// What has changed is passed on at most once in this time.
const PERIOD: Duration = Duration::from_millis(100);

/// The instruments of a connection that has a session, and what they were told last.
#[derive(Debug, Default)]
pub(in crate::connection) struct Instruments(Option<Box<Measured>>);

#[derive(Debug)]
struct Measured {
    handles: Arc<Handles>,
    is_connected: bool,
    /// In a box, since most connections have nothing open, and have dropped nothing.
    last: Option<Box<Seen>>,
    /// When it may look again.
    next: Duration,
}

/// For so long connections that begin share their handles. Then they are looked up again: a recorder may forget what has not
/// changed for long.
const SHARED: Duration = Duration::from_secs(60);

/// The handles that connections which begin now share.
static CURRENT: Mutex<Vec<SharedHandles>> = Mutex::new(Vec::new());

/// Handles that were looked up lately.
struct SharedHandles {
    side: Side,
    /// Where the recorder is that they are of: programs have one, and tests one each.
    recorder: usize,
    since: Instant,
    handles: Weak<Handles>,
}

/// What connections that have begun at about the same time share.
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
    /// Those of the connections that began lately, or else new ones.
    fn shared(side: Side) -> Arc<Self> {
        let recorder =
            ::metrics::with_recorder(|recorder| std::ptr::from_ref(recorder).cast::<()>().addr());
        let now = Instant::now();
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        current.retain(|known| {
            known.handles.strong_count() > 0 && now.saturating_duration_since(known.since) < SHARED
        });
        let known = current
            .iter()
            .find(|known| known.side == side && known.recorder == recorder);
        if let Some(handles) = known.and_then(|known| known.handles.upgrade()) {
            return handles;
        }
        let handles = Arc::new(Self::of(side));
        current.push(SharedHandles {
            side,
            recorder,
            since: now,
            handles: Arc::downgrade(&handles),
        });
        handles
    }

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
        if seen != measured.last() {
            measured.tell(seen);
        }
        None
    }
}

impl Measured {
    fn new(side: Side, last: Seen) -> Box<Self> {
        Box::new(Self {
            handles: Handles::shared(side),
            is_connected: false,
            last: (last != Seen::default()).then(|| Box::new(last)),
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

    fn last(&self) -> Seen {
        self.last.as_deref().copied().unwrap_or_default()
    }

    fn tell(&mut self, seen: Seen) {
        let last = self.last();
        match &mut self.last {
            _ if seen == Seen::default() => self.last = None,
            Some(known) => **known = seen,
            unknown => *unknown = Some(Box::new(seen)),
        }
        let Handles {
            queued,
            incoming,
            outgoing,
            dropped,
            waits,
            ..
        } = &*self.handles;
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
        let last = self.last();
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

#[cfg(test)]
mod tests {
    use ::metrics::{
        Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit, with_local_recorder,
    };

    use super::*;

    /// A recorder that has a place of its own.
    struct Nothing(#[expect(dead_code, reason = "what has no size may have no place")] u8);

    impl Recorder for Nothing {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::noop()
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }
        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn connections_of_one_recorder_and_side_share_their_handles() {
        let recorders = [Nothing(1), Nothing(2)];
        let shared = |recorder: &Nothing, side| {
            with_local_recorder(recorder, || {
                let both = [Handles::shared(side), Handles::shared(side)];
                assert!(Arc::ptr_eq(&both[0], &both[1]));
                let [handles, _] = both;
                handles
            })
        };
        let server = shared(&recorders[0], Side::Server);
        let client = shared(&recorders[0], Side::Client);
        let other = shared(&recorders[1], Side::Server);
        assert!(!Arc::ptr_eq(&server, &client));
        assert!(!Arc::ptr_eq(&server, &other));
    }
}
