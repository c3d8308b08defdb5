//! The queues of the naive broker.

use msip_session::MsgKind;

use super::{
    Link, World,
    limits::{AWAY, DROPPABLE, OUTGOING},
    message::Message,
};
use crate::router::{EndReason, Target};

/// What has become of a message that was put into a queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pushed {
    Queued {
        is_congested: bool,
    },
    Dropped,
    /// The session has ended.
    Gone,
    /// It has to end.
    Over(EndReason),
    /// There was no place among what waits of other clients.
    Crowded,
}

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

    /// Puts a message into a queue of the model.
    pub(super) fn push(&mut self, at: usize, mut message: Message) -> Pushed {
        message.is_new = false;
        let count = message.numbers.len();
        let most = self.most(at);
        if let Link::Ended(_) = self.sims[at].link {
            return Pushed::Gone;
        }
        let is_away = !self.is_connected(at);
        if is_away && !(message.acked || message.kind == MsgKind::State) {
            return Pushed::Dropped;
        }
        if let Some(key) = &message.key {
            let same =
                |one: &&mut Message| one.key.as_ref() == Some(key) && one.topic == message.topic;
            let mut all = self.sims[at].lanes.iter_mut().flatten();
            if let Some(old) = all.find(|one| same(one)) {
                *old = message;
                return self.queued(at);
            }
        }
        let droppable = |this: &Self| -> usize {
            let lane = this.sims[at].lanes[2].iter();
            lane.map(|one| one.numbers.len()).sum()
        };
        if message.is_droppable() {
            // None is dropped in vain.
            if self.waiting(at) - droppable(self) + count > most {
                return Pushed::Dropped;
            }
            while !self.sims[at].lanes[2].is_empty()
                && (droppable(self) + count > DROPPABLE || self.waiting(at) + count > most)
            {
                self.sims[at].lanes[2].remove(0);
            }
            if droppable(self) + count > DROPPABLE {
                return Pushed::Dropped;
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
                (true, _) => Pushed::Dropped,
                (_, true) => Pushed::Over(EndReason::Overflow),
                (_, false) => Pushed::Over(EndReason::SlowConsumer),
            };
        }
        let lane = message.lane();
        self.sims[at].lanes[lane].push(message);
        self.queued(at)
    }

    /// Publishers wait for one that is connected, whose queue is long, and who has taken something lately.
    fn queued(&mut self, at: usize) -> Pushed {
        let is_long = self.is_connected(at) && self.waiting(at) > OUTGOING / 2;
        let now = self.now;
        let is_congested = is_long && {
            let since = self.sims[at].stuck_since.get_or_insert(now);
            *since + self.router.limits().push_back > now
        };
        Pushed::Queued { is_congested }
    }

    /// How many calls it has that have not ended.
    pub(super) fn open_calls(&self, at: usize) -> usize {
        let peers = self.sims[at].peers.values();
        let queued = peers.flat_map(|peer| &peer.lanes);
        let queued = queued.chain(&self.sims[at].lanes).flatten();
        queued.filter(|one| one.is_call).count() + self.sims[at].calls.len()
    }

    /// Its open calls, and those that it left unanswered: half of these are forgotten every 10 s.
    pub(super) fn call_load(&self, at: usize) -> usize {
        let (mut unanswered, since) = self.sims[at].unanswered;
        for _ in 0..(self.now - since).as_secs() / 10 {
            unanswered /= 2;
        }
        self.open_calls(at) + unanswered
    }

    /// A session has ended in the model. What is for one of several looks for another.
    pub(super) fn gone(&mut self, at: usize, reason: EndReason) -> Vec<Message> {
        self.say(|| format!("  {at} ends: {reason:?}"));
        let sim = &mut self.sims[at];
        sim.link = Link::Ended(reason);
        sim.filters.clear();
        sim.grants.clear();
        let left = std::mem::take(&mut sim.lanes);
        let known = std::mem::take(&mut sim.peers);
        let topics: Vec<_> = sim.parts.keys().cloned().collect();
        self.turns.clear();
        let peers = known.values().flat_map(|peer| peer.lanes.clone());
        let is_for_one = |message: &Message| message.target != Target::Everyone;
        let left = left.into_iter().chain(peers).flatten();
        let mut left: Vec<_> = left.filter(is_for_one).collect();
        for topic in topics {
            self.client_leaves(at, &topic);
        }
        self.hand_care(at, known.into_keys());
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
        let ended: Vec<_> = filters.filter(|one| !self.may_subscribe(at, one)).collect();
        let mut gone = Vec::new();
        for filter in ended {
            gone.extend(self.give_up(at, &filter));
        }
        let mut lanes = std::mem::take(&mut self.sims[at].lanes);
        let mut peers = std::mem::take(&mut self.sims[at].peers);
        let of_peers = peers.values_mut().flat_map(|peer| &mut peer.lanes);
        for lane in lanes.iter_mut().chain(of_peers) {
            gone.extend(lane.extract_if(.., |one| {
                let topic = match one.target {
                    Target::Service if !one.topic.ends_with("/$in") => format!("{}/$in", one.topic),
                    _ => one.topic.clone(),
                };
                !self.may_hear(at, &topic)
            }));
        }
        self.sims[at].lanes = lanes;
        self.sims[at].peers = peers;
        gone.retain(|one| one.target != Target::Everyone);
        gone
    }
}
