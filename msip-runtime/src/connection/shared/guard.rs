//! The lock of a connection, and what happens when it is released.

use std::{
    ops::{Deref, DerefMut},
    task::Waker,
};

use crate::{
    connection::{inner::ConnectionInner, relayed_call::pass_on},
    sync::MutexGuard,
};

/// The lock of a connection. When it is released the tasks are woken that were found to have something to do
/// meanwhile, and not before; and what has become of relayed calls is passed on.
pub(crate) struct ConnectionGuard<'a>(
    /// There until it is dropped.
    pub(super) Option<MutexGuard<'a, ConnectionInner>>,
);

impl Drop for ConnectionGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.wakes.is_empty() || !self.relays.is_empty() {
            release_and_wake(self.0.take());
        }
    }
}

/// By itself, so that releasing a lock that wakes no task stays short.
#[inline(never)]
fn release_and_wake(inner: Option<MutexGuard<'_, ConnectionInner>>) {
    if let Some(mut inner) = inner {
        let mut wakes = inner.wakes.take();
        let relays = std::mem::take(&mut inner.relays);
        drop(inner);
        wakes.wake_all();
        if !relays.is_empty() {
            pass_on(relays);
        }
    }
}

impl Deref for ConnectionGuard<'_> {
    type Target = ConnectionInner;

    #[inline]
    fn deref(&self) -> &ConnectionInner {
        match &self.0 {
            Some(inner) => inner,
            // Only what consumes the guard takes it out.
            None => unreachable!("a lock that was released"),
        }
    }
}

impl DerefMut for ConnectionGuard<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut ConnectionInner {
        match &mut self.0 {
            Some(inner) => inner,
            // Only what consumes the guard takes it out.
            None => unreachable!("a lock that was released"),
        }
    }
}

impl ConnectionGuard<'_> {
    /// Releases the lock and wakes the due tasks, where these may be many: memory for them is swapped with `memory`,
    /// which is empty, rather than allocated each time. Returns how many were woken.
    pub(crate) fn release_with(mut self, memory: &mut Vec<Waker>) -> usize {
        if self.wakes.is_empty() && self.relays.is_empty() {
            return 0;
        }
        let mut wakes = self.wakes.take_leaving(std::mem::take(memory));
        let relays = std::mem::take(&mut self.relays);
        drop(self);
        let woken = wakes.len();
        wakes.wake_all();
        *memory = wakes.into_memory();
        if !relays.is_empty() {
            pass_on(relays);
        }
        woken
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Weak},
        task::Wake,
    };

    use super::{super::ConnectionShared, *};
    use crate::{
        settings::Settings,
        sync::{Mutex, lock},
    };

    /// Notes that it was woken, and whether the lock was free then.
    struct Looks {
        connection: Weak<ConnectionShared>,
        was_free: Mutex<Vec<bool>>,
    }

    impl Wake for Looks {
        fn wake(self: Arc<Self>) {
            let connection = self.connection.upgrade().unwrap();
            let is_free = connection.inner.try_lock().is_ok();
            lock(&self.was_free).push(is_free);
        }
    }

    #[test]
    fn nobody_is_woken_before_the_lock_is_released() {
        let connection = Arc::new(ConnectionShared::new(&Settings::default()));
        let looks = Arc::new(Looks {
            connection: Arc::downgrade(&connection),
            was_free: Mutex::default(),
        });
        let waker = Waker::from(Arc::clone(&looks));
        let mut memory = Vec::with_capacity(8);
        for count in 1..3 {
            let mut state = connection.lock();
            state
                .wakes
                .extend(std::iter::repeat_n(waker.clone(), count));
            drop(state);
            let mut state = connection.lock();
            state
                .wakes
                .extend(std::iter::repeat_n(waker.clone(), count));
            assert_eq!(state.release_with(&mut memory), count);
        }
        assert_eq!(*lock(&looks.was_free), [true; 6]);
    }
}
