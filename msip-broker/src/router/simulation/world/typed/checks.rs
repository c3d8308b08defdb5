//! What an instance takes of its clients: the introductions, the windows, the turns and the keys of the naive broker.

use std::{sync::Arc, time::Duration};

use super::{PeerKey, Told, is_over};
use crate::router::{
    Choice, Presence,
    simulation::world::{
        Checked, Link, World,
        checks::show_lanes,
        limits::{CLIENT_CALLS, MOST_AHEAD, cost},
        message::{Message, text},
        typed::PeerSim,
    },
};

impl World {
    /// A key goes to one instance, which it prefers to all others once and for all. Returns that one.
    pub(in crate::router::simulation::world) fn check_key(
        &mut self,
        message: &Message,
        among: &[usize],
        choice: &Choice,
    ) -> Result<Option<usize>, String> {
        let (Some(sticky), [(chosen, _)]) = (message.sticky, &choice.shares[..]) else {
            return Err(format!("{choice:?} is not by key: {message:?}"));
        };
        let chosen = self.sim_of(*chosen).ok_or("it is nobody")?;
        let is_any_there = among.iter().any(|at| self.is_connected(*at));
        if !among.contains(&chosen) || is_any_there && !self.is_connected(chosen) {
            return Err(format!("{chosen} is none of {among:?}: {message:?}"));
        }
        let others = among.iter().copied().filter(|at| *at != chosen);
        let others = others.filter(|at| !is_any_there || self.is_connected(*at));
        for other in others.collect::<Vec<_>>() {
            if self.preferred.contains(&(sticky, other, chosen)) {
                return Err(format!(
                    "the key {sticky} has moved from {other} to {chosen}"
                ));
            }
            self.preferred.insert((sticky, chosen, other));
        }
        Ok(Some(chosen))
    }

    /// Which queue a call comes from.
    pub(in crate::router::simulation::world) fn queue_of(
        &self,
        at: usize,
        of: &PeerKey,
    ) -> Result<u64, String> {
        let peer = self.sims[at].peers.get(of);
        peer.map(|peer| peer.number)
            .ok_or_else(|| format!("{at} has a call of {of:?}, and does not know it"))
    }

    fn calls_of(&self, at: usize, queue: u64) -> usize {
        let calls = self.sims[at].calls.iter();
        calls.filter(|call| call.queue == Some(queue)).count()
    }

    /// Whether something of a client has to go as soon as it has its turn.
    fn may_go(&self, at: usize, peer: &PeerSim) -> bool {
        if !peer.told.is_empty() {
            return true;
        }
        let now = self.now;
        let mut first = peer.lanes.iter().filter_map(|lane| lane.first());
        if peer.sent >= peer.window && first.any(|one| is_over(one, now)) {
            // It waits for credit, and is not looked at before that comes.
            return false;
        }
        let next = peer.lanes.iter();
        let next = next.filter_map(|lane| lane.iter().find(|one| !is_over(one, now)));
        let next: Vec<_> = next.collect();
        // Which of several comes next is for their order to say.
        let has_place = |one: &&Message| match one.is_call {
            true => self.calls_of(at, peer.number) < CLIENT_CALLS,
            false => peer.sent < peer.window,
        };
        match next.is_empty() {
            true => peer.is_gone,
            false => next.iter().all(has_place),
        }
    }

    /// It is told of a client.
    pub(in crate::router::simulation::world) fn take_presence(
        &mut self,
        at: usize,
        presence: &Arc<Presence>,
    ) -> Checked {
        let client = self.sim_of(presence.session).ok_or("it is nobody")?;
        let key = (text(&presence.topic), client);
        let now = self.now;
        let Some(peer) = self.sims[at].peers.get_mut(&key) else {
            return Err(format!("{at} is told of {key:?}: {presence:?}"));
        };
        let Some(introduction) = &presence.introduction else {
            let mut waiting = peer.lanes.iter().flatten();
            if !peer.is_gone || !peer.told.is_empty() || waiting.any(|one| !is_over(one, now)) {
                return Err(format!("{at} is told that {key:?} has gone: {peer:?}"));
            }
            self.sims[at].peers.remove(&key);
            return Ok(());
        };
        let told = Told {
            looks_after: introduction.looks_after,
            is_handed_over: introduction.is_handed_over,
        };
        peer.is_told = true;
        if peer.told.is_empty() || peer.told.remove(0) != told {
            return Err(format!(
                "{at} is told {told:?} of {key:?}, and not {peer:?}"
            ));
        }
        Ok(())
    }

    /// It takes messages of a client, or a call.
    pub(in crate::router::simulation::world) fn take_of_client(
        &mut self,
        at: usize,
        of: &PeerKey,
        numbers: &[u64],
    ) -> Checked {
        let now = self.now;
        let Some(peer) = self.sims[at].peers.get_mut(of) else {
            return Err(format!(
                "{at} takes {numbers:?} of {of:?}, and does not know it"
            ));
        };
        if !peer.told.is_empty() {
            return Err(format!(
                "{at} takes {numbers:?} before it is told of {of:?}"
            ));
        }
        for lane in &mut peer.lanes {
            while lane.first().is_some_and(|one| is_over(one, now)) {
                lane.remove(0);
            }
        }
        let is_next = |lane: &&mut Vec<Message>| {
            let next = lane.first();
            next.is_some_and(|one| one.numbers.starts_with(numbers))
        };
        let Some(lane) = peer.lanes.iter_mut().find(|lane| is_next(lane)) else {
            return Err(format!(
                "{at} takes {numbers:?}, which is nowhere next in {peer:?}"
            ));
        };
        let message = &mut lane[0];
        let is_call = message.is_call;
        message.numbers.drain(..numbers.len());
        if message.numbers.is_empty() {
            lane.remove(0);
        }
        let count = numbers.len();
        peer.passed.clear();
        let number = peer.number;
        if !is_call {
            peer.sent += count;
            if peer.sent > peer.window {
                return Err(format!(
                    "{at} takes {} of {of:?}, beyond its window",
                    peer.sent
                ));
            }
        } else if self.calls_of(at, number) > CLIENT_CALLS {
            return Err(format!("{at} has too many calls of {of:?}"));
        }
        self.count_passed(at, of, number, cost(count))
    }

    /// Others have waited for this: for so much of the queue with this number.
    fn count_passed(&mut self, at: usize, of: &PeerKey, number: u64, cost: usize) -> Checked {
        let mut peers = std::mem::take(&mut self.sims[at].peers);
        let mut checked = Ok(());
        for (key, peer) in &mut peers {
            if key == of || !self.may_go(at, peer) {
                peer.passed.clear();
                continue;
            }
            let passed = peer.passed.entry(number).or_default();
            *passed += cost;
            if *passed > MOST_AHEAD {
                checked = Err(format!(
                    "{key:?} waits for its turn at {at}, after {passed} of {of:?}"
                ));
            }
        }
        self.sims[at].peers = peers;
        checked
    }

    /// A connection that waits has nothing that could go.
    pub(in crate::router::simulation::world) fn check_nothing_waits(&self, at: usize) -> Checked {
        let now = self.now;
        let sim = &self.sims[at];
        if sim.lanes.iter().flatten().any(|one| !is_over(one, now)) {
            return Err(format!("{at} waits, and has {:?}", sim.lanes));
        }
        match sim.peers.iter().find(|(_, peer)| self.may_go(at, peer)) {
            Some((key, peer)) => Err(format!("{at} waits, and has of {key:?} {peer:?}")),
            None => Ok(()),
        }
    }

    /// What waits of clients is the same in both brokers, and who looks after a session.
    pub(in crate::router::simulation::world) fn compare_peers(
        &mut self,
        at: usize,
        now: Duration,
    ) -> Checked {
        let handle = self.sims[at].handle.clone();
        let actual = handle.0.with_outbox(|outbox| {
            let shown = outbox.peers().into_iter().map(|peer| {
                let told = peer.first.iter().map(|presence| {
                    let introduction = presence.introduction.as_deref();
                    introduction.map(|it| Told {
                        looks_after: it.looks_after,
                        is_handed_over: it.is_handed_over,
                    })
                });
                let told: Option<Vec<_>> = told.collect();
                let lanes = show_lanes(peer.lanes);
                let topic = text(&peer.topic);
                (topic, peer.client, told, lanes, peer.is_gone, peer.sent)
            });
            shown.collect::<Vec<_>>()
        });
        if actual.len() != self.sims[at].peers.len() {
            let known: Vec<_> = self.sims[at].peers.keys().collect();
            return Err(format!("{at} knows {actual:?}, not {known:?}"));
        }
        for (topic, client, told, lanes, is_gone, sent) in actual {
            let client = self.sim_of(client).ok_or("it is nobody")?;
            let key = (topic, client);
            let Some(peer) = self.sims[at].peers.get_mut(&key) else {
                return Err(format!("{at} knows {key:?}"));
            };
            for lane in &mut peer.lanes {
                lane.retain(|one| {
                    !is_over(one, now) || lanes.iter().flatten().any(|it| *it == one.shown())
                });
            }
            let expected = peer.lanes.each_ref();
            let expected = expected.map(|lane| lane.iter().map(Message::shown).collect::<Vec<_>>());
            let is_same = lanes == expected
                && told.as_ref() == Some(&peer.told)
                && (is_gone, sent) == (peer.is_gone, peer.sent);
            if !is_same {
                return Err(format!(
                    "{at} has of {key:?} {told:?} {lanes:?} {is_gone} {sent}, not {peer:?}"
                ));
            }
        }
        if let Link::Ended(_) = self.sims[at].link {
            return Ok(());
        }
        let client = &handle.0.client;
        let mut topics: Vec<_> = client.topics().iter().map(|topic| text(topic)).collect();
        topics.sort_unstable();
        let parts = &self.sims[at].parts;
        if !topics.iter().eq(parts.keys()) {
            return Err(format!("{at} takes part in {topics:?}, not {parts:?}"));
        }
        for (topic, carer) in parts {
            let actual = client.carer(topic.as_bytes());
            if actual != carer.map(|at| self.sims[at].handle.key()) {
                return Err(format!(
                    "{actual:?} looks after {at} at {topic}, not {carer:?}"
                ));
            }
        }
        Ok(())
    }
}
