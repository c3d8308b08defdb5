//! Who waits until a queue is short, and for how long.

use std::{task::Waker, time::Duration};

use crate::router::{
    Limits, WakeList, fault_injection::FaultInjection, patience::Patience, progress::Progress,
};

/// How a long queue gets on, and the publishers that wait for it. Most queues never are long, and this takes no memory.
#[derive(Debug, Default)]
pub(super) struct Pace(Option<Box<Waited>>);

#[derive(Debug, Default)]
struct Waited {
    /// How its reader gets on, while the queue is long.
    progress: Option<Progress>,
    /// How long publishers wait for it while others wait for them.
    patience: Patience,
    /// Publishers that wait until this queue is shorter.
    pushed_back: Vec<Waker>,
}

impl Pace {
    /// Until when publishers wait for a long queue, unless it becomes shorter or its reader takes more by then. They do not
    /// where the reader has stopped, nor where others have waited for it long enough: then the queue fills up.
    pub(super) fn waited_for_until(&mut self, now: Duration, limits: &Limits) -> Option<Duration> {
        let waited = self.0.get_or_insert_default();
        // It is its reader alone that begins it anew: what makes the queue short for a moment is not (LOGs that are dropped).
        let progress = waited.progress.get_or_insert(Progress::new(now));
        let until = progress.waited_for_until(limits.push_back);
        let goes_on = until > now && !waited.patience.is_over();
        (goes_on || FaultInjection::WaitForStuck.is_on()).then_some(until)
    }

    /// Wakes `waker` when the queue, which is long, is short again. `starved` is since when others wait for the same publisher,
    /// if they do. Returns when to look again at the latest; nothing where the publisher need not wait.
    pub(super) fn wait(
        &mut self,
        starved: Option<Duration>,
        now: Duration,
        limits: &Limits,
        waker: &Waker,
    ) -> Option<Duration> {
        let until = self.waited_for_until(now, limits)?;
        let waited = self.0.get_or_insert_default();
        let left = waited.patience.wait(starved, now, limits.push_back);
        let until = match FaultInjection::WaitForStuck.is_on() {
            true => until,
            false => until.min(now.saturating_add(left?)),
        };
        if !waited.pushed_back.iter().any(|one| one.will_wake(waker)) {
            waited.pushed_back.push(waker.clone());
        }
        Some(until)
    }

    fn progress(&mut self) -> Option<&mut Progress> {
        self.0.as_mut()?.progress.as_mut()
    }

    /// A part of what was taken is written.
    pub(super) fn wrote(&mut self, bytes: usize, now: Duration) {
        if let Some(progress) = self.progress() {
            progress.took(bytes, now);
        }
    }

    /// More is taken, so that what was taken before is written, or handled.
    pub(super) fn caught_up(&mut self, now: Duration) {
        if let Some(progress) = self.progress() {
            progress.caught_up(now);
        }
    }

    /// The queue is short.
    pub(super) fn is_short(&mut self, wakes: &mut WakeList) {
        if let Some(waited) = &mut self.0 {
            waited.progress = None;
            waited.patience.begin_again();
            waited.release(wakes);
        }
    }

    /// Nobody reads it now.
    pub(super) fn suspend(&mut self, wakes: &mut WakeList) {
        if let Some(waited) = &mut self.0 {
            waited.progress = None;
            waited.release(wakes);
        }
    }

    /// Nobody waits for it any more.
    pub(super) fn release(&mut self, wakes: &mut WakeList) {
        if let Some(waited) = &mut self.0 {
            waited.release(wakes);
        }
    }
}

impl Waited {
    fn release(&mut self, wakes: &mut WakeList) {
        let waiting = std::mem::take(&mut self.pushed_back);
        for waker in waiting {
            wakes.push(Some(waker));
        }
    }
}
