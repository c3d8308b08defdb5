//! The permits of a server's connections: one for each descriptor, from accept until it is closed.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Status;

/// How many connections beyond `max_connections` may be in their handshakes: a client whose connection has broken takes its
/// own session over where no place is free, and all others are told why they are refused.
const MAX_SPARE: usize = 64;

/// The permits of a server: `max_connections`, and a few spare ones.
#[derive(Debug)]
pub(super) struct ConnectionPermits {
    regular: Arc<Semaphore>,
    spare: Arc<Semaphore>,
    max: usize,
}

/// A connection's permit. It is dropped after the connection.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    _permit: OwnedSemaphorePermit,
    is_spare: bool,
}

impl ConnectionPermits {
    pub(super) fn new(max: usize) -> Self {
        Self {
            regular: Arc::new(Semaphore::new(max)),
            spare: Arc::new(Semaphore::new(MAX_SPARE)),
            max,
        }
    }

    /// A permit for a connection that was accepted: a spare one where no other is free. `None` where there is neither.
    pub(super) fn acquire(&self) -> Option<ConnectionPermit> {
        let (_permit, is_spare) = match Arc::clone(&self.regular).try_acquire_owned() {
            Ok(permit) => (permit, false),
            Err(_) => (Arc::clone(&self.spare).try_acquire_owned().ok()?, true),
        };
        Some(ConnectionPermit { _permit, is_spare })
    }

    /// Exchanges a spare permit for a regular one, where one is free now. Returns whether it is a regular one.
    pub(super) fn make_regular(&self, permit: &mut ConnectionPermit) -> bool {
        if permit.is_spare
            && let Ok(regular) = Arc::clone(&self.regular).try_acquire_owned()
        {
            *permit = ConnectionPermit {
                _permit: regular,
                is_spare: false,
            };
        }
        !permit.is_spare
    }

    /// How many regular ones are free.
    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.regular.available_permits()
    }

    /// What a client is told for which there is none. It has no setting `max_connections`.
    pub(super) fn refusal(&self) -> Status {
        let max = self.max;
        Status::resource_exhausted(format!(
            "too many connections: this server takes {max} at once, try again later"
        ))
    }
}

impl ConnectionPermit {
    /// Whether it is beyond `max_connections`: for a handshake only.
    pub(super) fn is_spare(&self) -> bool {
        self.is_spare
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spare_permit_becomes_a_regular_one_once_one_is_free() {
        let permits = ConnectionPermits::new(1);
        let regular = permits.acquire().unwrap();
        let mut spare: Vec<_> = std::iter::from_fn(|| permits.acquire()).collect();
        assert!(!regular.is_spare());
        assert_eq!(spare.len(), MAX_SPARE);
        let mut first = spare.pop().unwrap();
        assert!(first.is_spare() && !permits.make_regular(&mut first));
        drop(regular);
        assert!(permits.make_regular(&mut first) && !first.is_spare());
        assert!(permits.acquire().unwrap().is_spare(), "it was given back");
    }
}
