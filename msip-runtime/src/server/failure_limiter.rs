//! A limiter of authentications that fail, for each source of connections: who guesses credentials is stopped.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::peer_connection::Remote;
use crate::transport::{PeerCredential, Source};

/// The time within which a source may have its failures, and after which it has them again.
const PERIOD: Duration = Duration::from_secs(60);

/// How many sources are remembered. Beyond it those with the fewest failures are forgotten.
const MAX_SOURCES: usize = 4096;

/// Limits failed authentications.
#[derive(Debug)]
pub(super) struct FailureLimiter {
    began: Instant,
    /// When the failures of a source are paid for, since `began`.
    sources: Mutex<HashMap<FailureSource, Duration>>,
}

/// Where failed authentications come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum FailureSource {
    /// A user of this machine, over a Unix socket.
    User(u32),
    /// Of an IPv6 address its network: one host has 2^64 addresses of it.
    Of(Source),
}

impl FailureSource {
    pub(super) fn of(remote: &Remote) -> Self {
        if let PeerCredential::UnixUser { uid, .. } = remote.credential {
            return Self::User(uid);
        }
        Self::Of(match remote.address.source() {
            Source::Ip(IpAddr::V6(ip)) => {
                let network = u128::from(ip) & !u128::from(u64::MAX);
                Source::Ip(Ipv6Addr::from(network).into())
            }
            source => source,
        })
    }
}

impl Default for FailureLimiter {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            sources: Mutex::default(),
        }
    }
}

impl FailureLimiter {
    /// Whether this source has had its `max` failures.
    pub(super) fn is_over(&self, source: &FailureSource, max: usize) -> bool {
        let now = self.began.elapsed();
        let due = self.lock().get(source).copied();
        // The next one would not be paid for within the time.
        due.is_some_and(|due| due.saturating_sub(now) + cost(max) > PERIOD)
    }

    /// An authentication has failed.
    pub(super) fn failed(&self, source: FailureSource, max: usize) {
        let now = self.began.elapsed();
        let mut sources = self.lock();
        if sources.len() >= MAX_SOURCES && !sources.contains_key(&source) {
            forget_some(&mut sources, now);
        }
        let due = sources.entry(source).or_default();
        *due = now.max(*due) + cost(max);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FailureSource, Duration>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long it takes until one failure of `max` in a period is forgotten.
fn cost(max: usize) -> Duration {
    PERIOD / u32::try_from(max.max(1)).unwrap_or(u32::MAX)
}

/// Forgets those that have no failures any more, or else the half with the fewest: whoever has many addresses is not stopped by
/// this, and cannot stop others either.
fn forget_some(sources: &mut HashMap<FailureSource, Duration>, now: Duration) {
    sources.retain(|_, due| *due > now);
    if sources.len() >= MAX_SOURCES {
        let mut all: Vec<Duration> = sources.values().copied().collect();
        let middle = all.len() / 2;
        let (_, &mut median, _) = all.select_nth_unstable(middle);
        sources.retain(|_, due| *due > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::PeerAddress;

    fn address(text: &str) -> FailureSource {
        FailureSource::of(&Remote {
            address: PeerAddress::Socket(text.parse().unwrap()),
            is_confidential: true,
            credential: PeerCredential::None,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_has_so_many_failures_a_minute_and_others_have_theirs() {
        let limiter = FailureLimiter::default();
        let (one, other) = (address("10.0.0.1:1"), address("10.0.0.2:1"));
        for _ in 0..30 {
            assert!(!limiter.is_over(&one, 30));
            limiter.failed(one.clone(), 30);
        }
        assert!(limiter.is_over(&one, 30));
        assert!(!limiter.is_over(&other, 30));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!limiter.is_over(&one, 30), "one more");
        limiter.failed(one.clone(), 30);
        assert!(limiter.is_over(&one, 30));
        tokio::time::advance(PERIOD).await;
        for _ in 0..30 {
            assert!(!limiter.is_over(&one, 30));
            limiter.failed(one.clone(), 30);
        }
        assert!(limiter.is_over(&one, 30));
    }

    #[test]
    fn a_source_is_an_address_a_network_or_a_user() {
        assert_eq!(address("10.0.0.1:1"), address("10.0.0.1:2"));
        assert_eq!(address("10.0.0.1:1"), address("[::ffff:10.0.0.1]:1"));
        assert_ne!(address("10.0.0.1:1"), address("10.0.0.2:1"));
        assert_eq!(address("[fd00:1:2:3::1]:1"), address("[fd00:1:2:3:4::5]:1"));
        assert_ne!(address("[fd00:1:2:3::1]:1"), address("[fd00:1:2:4::1]:1"));
        let user = |uid| {
            FailureSource::of(&Remote {
                address: PeerAddress::Named("unix:///x".into()),
                is_confidential: true,
                credential: PeerCredential::UnixUser { uid, gid: 1 },
            })
        };
        assert_eq!(user(1), user(1));
        assert_ne!(user(1), user(2));
    }

    #[tokio::test(start_paused = true)]
    async fn little_is_remembered_of_many_sources_and_those_with_most_failures_longest() {
        let limiter = FailureLimiter::default();
        let worst = address("192.0.2.1:1");
        for _ in 0..30 {
            limiter.failed(worst.clone(), 30);
        }
        for number in 0..3 * u32::try_from(MAX_SOURCES).unwrap() {
            let ip = std::net::Ipv4Addr::from(0x0a00_0000 + number);
            limiter.failed(address(&format!("{ip}:1")), 30);
            assert!(limiter.lock().len() <= MAX_SOURCES);
        }
        assert!(limiter.is_over(&worst, 30));
    }
}
