//! What strangers can make a server log: a line a second for each address, and no more.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::transport::PeerAddress;

/// How long an address that was complained of is not complained of again.
const QUIET: Duration = Duration::from_secs(1);

/// How many addresses are remembered; while so many are quiet, others are too.
const MAX_ADDRESSES: usize = 1024;

/// Who was complained of just now. Whoever is not let in may come again at once, and as often as it likes: that must
/// not fill a disk.
#[derive(Debug)]
pub(super) struct LogLimiter {
    began: Instant,
    table: Mutex<Table>,
}

impl Default for LogLimiter {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            table: Mutex::default(),
        }
    }
}

impl LogLimiter {
    /// Whether a line about this address may be logged now, and how many before it were not.
    pub(super) fn may_log(&self, address: &PeerAddress) -> Option<u64> {
        let address = match address {
            PeerAddress::Tcp(address) => Some(address.ip()),
            // All in this process are one.
            PeerAddress::Memory(_) => None,
        };
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.may_log(address, self.began.elapsed())
    }
}

#[derive(Debug, Default)]
struct Table {
    /// When each was complained of, and how often it was not since.
    addresses: HashMap<Option<IpAddr>, (Duration, u64)>,
    /// What was not logged about addresses that are not remembered.
    forgotten: u64,
}

impl Table {
    fn may_log(&mut self, address: Option<IpAddr>, now: Duration) -> Option<u64> {
        let is_quiet = |logged: Duration| now.saturating_sub(logged) < QUIET;
        if let Some((logged, unsaid)) = self.addresses.get_mut(&address) {
            if is_quiet(*logged) {
                *unsaid += 1;
                return None;
            }
            *logged = now;
            return Some(std::mem::take(unsaid));
        }
        if self.addresses.len() >= MAX_ADDRESSES {
            self.addresses.retain(|_, (logged, unsaid)| {
                let keeps = is_quiet(*logged);
                if !keeps {
                    self.forgotten += *unsaid;
                }
                keeps
            });
            if self.addresses.len() >= MAX_ADDRESSES {
                self.forgotten += 1;
                return None;
            }
        }
        self.addresses.insert(address, (now, 0));
        Some(std::mem::take(&mut self.forgotten))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn address(number: u32) -> Option<IpAddr> {
        Some(IpAddr::from(number.to_be_bytes()))
    }

    #[test]
    fn an_address_has_a_line_a_second_which_tells_of_the_others() {
        let mut table = Table::default();
        assert_eq!(table.may_log(address(1), at(0)), Some(0));
        for now in 0..999 {
            assert_eq!(table.may_log(address(1), at(now)), None);
        }
        assert_eq!(table.may_log(address(2), at(999)), Some(0), "another");
        assert_eq!(table.may_log(address(1), at(1000)), Some(999));
        assert_eq!(table.may_log(address(1), at(1001)), None);
        assert_eq!(table.may_log(address(1), at(5000)), Some(1));
    }

    #[test]
    fn of_too_many_addresses_the_rest_is_counted() {
        let mut table = Table::default();
        for number in 0..2000 {
            let may = table.may_log(address(number), at(0)).is_some();
            assert_eq!(may, number < 1024, "address {number}");
        }
        assert_eq!(table.may_log(address(0), at(1)), None);
        assert_eq!(table.addresses.len(), 1024);
        let unsaid = table.may_log(address(5000), at(1000));
        assert_eq!(unsaid, Some(2000 - 1024 + 1), "all that was not said");
        assert_eq!(table.addresses.len(), 1);
    }
}
