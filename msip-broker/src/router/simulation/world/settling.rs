//! What is for one of several is where the router has put it: whether it may be there.

use std::collections::BTreeMap;

use msip_session::MsgKind;

use super::{Checked, World, limits::OUTGOING, message::Message};
use crate::router::{Target, outbox::Status};

impl World {
    /// Finds where the router has put what is for one of several, and checks that it may be there. `is_new` is what is being
    /// published, at most one run.
    pub(super) fn settle(&mut self, mut homeless: Vec<Message>, is_new: bool) -> Checked {
        let mut is_first = is_new;
        while !homeless.is_empty() {
            let mut message = homeless.remove(0);
            let is_fresh = std::mem::take(&mut is_first);
            let eligible = self.eligible(&message);
            let count = message.numbers.len();
            let loads: BTreeMap<usize, usize> =
                eligible.iter().map(|at| (*at, self.waiting(*at))).collect();
            let mut got: BTreeMap<usize, usize> = BTreeMap::new();
            // Whoever was tried and had no place for it has ended.
            let mut ended = Vec::new();
            for at in &eligible {
                if let Status::Ended(reason) = self.status(*at) {
                    // How much it was given by then, dead letters included, is the router's choice.
                    let more = homeless.iter().map(|one| one.numbers.len()).sum::<usize>();
                    if loads[at] + 2 * (count + more) + OUTGOING / 2 <= self.most(*at) {
                        return Err(format!("{at} has ended: {reason:?}"));
                    }
                    ended.push((*at, reason));
                }
            }
            if !ended.is_empty() {
                for (at, reason) in ended {
                    let left = self.gone(at, reason);
                    homeless.extend(left);
                }
                homeless.insert(0, message);
                continue;
            }
            self.say(|| format!("  settles {message:?} among {eligible:?} {loads:?}"));
            for at in 0..self.sims.len() {
                let found: Vec<_> = self.actual(at).into_iter().flatten().collect();
                for (numbers, target, topic) in found {
                    let is_it = target == message.target
                        && topic == message.topic
                        && numbers.iter().all(|one| message.numbers.contains(one));
                    if !is_it || numbers.is_empty() {
                        continue;
                    }
                    if !eligible.contains(&at) {
                        return Err(format!(
                            "{at} has {numbers:?} and is not one of {eligible:?}"
                        ));
                    }
                    message.numbers.retain(|one| !numbers.contains(one));
                    *got.entry(at).or_default() += numbers.len();
                    let part = Message {
                        numbers,
                        ..message.clone()
                    };
                    if let Some(reason) = self.push(at, part) {
                        return Err(format!("{at} has what it had no place for: {reason:?}"));
                    }
                }
            }
            if is_fresh {
                self.check_shares(&message, &eligible, &loads, &got)?;
            }
            let has_changed = eligible != self.eligible(&message);
            if !message.numbers.is_empty() && has_changed {
                // Others could have it now.
                homeless.insert(0, message);
            } else if !message.numbers.is_empty() {
                let more = self.unplaced(message)?;
                homeless.extend(more);
            }
        }
        Ok(())
    }

    /// Nobody has got a message that was for one.
    pub(super) fn unplaced(&mut self, message: Message) -> Result<Vec<Message>, String> {
        let eligible = self.eligible(&message);
        let is_allowed = message.is_droppable()
            || message.expires.is_some_and(|expires| expires <= self.now)
            || eligible.is_empty()
            || eligible.iter().all(|at| !self.is_connected(*at)) && !message.acked;
        if !is_allowed {
            let queues: Vec<_> = eligible.iter().map(|at| self.actual(*at)).collect();
            return Err(format!(
                "{message:?} is lost, and {eligible:?} could have it: {queues:?}"
            ));
        }
        if message.is_call {
            let refused = self.refused_calls.lock().expect("outcomes");
            return match refused
                .iter()
                .any(|(number, _)| message.numbers.contains(number))
            {
                true => Ok(Vec::new()),
                false => Err(format!("{message:?} is lost, and was not refused")),
            };
        }
        if !message.acked || message.topic.starts_with('$') {
            return Ok(Vec::new());
        }
        Ok(self.bury(message))
    }

    /// Each message goes to those who hear of the dead.
    pub(super) fn bury(&mut self, message: Message) -> Vec<Message> {
        let about = message.topic.split("/$").next().unwrap_or_default();
        let topic = format!("$dead/{about}");
        let mut homeless = Vec::new();
        for number in &message.numbers {
            let kind = match message.kind {
                MsgKind::State => MsgKind::Event,
                kind => kind,
            };
            let letter = Message {
                numbers: vec![*number],
                topic: topic.clone(),
                target: Target::Everyone,
                kind,
                key: None,
                tried: Vec::new(),
                ..message.clone()
            };
            for at in self.hearing(&topic, Some(None)) {
                if let Some(reason) = self.push(at, letter.clone()) {
                    homeless.extend(self.gone(at, reason));
                }
            }
        }
        homeless
    }

    /// The load is as equal as it can be, and equals take turns.
    pub(super) fn check_shares(
        &mut self,
        message: &Message,
        eligible: &[usize],
        loads: &BTreeMap<usize, usize>,
        got: &BTreeMap<usize, usize>,
    ) -> Checked {
        if message.is_droppable() || got.is_empty() || message.is_call {
            return Ok(());
        }
        if let Target::Service = message.target {
            let about = message.topic.strip_suffix("/$in").unwrap_or(&message.topic);
            if !eligible.iter().all(|at| self.is_connected(*at)) {
                // What nobody keeps takes a turn too.
                self.turns.remove(about);
                return Ok(());
            }
            let turns = self.turns.entry(about.to_owned()).or_default();
            let is_same = turns.keys().eq(eligible);
            if !is_same {
                *turns = eligible.iter().map(|at| (*at, 0)).collect();
            }
            for (at, count) in got {
                *turns.entry(*at).or_default() += *count as u64;
            }
            let (least, most) = (turns.values().min(), turns.values().max());
            if most > least.map(|least| least + 1).as_ref() {
                return Err(format!("turns of {about}: {turns:?}"));
            }
            return Ok(());
        }
        let after = |at: &usize| loads[at] + got.get(at).copied().unwrap_or(0);
        let least = eligible.iter().map(after).min().unwrap_or(0);
        match got.keys().find(|at| after(at) > least + 1) {
            Some(at) => Err(format!("{at} has more than its share: {loads:?} {got:?}")),
            None => Ok(()),
        }
    }
}
