//! Keepalive: when to ping, and when a silent peer is considered dead (docs/protocol.md, "Liveness").

use std::time::Duration;

use super::compact_time::CompactTime;
use crate::wire::MsgId;

/// After this many ping intervals without a byte the peer is considered dead.
const DEAD_AFTER: u32 = 2;

/// Keepalive pings, and the round-trip time of the last one.
#[derive(Debug)]
pub(super) struct Keepalive {
    interval: Duration,
    last_received: Duration,
    /// When the first ping since then was sent.
    first_ping: Option<Duration>,
    next_ping: Duration,
    outstanding: Option<(MsgId, Duration)>,
    round_trip: Option<Duration>,
}

/// The same while every ping is answered, in little memory.
#[derive(Debug)]
pub(super) struct IdleKeepalive {
    last_received: CompactTime,
    next_ping: CompactTime,
    round_trip: Option<Duration>,
}

impl IdleKeepalive {
    /// The same, with this interval.
    pub(super) fn wake(self, interval: Duration) -> Keepalive {
        Keepalive {
            interval,
            last_received: self.last_received.into(),
            first_ping: None,
            next_ping: self.next_ping.into(),
            outstanding: None,
            round_trip: self.round_trip,
        }
    }

    pub(super) fn poll_timeout(&self) -> Duration {
        self.next_ping.into()
    }
}

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ping,
    Dead { silence: Duration },
}

impl Keepalive {
    pub(super) fn new(interval: Duration, now: Duration) -> Self {
        Self {
            interval,
            last_received: now,
            first_ping: None,
            next_ping: now + interval,
            outstanding: None,
            round_trip: None,
        }
    }

    /// Whether every ping is answered.
    pub(super) fn is_answered(&self) -> bool {
        self.first_ping.is_none() && self.outstanding.is_none()
    }

    /// In little memory, where [every ping is answered](Self::is_answered).
    pub(super) fn to_idle(&self) -> IdleKeepalive {
        IdleKeepalive {
            last_received: self.last_received.into(),
            next_ping: self.next_ping.into(),
            round_trip: self.round_trip,
        }
    }

    /// A byte came, of whatever frame.
    pub(super) fn received(&mut self, now: Duration) {
        self.last_received = now;
        self.first_ping = None;
    }

    pub(super) fn poll_timeout(&self) -> Duration {
        self.dead_at()
            .map_or(self.next_ping, |dead_at| dead_at.min(self.next_ping))
    }

    /// When the peer is considered dead if nothing comes. Where no ping was sent, because this process was suspended or
    /// stopped, the peer has an interval to answer first.
    fn dead_at(&self) -> Option<Duration> {
        let first_ping = self.first_ping?;
        Some((self.last_received + self.interval * DEAD_AFTER).max(first_ping + self.interval))
    }

    pub(super) fn handle_timeout(&mut self, now: Duration) -> Due {
        if self.dead_at().is_some_and(|dead_at| now >= dead_at) {
            return Due::Dead {
                silence: now.saturating_sub(self.last_received),
            };
        }
        if now < self.next_ping {
            return Due::Nothing;
        }
        self.next_ping = now + self.interval;
        // Even while one is under way: a peer with many PONGs to write may skip one.
        Due::Ping
    }

    pub(super) fn pinged(&mut self, id: MsgId, now: Duration) {
        self.outstanding = Some((id, now));
        self.first_ping.get_or_insert(now);
    }

    /// Whether the PONG with this id answers the ping.
    pub(super) fn ponged(&mut self, id: MsgId, now: Duration) -> bool {
        match self.outstanding {
            Some((pinged, at)) if pinged == id => {
                self.outstanding = None;
                self.round_trip = Some(now.saturating_sub(at));
                true
            }
            _ => false,
        }
    }

    /// The round-trip time of the last ping.
    pub(super) fn round_trip(&self) -> Option<Duration> {
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
    fn a_silent_peer_is_pinged_and_then_considered_dead() {
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
    fn any_byte_keeps_alive_and_a_pong_gives_the_round_trip() {
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
    fn no_peer_is_considered_dead_before_it_was_pinged() {
        let mut keepalive = Keepalive::new(at(10), at(0));
        assert_eq!(keepalive.handle_timeout(at(3600)), Due::Ping);
        keepalive.pinged(MsgId::new(1), at(3600));
        assert_eq!(keepalive.poll_timeout(), at(3610));
        assert_eq!(
            keepalive.handle_timeout(at(3610)),
            Due::Dead { silence: at(3610) },
            "one that was pinged and does not answer is"
        );
    }

    #[test]
    fn a_second_ping_does_not_extend_the_time() {
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
