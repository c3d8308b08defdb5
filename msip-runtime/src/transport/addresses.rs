//! The addresses of a service, and which of them is tried next.

use super::{Address, ServiceUrl};

/// In which order a client tries the addresses of its URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AddressOrder {
    /// As the URL lists them (`listed`).
    Listed,
    /// In a random order that each client draws once, so that many clients spread over the servers (`random`).
    Random,
}

/// The addresses, in the order in which they are tried, and the one that is in use.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    all: Vec<Address>,
    current: usize,
    /// The server at the current address has announced its shutdown.
    is_leaving: bool,
}

impl Addresses {
    /// The addresses of a URL; `random` draws numbers evenly.
    pub(crate) fn new(
        url: &ServiceUrl,
        order: AddressOrder,
        mut random: impl FnMut() -> u32,
    ) -> Self {
        let mut all: Vec<Address> = url.addresses().cloned().collect();
        if order == AddressOrder::Random {
            for last in (1..all.len()).rev() {
                let drawn = usize::try_from(random()).unwrap_or(usize::MAX) % (last + 1);
                all.swap(last, drawn);
            }
        }
        Self {
            all,
            current: 0,
            is_leaving: false,
        }
    }

    /// The addresses to try now, in order, each with its index: from the one that was used last, which is where the
    /// session is. A server that is going away is left out, unless there is no other.
    pub(crate) fn round(&self) -> Vec<(usize, Address)> {
        let count = self.all.len();
        let skipped = usize::from(self.is_leaving && count > 1);
        let indexes = (skipped..count).map(|step| (self.current + step) % count);
        indexes
            .filter_map(|index| Some((index, self.all.get(index)?.clone())))
            .collect()
    }

    /// The address of this index is in use from now on.
    pub(crate) fn connected(&mut self, index: usize) {
        self.current = index;
        self.is_leaving = false;
    }

    /// None could be reached: a server that was going away may be back for the next round.
    pub(crate) fn failed(&mut self) {
        self.is_leaving = false;
    }

    /// The server in use announces its shutdown.
    pub(crate) fn leave(&mut self) {
        self.is_leaving = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(order: AddressOrder) -> Addresses {
        let url = ServiceUrl::parse("tcp://a:1,b:2,c:3").unwrap();
        let mut next = 0;
        Addresses::new(&url, order, || {
            next += 7;
            next
        })
    }

    fn indexes(addresses: &Addresses) -> Vec<usize> {
        let round = addresses.round();
        round.into_iter().map(|(index, _)| index).collect()
    }

    #[test]
    fn a_round_begins_where_the_session_is_and_ends_before_it() {
        let mut addresses = addresses(AddressOrder::Listed);
        assert_eq!(indexes(&addresses), [0, 1, 2]);
        addresses.connected(1);
        assert_eq!(indexes(&addresses), [1, 2, 0]);
    }

    #[test]
    fn a_server_that_is_going_away_is_left_out_once() {
        let mut addresses = addresses(AddressOrder::Listed);
        addresses.connected(2);
        addresses.leave();
        assert_eq!(indexes(&addresses), [0, 1]);
        addresses.failed();
        assert_eq!(indexes(&addresses), [2, 0, 1], "it may be back");
        addresses.leave();
        addresses.connected(0);
        assert_eq!(indexes(&addresses), [0, 1, 2]);
    }

    #[test]
    fn the_only_address_is_tried_though_its_server_is_going_away() {
        let url = ServiceUrl::parse("tcp://a:1").unwrap();
        let mut addresses = Addresses::new(&url, AddressOrder::Listed, || 0);
        addresses.leave();
        assert_eq!(indexes(&addresses), [0]);
    }

    #[test]
    fn a_random_order_has_every_address_once() {
        let drawn = addresses(AddressOrder::Random);
        let mut all: Vec<String> = drawn.all.iter().map(ToString::to_string).collect();
        assert_ne!(all, ["tcp://a:1", "tcp://b:2", "tcp://c:3"]);
        all.sort();
        assert_eq!(all, ["tcp://a:1", "tcp://b:2", "tcp://c:3"]);
    }
}
