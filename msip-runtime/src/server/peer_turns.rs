//! One client after the other of those that have the same name at a topic: what handles an earlier one ends before the next begins.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Mutex as Turn, OwnedMutexGuard},
    time::timeout,
};

type Name = (Arc<str>, Arc<str>);
type Turns = HashMap<Name, Arc<Turn<()>>>;

/// The clients of a service that are there, or whose handlers have not ended. A client that leaves its topic and comes back, or whose
/// service has a new session with the broker, has the same id as before.
#[derive(Debug, Clone, Default)]
pub(super) struct PeerTurns(Arc<Mutex<Turns>>);

/// The turn of one client, until this is dropped.
pub(super) struct PeerTurn {
    turns: PeerTurns,
    name: Name,
    turn: Arc<Turn<()>>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl PeerTurns {
    /// A client has come: it waits for its turn next.
    pub(super) fn enter(&self, topic: &Arc<str>, name: &Arc<str>) -> PeerTurn {
        let name = (Arc::clone(topic), Arc::clone(name));
        let turn = Arc::clone(self.lock().entry(name.clone()).or_default());
        PeerTurn {
            turns: self.clone(),
            name,
            turn,
            guard: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PeerTurn {
    /// Waits until what handles an earlier client of the name has ended, for some time: one that hangs does not keep it out.
    pub(super) async fn begin(&mut self, limit: Duration) {
        let turn = Arc::clone(&self.turn).lock_owned();
        self.guard = timeout(limit, turn).await.ok();
    }
}

impl Drop for PeerTurn {
    fn drop(&mut self) {
        self.guard = None;
        let mut turns = self.turns.lock();
        // The table's and this one: nobody else is there.
        if Arc::strong_count(&self.turn) == 2
            && turns
                .get(&self.name)
                .is_some_and(|turn| Arc::ptr_eq(turn, &self.turn))
        {
            turns.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1000);

    #[tokio::test(start_paused = true)]
    async fn the_next_client_of_a_name_waits_for_the_one_before_it() {
        let turns = PeerTurns::default();
        let (topic, name) = (Arc::from("T"), Arc::from("ada"));
        let mut first = turns.enter(&topic, &name);
        first.begin(LONG).await;
        let mut other = turns.enter(&topic, &Arc::from("bob"));
        other.begin(LONG).await;
        let mut second = turns.enter(&topic, &name);
        let waiting = timeout(Duration::from_secs(1), second.begin(LONG)).await;
        assert!(waiting.is_err(), "the first one is there");
        drop(first);
        second.begin(LONG).await;
        assert!(second.guard.is_some());
        // One that hangs is not waited for any longer than this.
        let mut third = turns.enter(&topic, &name);
        third.begin(Duration::from_secs(1)).await;
        assert!(third.guard.is_none());
        drop((second, third, other));
        assert!(turns.lock().is_empty());
    }
}
