//! Pings, and when a silent peer counts as dead (docs/protocol.md, "Liveness").

use std::time::Duration;

use crate::wire::MsgId;

/// After this many ping intervals without a byte the peer counts as dead.
const DEAD_AFTER: u32 = 2;

/// When to ping, and how long the answer took.
#[derive(Debug)]
pub struct Keepalive {
    interval: Duration,
    last_received: Duration,
    /// When the first ping since then was sent.
    asked: Option<Duration>,
    next_ping: Duration,
    outstanding: Option<(MsgId, Duration)>,
    round_trip: Option<Duration>,
}

/// What a timer asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    Ping,
    Dead { silence: Duration },
}

impl Keepalive {
    pub fn new(interval: Duration, now: Duration) -> Self {
        Self {
            interval,
            last_received: now,
            asked: None,
            next_ping: now + interval,
            outstanding: None,
            round_trip: None,
        }
    }

    /// A byte came, of whatever frame.
    pub fn received(&mut self, now: Duration) {
        self.last_received = now;
        self.asked = None;
    }

    pub fn poll_timeout(&self) -> Duration {
        self.dead_at()
            .map_or(self.next_ping, |dead_at| dead_at.min(self.next_ping))
    }

    /// When the peer counts as dead if nothing comes. One that was never asked, for this process stood still or was
    /// stopped, has an interval to answer first.
    fn dead_at(&self) -> Option<Duration> {
        let asked = self.asked?;
        Some((self.last_received + self.interval * DEAD_AFTER).max(asked + self.interval))
    }

    pub fn handle_timeout(&mut self, now: Duration) -> Due {
        if self.dead_at().is_some_and(|dead_at| now >= dead_at) {
            return Due::Dead {
                silence: now.saturating_sub(self.last_received),
            };
        }
        if now < self.next_ping {
            return Due::Nothing;
        }
        self.next_ping = now + self.interval;
        // Even while one is under way: a peer with many PONGs to write may leave one out.
        Due::Ping
    }

    pub fn pinged(&mut self, id: MsgId, now: Duration) {
        self.outstanding = Some((id, now));
        self.asked.get_or_insert(now);
    }

    /// Whether the PONG with this id answers the ping.
    pub fn ponged(&mut self, id: MsgId, now: Duration) -> bool {
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
    pub fn round_trip(&self) -> Option<Duration> {
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
            Due::Ping,
            "alive, though the answer is late"
        );
        assert!(!keepalive.ponged(MsgId::new(2), at(21)));
        assert!(keepalive.ponged(MsgId::new(1), at(21)));
        assert_eq!(keepalive.round_trip(), Some(at(11)));
        assert!(!keepalive.ponged(MsgId::new(1), at(22)), "once only");
    }

    #[test]
    fn nobody_dies_while_this_process_stands_still() {
        let mut keepalive = Keepalive::new(at(10), at(0));
        assert_eq!(keepalive.handle_timeout(at(3600)), Due::Ping);
        keepalive.pinged(MsgId::new(1), at(3600));
        assert_eq!(keepalive.poll_timeout(), at(3610));
        assert_eq!(
            keepalive.handle_timeout(at(3610)),
            Due::Dead { silence: at(3610) },
            "but who was asked and says nothing does"
        );
    }

    #[test]
    fn a_second_ping_gives_a_silent_peer_no_more_time() {
        let mut keepalive = Keepalive::new(at(10), at(0));
        keepalive.received(at(5));
        assert_eq!(keepalive.handle_timeout(at(10)), Due::Ping);
        keepalive.pinged(MsgId::new(1), at(10));
        assert_eq!(keepalive.handle_timeout(at(20)), Due::Ping);
        keepalive.pinged(MsgId::new(2), at(20));
        assert_eq!(keepalive.poll_timeout(), at(25));
        assert_eq!(
            keepalive.handle_timeout(at(25)),
            Due::Dead { silence: at(20) }
        );
    }
}
