//! One direction of a lane: datagrams beside the stream, that are lost, cut, late, and overtake each other.
//!
//! A session gives each datagram to its lane once, and hands on each one that comes. A transport whose network repeats
//! datagrams drops the repeats itself (docs/protocol.md, "Datagrams"). Half of the lanes here do not, so that nothing else
//! of a session depends on it.

use std::{collections::VecDeque, time::Duration};

use super::random::Random;

/// The longest datagram that a lane takes: some messages fit, and others do not.
const MAX_LENS: std::ops::Range<u64> = 40..80;

/// How many are under way, at most.
const CAPACITY: usize = 40;

/// How many wait to be read; for each further one the oldest is dropped.
const MAX_ARRIVED: usize = 16;

/// A datagram, and whether it is only a part of what was sent.
#[derive(Debug, Clone)]
pub(super) struct Datagram {
    pub(super) bytes: Vec<u8>,
    pub(super) is_cut: bool,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Lane {
    /// 0 where the connection has no datagrams.
    max_len: usize,
    repeats: bool,
    under_way: Vec<(Duration, Datagram)>,
    arrived: VecDeque<Datagram>,
    dropped: u64,
    /// It takes nothing before this.
    ready_at: Duration,
    /// Nothing that is sent any more arrives.
    is_dead: bool,
}

impl Lane {
    pub(super) fn new(random: &mut Random) -> Self {
        let has_datagrams = random.once_in(2);
        Self {
            max_len: if has_datagrams { random_len(random) } else { 0 },
            repeats: random.once_in(2),
            under_way: Vec::new(),
            arrived: VecDeque::new(),
            dropped: 0,
            ready_at: Duration::ZERO,
            is_dead: false,
        }
    }

    /// The longest datagram that it takes now: it changes, as the network's does.
    pub(super) fn max_len(&mut self, random: &mut Random) -> usize {
        if self.max_len > 0 && random.once_in(30) {
            self.max_len = random_len(random);
        }
        self.max_len
    }

    /// Takes nothing before this.
    pub(super) fn stall(&mut self, until: Duration) {
        self.ready_at = until;
    }

    pub(super) fn is_ready(&self, now: Duration) -> bool {
        now >= self.ready_at && self.under_way.len() < CAPACITY
    }

    /// Takes a datagram. Returns whether it could: one that is too long is not sent.
    pub(super) fn send(&mut self, bytes: Vec<u8>, now: Duration, random: &mut Random) -> bool {
        if bytes.len() > self.max_len {
            return false;
        }
        if self.is_dead {
            return true;
        }
        let mut put = |datagram, random: &mut Random| {
            let delay = if random.once_in(8) { 1500 } else { 30 };
            let at = now + Duration::from_millis(random.below(delay));
            self.under_way.push((at, datagram));
        };
        if random.once_in(20) {
            let len = random.below(bytes.len() as u64) as usize;
            let cut = Datagram {
                bytes: bytes[..len].to_vec(),
                is_cut: true,
            };
            put(cut, random);
        }
        if random.once_in(6) {
            return true;
        }
        let whole = Datagram {
            bytes,
            is_cut: false,
        };
        if self.repeats && random.once_in(4) {
            put(whole.clone(), random);
        }
        put(whole, random);
        true
    }

    /// The next one that has arrived.
    pub(super) fn read(&mut self, now: Duration) -> Option<Datagram> {
        self.under_way.sort_by_key(|(at, _)| *at);
        let count = self.under_way.partition_point(|(at, _)| *at <= now);
        for (_, datagram) in self.under_way.drain(..count) {
            if self.arrived.len() == MAX_ARRIVED {
                self.arrived.pop_front();
                self.dropped += 1;
            }
            self.arrived.push_back(datagram);
        }
        self.arrived.pop_front()
    }

    /// How many have come and were dropped, since this was asked last.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Breaks it: what is under way is lost.
    pub(super) fn cut(&mut self) {
        self.is_dead = true;
        self.under_way.clear();
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.under_way.is_empty() && self.arrived.is_empty()
    }
}

fn random_len(random: &mut Random) -> usize {
    (MAX_LENS.start + random.below(MAX_LENS.end - MAX_LENS.start)) as usize
}
