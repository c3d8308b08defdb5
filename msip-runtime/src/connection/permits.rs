//! Permits of calls: what counts a call among those of its caller, where one connection makes the calls of many, as a broker's does.

use std::collections::HashMap;

use msip_session::Slot;

/// What counts a call among those of its caller, while it exists.
pub type CallPermit = Box<dyn Send>;

/// The permits of calls that are streams, or were given up, by their slots at the session, whose limits bound them.
#[derive(Default)]
pub(super) struct CallPermits(
    #[expect(
        clippy::box_collection,
        reason = "only brokers have any, and others hold a pointer for it"
    )]
    Option<Box<HashMap<Slot, CallPermit>>>,
);

impl CallPermits {
    pub(super) fn insert(&mut self, slot: Slot, permit: CallPermit) -> Option<CallPermit> {
        self.0.get_or_insert_default().insert(slot, permit)
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<CallPermit> {
        self.0.as_mut()?.remove(&slot)
    }

    /// Takes those out that are not to be kept.
    pub(super) fn remove_unless(&mut self, is_kept: impl Fn(Slot) -> bool) -> Vec<CallPermit> {
        let Some(permits) = &mut self.0 else {
            return Vec::new();
        };
        let removed = permits.extract_if(|slot, _| !is_kept(*slot));
        removed.map(|(_, permit)| permit).collect()
    }

    /// Gives back the memory that a burst needed.
    pub(super) fn release(&mut self) {
        match &mut self.0 {
            Some(permits) if !permits.is_empty() => permits.shrink_to_fit(),
            permits => *permits = None,
        }
    }
}

impl std::fmt::Debug for CallPermits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let len = self.0.as_ref().map_or(0, |permits| permits.len());
        f.debug_tuple("CallPermits").field(&len).finish()
    }
}
