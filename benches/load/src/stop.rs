//! The end of a load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// Tells the loops of a load when its time is over, without reading the clock for each message.
#[derive(Debug, Clone)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Says so after `time`.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&over);
        // A thread of its own: the runtime under load would be late. It ends by itself, and nothing waits for it.
        thread::spawn(move || {
            thread::sleep(time);
            flag.store(true, Ordering::Relaxed);
        });
        Self(over)
    }

    /// Whether the time is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
