//! Exchanges whose caller was answered already.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{sync::Semaphore, task::JoinSet};

/// How many run at once. Whoever asks for one more is answered when there is room.
const MAX_RUNNING: usize = 256;

/// Tasks of a gateway, which end with it.
pub(super) struct Background {
    permits: Arc<Semaphore>,
    tasks: Mutex<JoinSet<()>>,
}

impl Background {
    pub(super) fn new() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(MAX_RUNNING)),
            tasks: Mutex::default(),
        }
    }

    /// Runs this beside its caller, once there is room.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, nothing was begun.
    pub(super) async fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        // It is never closed.
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return;
        };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let _permit = permit;
            task.await;
        });
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").finish_non_exhaustive()
    }
}
