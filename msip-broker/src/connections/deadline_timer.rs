//! The timer of a connection's task.

use std::{future::Future as _, pin::Pin, task::Context, time::Duration};

use tokio::time::{Instant, Sleep, sleep_until};

/// Wakes a task when the next thing is due. One that is set for an earlier time stays: most often another time is near.
#[derive(Debug, Default)]
pub(crate) struct DeadlineTimer(Option<Pin<Box<Sleep>>>);

impl DeadlineTimer {
    /// Has the task woken at the first of these times, which count from `began`; at once where that is not after `now`.
    pub(crate) fn wake_at_first(
        &mut self,
        times: impl IntoIterator<Item = Option<Duration>>,
        began: Instant,
        now: Duration,
        task: &mut Context<'_>,
    ) {
        let Some(next) = times.into_iter().flatten().min() else {
            return;
        };
        if next <= now {
            return task.waker().wake_by_ref();
        }
        let at = began + next;
        loop {
            let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
            if timer.deadline() > at {
                timer.as_mut().reset(at);
            }
            if timer.as_mut().poll(task).is_pending() {
                return;
            }
            self.0 = None;
            if Instant::now() >= at {
                // With another clock reading.
                return task.waker().wake_by_ref();
            }
        }
    }
}
