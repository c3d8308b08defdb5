//! Kept STATEs.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Relaxed},
        },
    },
    time::Duration,
};

use bytes::Bytes;

use super::{Limits, Publication, Refused, StateKey, fault_injection::FaultInjection, sync::Mutex};

/// The last STATE of each variant and key of a topic. Its lock makes publishing one and subscribing to it take turns.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) values: Mutex<Values>,
}

/// The values, by variant and key.
pub(super) type Values = BTreeMap<(u16, Bytes), Arc<Publication>>;

/// What all topics keep together.
#[derive(Debug, Default)]
pub(super) struct KeptTotals {
    values: AtomicUsize,
    bytes: AtomicUsize,
    /// When the next one of them expires, in milliseconds; 0 if none does.
    expires: AtomicU64,
}

impl KeptTotals {
    /// How many values are kept.
    pub(super) fn values(&self) -> usize {
        self.values.load(Relaxed)
    }

    /// How many bytes they have.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// Keeps a STATE, or clears it.
    pub(super) fn keep(
        &self,
        values: &mut Values,
        state: &StateKey,
        publication: &Arc<Publication>,
        limits: &Limits,
    ) -> Result<(), Refused> {
        if FaultInjection::ForgetKept.is_on() {
            return Ok(());
        }
        let key = (state.variant, state.key.clone());
        if state.is_cleared && !FaultInjection::KeepCleared.is_on() {
            if let Some(old) = values.remove(&key) {
                self.forget(&old);
            }
            return Ok(());
        }
        let (old_count, old_bytes) = match values.get(&key) {
            Some(old) => (1, old.pinned),
            None => (0, 0),
        };
        reserve(&self.values, old_count, 1, limits.kept_values)
            .map_err(|()| {
                let most = limits.kept_values;
                let text = format!(
                    "too many kept STATEs: the broker keeps {most} at most, clear others by an empty body"
                );
                Refused::limit("kept_values", text)
            })?;
        if reserve(
            &self.bytes,
            old_bytes,
            publication.pinned,
            limits.kept_bytes,
        )
        .is_err()
        {
            self.values.fetch_sub(1 - old_count, Relaxed);
            let most = limits.kept_bytes;
            let text = format!(
                "too many bytes of kept STATEs: the broker keeps {most} at most, clear others by an empty body"
            );
            return Err(Refused::limit("kept_bytes", text));
        }
        values.insert(key, publication.clone());
        self.note_expiry(publication);
        Ok(())
    }

    /// Whether some have expired. If so, all topics are to be looked at: [`KeptTotals::expire`].
    pub(super) fn begin_to_expire(&self, now: Duration) -> bool {
        let is_due = |at: u64| at != 0 && Duration::from_millis(at) <= now;
        // Those that stay are noted again, and so is what is kept meanwhile.
        is_due(self.expires.load(Relaxed)) && is_due(self.expires.swap(0, AcqRel))
    }

    /// Forgets those of a topic that have expired.
    pub(super) fn expire(&self, values: &mut Values, now: Duration) {
        values.retain(|_, kept| {
            let stays = kept.expires_at.is_none_or(|at| at > now);
            match stays {
                true => self.note_expiry(kept),
                false => self.forget(kept),
            }
            stays
        });
    }

    /// One expires: the next one, if none does before.
    fn note_expiry(&self, kept: &Publication) {
        let Some(at) = kept.expires_at else { return };
        // Rounded up, so that it has expired by then.
        let at = at.as_nanos().div_ceil(1_000_000).max(1);
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        let is_earlier = |next: u64| (next == 0 || at < next).then_some(at);
        let _ = self.expires.fetch_update(AcqRel, Relaxed, is_earlier);
    }

    fn forget(&self, old: &Publication) {
        self.values.fetch_sub(1, Relaxed);
        self.bytes.fetch_sub(old.pinned, Relaxed);
    }
}

/// Puts `new` in the place of `old` in a sum, unless it would be more than `most` and more than before.
fn reserve(sum: &AtomicUsize, old: usize, new: usize, most: usize) -> Result<(), ()> {
    sum.fetch_update(Relaxed, Relaxed, |sum| {
        let next = (sum - old).saturating_add(new);
        (next <= most || new <= old || FaultInjection::KeepAll.is_on()).then_some(next)
    })
    .map(drop)
    .map_err(drop)
}
