//! Pings, and when a silent peer counts as dead (docs/protocol.md, "Liveness").

use std::time::Duration;

use crate::wire::MsgId;

/// After this many ping intervals without a byte the peer counts as dead.
const DEAD_AFTER: u32 = 2;

/// When to ping, and how long the answer took.
#[derive(Debug)]
pub(crate) struct Keepalive {
    interval: Duration,
    last_received: Duration,
    next_ping: Duration,
    outstanding: Option<(MsgId, Duration)>,
    round_trip: Option<Duration>,
}

/// What a timer asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Ping,
    Dead { silence: Duration },
}

impl Keepalive {
    pub(crate) fn new(interval: Duration, now: Duration) -> Self {
        Self {
            interval,
            last_received: now,
            next_ping: now + interval,
            outstanding: None,
            round_trip: None,
        }
    }

    /// A byte came, of whatever frame.
    pub(crate) fn received(&mut self, now: Duration) {
        self.last_received = now;
    }

    pub(crate) fn poll_timeout(&self) -> Duration {
        self.next_ping
            .min(self.last_received + self.interval * DEAD_AFTER)
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration) -> Due {
        let silence = now.saturating_sub(self.last_received);
        if silence >= self.interval * DEAD_AFTER {
            return Due::Dead { silence };
        }
        if now < self.next_ping {
            return Due::Nothing;
        }
        self.next_ping = now + self.interval;
        // A ping that is under way still asks the question.
        if self.outstanding.is_some() {
            Due::Nothing
        } else {
            Due::Ping
        }
    }

    pub(crate) fn pinged(&mut self, id: MsgId, now: Duration) {
        self.outstanding = Some((id, now));
    }

    /// Whether the PONG with this id answers the ping.
    pub(crate) fn ponged(&mut self, id: MsgId, now: Duration) -> bool {
        match self.outstanding {
            Some((pinged, at)) if pinged == id => {
                self.outstanding = None;
                self.round_trip = Some(now.saturating_sub(at));
                true
            }
            _ => false,
        }
    }

    /// How long the last ping took to come back.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_silent_peer_is_pinged_and_then_dead() {
        let mut keepalive = Keepalive::new(at(10), at(0));
        assert_eq!(keepalive.poll_timeout(), at(10));
        assert_eq!(keepalive.handle_timeout(at(10)), Due::Ping);
        keepalive.pinged(MsgId::new(1), at(10));
        assert_eq!(keepalive.poll_timeout(), at(20));
        assert_eq!(
            keepalive.handle_timeout(at(20)),
            Due::Dead { silence: at(20) }
        );
    }

    #[test]
    fn any_byte_is_life_and_an_answer_tells_the_round_trip() {
        let mut keepalive = Keepalive::new(at(10), at(0));
        assert_eq!(keepalive.handle_timeout(at(10)), Due::Ping);
        keepalive.pinged(MsgId::new(1), at(10));
        keepalive.received(at(19));
        assert_eq!(
            keepalive.handle_timeout(at(20)),
            Due::Nothing,
            "alive, though the answer is late"
        );
        assert!(!keepalive.ponged(MsgId::new(2), at(21)));
        assert!(keepalive.ponged(MsgId::new(1), at(21)));
        assert_eq!(keepalive.round_trip(), Some(at(11)));
        assert!(!keepalive.ponged(MsgId::new(1), at(22)), "once only");
    }
}
