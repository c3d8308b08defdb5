//! How much the sessions of a principal may send.

use std::{collections::HashMap, sync::Arc, time::Duration};

use msip_session::wire::Code;

use super::{
    Refused,
    sync::{Mutex, lock},
};
use crate::access::{Principal, PrincipalLimits};

/// What a principal has sent of what it may, shared by its sessions.
#[derive(Debug, Clone)]
pub(super) struct Rate(Arc<Mutex<Buckets>>);

#[derive(Debug)]
struct Buckets {
    limits: PrincipalLimits,
    /// How far ahead of the clock the messages are that were sent: each takes its share of a second.
    messages_until: Duration,
    bytes_until: Duration,
}

/// A second's worth may be sent at once. Whoever does not wait then can have as much again before it is refused.
const BURST: Duration = Duration::from_secs(1);

impl Rate {
    /// Takes so much. Returns until when the sender should wait, if it should.
    pub(super) fn take(
        &self,
        messages: u32,
        bytes: usize,
        now: Duration,
    ) -> Result<Option<Duration>, Refused> {
        let mut buckets = lock(&self.0);
        let Buckets {
            limits,
            messages_until,
            bytes_until,
        } = &mut *buckets;
        let messages = take(
            *messages_until,
            messages.into(),
            limits.messages_per_second,
            now,
        );
        let bytes = take(*bytes_until, bytes as u64, limits.bytes_per_second, now);
        let too_many = |what: &str, most: Option<u64>| Refused {
            code: Code::ResourceExhausted,
            text: format!(
                "too many {what} of this principal: {} per second",
                most.unwrap_or(0)
            )
            .into(),
        };
        let messages = messages.ok_or_else(|| too_many("messages", limits.messages_per_second))?;
        let bytes = bytes.ok_or_else(|| too_many("bytes", limits.bytes_per_second))?;
        (*messages_until, *bytes_until) = (messages, bytes);
        let until = messages.max(bytes).saturating_sub(BURST);
        Ok((until > now).then_some(until))
    }
}

/// How far a clock is after so many more, or nothing if that is too far.
fn take(until: Duration, count: u64, per_second: Option<u64>, now: Duration) -> Option<Duration> {
    let Some(per_second) = per_second else {
        return Some(now);
    };
    let before = until.max(now);
    if before > now.saturating_add(BURST).saturating_add(BURST) {
        return None;
    }
    let nanos = count.saturating_mul(1_000_000_000) / per_second.max(1);
    Some(before.saturating_add(Duration::from_nanos(nanos)))
}

/// Those of all principals that have one.
#[derive(Debug, Default)]
pub(super) struct Rates(HashMap<Principal, Rate>);

impl Rates {
    /// That of a principal, with its limits as they are now.
    pub(super) fn of(&mut self, principal: &Principal, limits: PrincipalLimits) -> Option<Rate> {
        if limits == PrincipalLimits::default() {
            self.0.remove(principal);
            return None;
        }
        let rate = self.0.entry(principal.clone()).or_insert_with(|| {
            Rate(Arc::new(Mutex::new(Buckets {
                limits,
                messages_until: Duration::ZERO,
                bytes_until: Duration::ZERO,
            })))
        });
        lock(&rate.0).limits = limits;
        Some(rate.clone())
    }

    /// Whether a principal has one.
    pub(super) fn has(&self, principal: &Principal) -> bool {
        self.0.contains_key(principal)
    }

    /// Forgets that of a principal which has no session any more.
    pub(super) fn forget(&mut self, principal: &Principal) {
        self.0.remove(principal);
    }
}
