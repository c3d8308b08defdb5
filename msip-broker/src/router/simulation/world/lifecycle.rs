//! Sessions are away, come back, and end; and time passes.

use std::{sync::Arc, time::Duration};

use msip_session::MsgKind;

use super::{
    super::rights::RIGHTS,
    Checked, Link, World,
    limits::{EXPIRY, FIRST_WINDOW},
};
use crate::router::{EndReason, Target, WakeList};

impl World {
    pub(super) fn suspend(&mut self, at: usize) -> Checked {
        if !self.is_connected(at) {
            return Ok(());
        }
        self.say(|| format!("{at} is away"));
        self.router
            .suspend(&self.sims[at].handle, self.now, &mut WakeList::new());
        let sim = &mut self.sims[at];
        sim.link = Link::Away(self.now + EXPIRY);
        // A connection that is lost answers nothing more.
        sim.taken.clear();
        sim.stuck_since = None;
        self.turns.clear();
        let mut left = Vec::new();
        for lane in &mut sim.lanes {
            let (stays, goes): (Vec<_>, Vec<_>) = std::mem::take(lane)
                .into_iter()
                .partition(|one| one.target == Target::Everyone);
            left.extend(goes);
            lane.extend(
                stays
                    .into_iter()
                    .filter(|one| one.acked || one.kind == MsgKind::State),
            );
        }
        for peer in sim.peers.values_mut() {
            peer.sent = 0;
            peer.window = FIRST_WINDOW;
            peer.passed.clear();
            for lane in &mut peer.lanes {
                left.extend(lane.extract_if(.., |one| one.target != Target::Everyone));
                lane.retain(|one| one.acked || one.kind == MsgKind::State);
            }
        }
        self.hand_over(left)
    }

    pub(super) fn resume(&mut self, at: usize) -> Checked {
        let Link::Away(until) = self.sims[at].link else {
            return Ok(());
        };
        let said = match self.random.once_in(3) {
            true => *self.random.one_of(&RIGHTS),
            false => self.sims[at].said,
        };
        let rights = Arc::new(said.rights());
        let resumed = self.router.resume(&self.sims[at].handle, rights, self.now);
        self.say(|| format!("{at} resumes: {resumed:?}"));
        if resumed.is_ok() != (self.now < until) {
            return Err(format!("{at} resumes: {resumed:?}"));
        }
        if resumed.is_ok() {
            self.sims[at].link = Link::Ready;
            self.turns.clear();
            self.allow(at, said)?;
        }
        Ok(())
    }

    pub(super) fn end(&mut self, at: usize) -> Checked {
        if matches!(self.sims[at].link, Link::Ended(_)) || !self.random.once_in(2) {
            return Ok(());
        }
        let mut wakes = WakeList::new();
        let handle = self.sims[at].handle.clone();
        self.router
            .end(&handle, EndReason::Closed, self.now, &mut wakes);
        let left = self.gone(at, EndReason::Closed);
        self.hand_over(left)
    }

    pub(super) fn pass_time(&mut self) -> Checked {
        self.now += Duration::from_secs(1 + self.random.below(12) as u64);
        let over: Vec<_> = (0..self.sims.len())
            .filter(|at| matches!(self.sims[*at].link, Link::Away(until) if until <= self.now))
            .collect();
        let next = self.router.expire(self.now, &mut WakeList::new());
        let now = self.now;
        self.kept
            .retain(|_, (_, expires, _)| expires.is_none_or(|at| at > now));
        self.say(|| format!("it is later; {over:?} expire"));
        // They end by the time at which they do.
        let mut over: Vec<_> = over
            .into_iter()
            .map(|at| match self.sims[at].link {
                Link::Away(until) => (until, self.sims[at].handle.key(), at),
                _ => (self.now, self.sims[at].handle.key(), at),
            })
            .collect();
        over.sort_unstable();
        for (_, _, at) in over {
            // What another one left was too much for it, before its time.
            if let Link::Away(_) = self.sims[at].link {
                let left = self.gone(at, EndReason::Expired);
                self.hand_over(left)?;
            }
        }
        let expected = self.sims.iter().filter_map(|sim| match sim.link {
            Link::Away(until) => Some(until),
            _ => None,
        });
        match next == expected.min() {
            true => Ok(()),
            false => Err(format!("the next one expires at {next:?}")),
        }
    }
}
