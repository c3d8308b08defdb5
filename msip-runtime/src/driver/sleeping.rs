//! A driver without work does what is due, and sleeps until the next of it.

use std::{future::Future as _, task::Context, time::Duration};

use msip_session::{Fault, wire::MsgId};
use tokio::time::Instant;

use super::{Driver, Ending, Turn, buffer_pool, writing::Flush};
use crate::connection::DriverStep;

impl Driver {
    /// Nothing can be read or written now: does what is due, and sleeps unless a sender came meanwhile.
    pub(super) fn sleep(&mut self, task: &mut Context<'_>, now: Duration) -> Result<Turn, Ending> {
        self.turns = 0;
        let frame_deadline = self.frame_deadline();
        if frame_deadline.is_some_and(|deadline| now >= deadline) {
            let rule = format!(
                "a frame of {} bytes was not complete in time",
                self.decoder.pending_len()
            );
            return Err(Ending::Fault(Fault::exhausted(MsgId::CONNECTION, rule)));
        }
        if let Some(since) = self.stalled_since
            && now >= since + self.connection.write_timeout()
        {
            return Err(Ending::WriteStalled(now.saturating_sub(since)));
        }
        let is_idle = self.release_at.is_some_and(|at| now >= at);
        if is_idle {
            self.release_at = None;
            self.has_been_idle = true;
            self.decoder.release();
            self.received.take_if(|received| received.is_empty());
            self.inbox.release();
        }
        let lane = self.stream.lane().map(|lane| lane.waits());
        let mut state = self.connection.lock();
        if state.report_dropped() {
            return Ok(Turn::Busy);
        }
        if is_idle {
            state.release();
            if state.session().is_some() {
                // The handlers give back what they have.
                return Ok(Turn::Busy);
            }
        }
        let mut backlog_check_at = None;
        if let Some(session) = state.session() {
            session.set_read_memory(self.decoder.held());
            backlog_check_at = session.relax_backlog(now);
            if lane.is_some_and(|waits| waits.is_over(session)) {
                return Ok(Turn::Busy);
            }
        }
        if self.connection.has_backlog_ended(&mut state) {
            // The handlers may begin more.
            return Ok(Turn::Busy);
        }
        let next =
            match state.try_sleep(now, self.writing.is_some() || self.flush == Flush::Pending) {
                DriverStep::Finished => return Err(Ending::Finished),
                DriverStep::Write => return Ok(Turn::Busy),
                DriverStep::Expire => {
                    let in_time = state.expire(now);
                    return in_time.map(|()| Turn::Busy).map_err(Ending::TimedOut);
                }
                DriverStep::Sleep { until } => until,
            };
        let observe_at = state.observe(now);
        let lent = state.session().and_then(|session| session.return_buffers());
        state.driver_has_run();
        if self.release_at.is_none() && self.writing.is_none() && self.flush == Flush::Done {
            state.rest();
        }
        drop(state);
        if let Some(chunks) = lent {
            buffer_pool::return_buffers(chunks);
        }
        let mut next = next;
        let mut wake_at = |at: Option<Duration>| {
            if let Some(at) = at {
                next = next.min(at);
            }
        };
        wake_at(frame_deadline);
        if let Some(since) = self.stalled_since {
            wake_at(Some(since + self.connection.write_timeout()));
            wake_at(self.reads_on_at(now));
        }
        wake_at(self.release_at);
        wake_at(self.slow_read.check_at());
        wake_at(backlog_check_at);
        wake_at(observe_at);
        Ok(self.arm(task, next, now))
    }

    /// Sleeps until `next`, or a little earlier: a timer that is set already is left to go off.
    fn arm(&mut self, task: &mut Context<'_>, next: Duration, now: Duration) -> Turn {
        if next < self.armed_for || self.armed_for <= now {
            // A time beyond the range of the clock never comes.
            let at = self
                .connection
                .instant(next)
                .unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400));
            self.timer.as_mut().reset(at);
            self.armed_for = next;
        }
        if self.timer.as_mut().poll(task).is_ready() {
            Turn::Busy
        } else {
            Turn::Idle
        }
    }
}
