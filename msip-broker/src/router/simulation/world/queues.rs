//! The queues of the naive broker.

use msip_session::MsgKind;

use super::{
    Link, World,
    limits::{AWAY, DROPPABLE, OUTGOING},
    message::Message,
};
use crate::router::{EndReason, Target};

impl World {
    pub(super) fn waiting(&self, at: usize) -> usize {
        let lanes = self.sims[at].lanes.iter().flatten();
        lanes.map(|message| message.numbers.len()).sum()
    }

    pub(super) fn most(&self, at: usize) -> usize {
        match self.sims[at].link {
            Link::Away(_) => AWAY,
            Link::Writing => OUTGOING,
            _ => 2 * OUTGOING,
        }
    }

    /// Puts a message into a queue of the model. Returns why the session has to end, if it has to.
    pub(super) fn push(&mut self, at: usize, message: Message) -> Option<EndReason> {
        let count = message.numbers.len();
        let most = self.most(at);
        if let Link::Ended(_) = self.sims[at].link {
            return None;
        }
        let is_away = !self.is_connected(at);
        if is_away && !(message.acked || message.kind == MsgKind::State) {
            return None;
        }
        if let Some(key) = &message.key {
            let same =
                |one: &&mut Message| one.key.as_ref() == Some(key) && one.topic == message.topic;
            let mut all = self.sims[at].lanes.iter_mut().flatten();
            if let Some(old) = all.find(|one| same(one)) {
                *old = message;
                return None;
            }
        }
        let droppable = |this: &Self| -> usize {
            let lane = this.sims[at].lanes[2].iter();
            lane.map(|one| one.numbers.len()).sum()
        };
        if message.is_droppable() {
            // None is dropped in vain.
            if self.waiting(at) - droppable(self) + count > most {
                return None;
            }
            while !self.sims[at].lanes[2].is_empty()
                && (droppable(self) + count > DROPPABLE || self.waiting(at) + count > most)
            {
                self.sims[at].lanes[2].remove(0);
            }
            if droppable(self) + count > DROPPABLE {
                return None;
            }
        }
        while self.waiting(at) + count > most && !self.sims[at].lanes[2].is_empty() {
            self.sims[at].lanes[2].remove(0);
        }
        if self.waiting(at) + count > most {
            let now = self.now;
            for lane in &mut self.sims[at].lanes {
                lane.retain(|one| one.expires.is_none_or(|at| at > now));
            }
        }
        if self.waiting(at) + count > most {
            return match (message.is_droppable(), is_away) {
                (true, _) => None,
                (_, true) => Some(EndReason::Overflow),
                (_, false) => Some(EndReason::SlowConsumer),
            };
        }
        let lane = message.lane();
        self.sims[at].lanes[lane].push(message);
        None
    }

    /// A session has ended in the model. What is for one of several looks for another.
    pub(super) fn gone(&mut self, at: usize, reason: EndReason) -> Vec<Message> {
        self.say(|| format!("  {at} ends: {reason:?}"));
        let sim = &mut self.sims[at];
        sim.link = Link::Ended(reason);
        sim.filters.clear();
        sim.grants.clear();
        let left = std::mem::take(&mut sim.lanes);
        self.turns.clear();
        let is_for_one = |message: &Message| message.target != Target::Everyone;
        let mut left: Vec<_> = left.into_iter().flatten().filter(is_for_one).collect();
        left.extend(self.withdraw());
        left
    }

    /// Rights are checked again: subscriptions and what is queued. What is for one of several looks for another.
    #[must_use = "it is in no queue any more"]
    pub(super) fn withdraw(&mut self) -> Vec<Message> {
        (0..self.sims.len())
            .flat_map(|at| self.recheck(at))
            .collect()
    }

    fn recheck(&mut self, at: usize) -> Vec<Message> {
        let filters = self.sims[at].filters.keys().cloned();
        let gone: Vec<_> = filters.filter(|one| !self.may_subscribe(at, one)).collect();
        for filter in gone {
            self.sims[at].filters.remove(&filter);
        }
        let mut lanes = std::mem::take(&mut self.sims[at].lanes);
        let mut gone = Vec::new();
        for lane in &mut lanes {
            gone.extend(lane.extract_if(.., |one| {
                let topic = match one.target {
                    Target::Service if !one.topic.ends_with("/$in") => format!("{}/$in", one.topic),
                    _ => one.topic.clone(),
                };
                !self.may_hear(at, &topic)
            }));
        }
        self.sims[at].lanes = lanes;
        gone.retain(|one| one.target != Target::Everyone);
        gone
    }
}
