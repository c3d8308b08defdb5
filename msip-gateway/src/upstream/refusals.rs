//! Credentials that were refused, by where they came from: whoever tries many is refused before the server is asked.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// For how long a refusal counts.
const WINDOW: Duration = Duration::from_secs(60);

/// How many credentials of one address may be refused within that.
const PER_ADDRESS: u32 = 20;

/// How many of all addresses together: fewer than the 300 after which a server refuses the gateway itself (its setting
/// `max_auth_failures`), and with it everyone.
const OF_ALL: u32 = 200;

/// How many addresses are remembered.
const ADDRESSES: usize = 4096;

/// What was refused lately.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    by_address: HashMap<IpAddr, Counted>,
    of_all: Option<Counted>,
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    since: Instant,
    count: u32,
}

impl Counted {
    fn at(self, now: Instant) -> u32 {
        match now.saturating_duration_since(self.since) < WINDOW {
            true => self.count,
            false => 0,
        }
    }

    fn more(before: Option<Self>, now: Instant) -> Self {
        match before {
            Some(before) if before.at(now) > 0 => Self {
                count: before.count.saturating_add(1),
                ..before
            },
            _ => Self {
                since: now,
                count: 1,
            },
        }
    }
}

impl Refusals {
    /// Whether another credential may be tried from here.
    pub(super) fn may_try(&self, from: IpAddr, now: Instant) -> bool {
        let by_address = self.by_address.get(&network(from));
        by_address.map_or(0, |counted| counted.at(now)) < PER_ADDRESS
            && self.of_all.map_or(0, |counted| counted.at(now)) < OF_ALL
    }

    /// One was refused.
    pub(super) fn count(&mut self, from: IpAddr, now: Instant) {
        if self.by_address.len() >= ADDRESSES {
            self.by_address.retain(|_, counted| counted.at(now) > 0);
        }
        self.of_all = Some(Counted::more(self.of_all, now));
        let network = network(from);
        let before = self.by_address.get(&network).copied();
        // Where there are too many addresses, what holds for all of them holds.
        if before.is_some() || self.by_address.len() < ADDRESSES {
            self.by_address.insert(network, Counted::more(before, now));
        }
    }
}

/// An address, or the network of 64 bits of one that has any number of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = address.to_bits() >> 64 << 64;
            Ipv6Addr::from_bits(bits).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_tries_many_waits_and_others_do_not() {
        let mut refusals = Refusals::default();
        let now = Instant::now();
        let [one, other] = ["10.0.0.1", "10.0.0.2"].map(|text| text.parse::<IpAddr>().unwrap());
        for _ in 0..PER_ADDRESS {
            assert!(refusals.may_try(one, now));
            refusals.count(one, now);
        }
        assert!(!refusals.may_try(one, now));
        assert!(refusals.may_try(other, now));
        assert!(refusals.may_try(one, now + WINDOW));
    }

    #[test]
    fn a_network_is_one_and_all_together_stay_below_what_the_server_allows() {
        let mut refusals = Refusals::default();
        let now = Instant::now();
        for number in 0..u128::from(PER_ADDRESS) {
            refusals.count(Ipv6Addr::from_bits(number).into(), now);
        }
        assert!(!refusals.may_try(Ipv6Addr::from_bits(1 << 60).into(), now));
        assert!(refusals.may_try(Ipv6Addr::from_bits(1 << 64).into(), now));
        for number in 0..10_000 {
            refusals.count(Ipv6Addr::from_bits(number << 64).into(), now);
        }
        assert!(refusals.by_address.len() <= ADDRESSES);
        assert!(!refusals.may_try(Ipv6Addr::from_bits(1 << 100).into(), now));
    }
}
