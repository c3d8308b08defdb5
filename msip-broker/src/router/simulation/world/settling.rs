//! The way of messages in the naive broker, step by step as in the router: whoever is over its limits ends, and what was meant
//! for it goes another way. Whom something for one of several goes to is the router's choice, which is checked.

use std::collections::{BTreeMap, VecDeque};

use msip_session::{MsgKind, wire::Code};

use super::{Checked, Link, World, message::Message, queues::Pushed};
use crate::router::{Choice, EndReason, Target, choices};

/// Messages on their way.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// Who sends them, and does not wait for himself.
    from: Option<usize>,
    pub(super) receivers: u32,
    pub(super) dropped: u32,
    /// Whether their publisher waits for somebody.
    pub(super) is_congested: bool,
    /// Whether there was no place for something among what waits of other clients.
    pub(super) is_crowded: bool,
    /// What has found nobody.
    pub(super) unplaced: Vec<Message>,
    over: Vec<(usize, EndReason)>,
    again: Vec<Message>,
}

impl Sending {
    pub(super) fn from(at: usize) -> Self {
        Self {
            from: Some(at),
            ..Self::default()
        }
    }

    /// Why nobody has got something.
    pub(super) fn code(&self) -> Code {
        match self.is_crowded {
            true => Code::ResourceExhausted,
            false => Code::Unavailable,
        }
    }
}

impl World {
    /// To everyone who hears all of a topic.
    pub(super) fn send_to_all(&mut self, sending: &mut Sending, message: &Message) -> Checked {
        let hearing = self.hearing(&message.topic, Some(None));
        let apart = hearing
            .iter()
            .copied()
            .filter(|at| self.hears_apart(*at, message));
        let apart: Vec<_> = apart.collect();
        let mut chosen = None;
        if message.sticky.is_some() && message.key.is_none() && !apart.is_empty() {
            let mut among = VecDeque::from([message.clone()]);
            let (_, choice) = self.next_choice(&mut among)?;
            chosen = self.check_key(message, &apart, &choice)?;
        }
        for to in hearing {
            if chosen.is_none_or(|chosen| chosen == to) || !apart.contains(&to) {
                self.give(sending, to, message.clone());
            }
        }
        Ok(())
    }

    pub(super) fn give(&mut self, sending: &mut Sending, to: usize, mut message: Message) {
        let is_for_one = message.target != Target::Everyone;
        if !self.find_client(to, &mut message) {
            match is_for_one {
                true => sending.unplaced.push(message),
                false => sending.dropped += 1,
            }
            return;
        }
        let pushed = self.push_to(to, message.clone());
        match pushed {
            Pushed::Queued { is_congested } => {
                sending.receivers += 1;
                let waits = match message.client {
                    None => sending.from != Some(to),
                    Some(client) => {
                        let is_there = !matches!(self.sims[client].link, Link::Ended(_));
                        sending.from == Some(client) && is_there
                    }
                };
                sending.is_congested |= is_congested && waits;
            }
            Pushed::Crowded => {
                sending.is_crowded = true;
                message.tried.push(to);
                sending.again.extend(is_for_one.then_some(message));
            }
            Pushed::Dropped => sending.dropped += 1,
            Pushed::Over(reason) => {
                sending.over.push((to, reason));
                sending.again.extend(is_for_one.then_some(message));
            }
            Pushed::Gone => sending.again.extend(is_for_one.then_some(message)),
        }
    }

    /// The choice that the router has made next, which is about one of these messages.
    fn next_choice(&mut self, among: &mut VecDeque<Message>) -> Result<(Message, Choice), String> {
        if self.choices.is_empty() {
            self.choices.extend(choices::take());
        }
        let choice = self.choices.pop_front();
        let choice = choice.ok_or_else(|| format!("nothing is chosen for {among:?}"))?;
        let is_it = |one: &Message| one.numbers == choice.numbers;
        let at = among.iter().position(is_it);
        match at.and_then(|at| among.remove(at)) {
            Some(message) => Ok((message, choice)),
            None => Err(format!("{choice:?} is about none of {among:?}")),
        }
    }

    /// To one of those who could have it, or in parts to several.
    pub(super) fn place(&mut self, sending: &mut Sending, message: Message) -> Checked {
        let mut among = VecDeque::from([message]);
        let (message, choice) = self.next_choice(&mut among)?;
        self.place_chosen(sending, message, choice)
    }

    fn place_chosen(&mut self, sending: &mut Sending, message: Message, choice: Choice) -> Checked {
        let eligible = self.eligible(&message);
        let mut shares = Vec::new();
        for (key, count) in choice.shares {
            let at = eligible
                .iter()
                .find(|at| self.sims[**at].handle.key() == key);
            let at = at.ok_or_else(|| format!("{key} is none of {eligible:?}: {message:?}"))?;
            shares.push((*at, count as usize));
        }
        self.say(|| format!("  {message:?} goes to {shares:?} of {eligible:?}"));
        if shares.is_empty() {
            sending.unplaced.push(message);
            return match eligible.is_empty() {
                true => Ok(()),
                false => Err(format!("nobody has got what {eligible:?} could have")),
            };
        }
        match message.sticky.filter(|_| message.target == Target::Service) {
            Some(_) => {
                let choice = Choice {
                    numbers: Vec::new(),
                    shares: shares
                        .iter()
                        .map(|(at, count)| (self.sims[*at].handle.key(), *count as u32))
                        .collect(),
                };
                self.check_key(&message, &eligible, &choice)?;
            }
            None => self.check_shares(&message, &eligible, &shares)?,
        }
        let mut numbers = message.numbers.iter().copied();
        for (to, count) in shares {
            let part = Message {
                numbers: numbers.by_ref().take(count).collect(),
                ..message.clone()
            };
            if part.numbers.len() != count {
                return Err(format!("there are fewer of {message:?}"));
            }
            self.give(sending, to, part);
        }
        match numbers.next() {
            None => Ok(()),
            Some(number) => Err(format!("nobody has got {number}")),
        }
    }

    /// A call: to one that has it, or nobody, and why.
    pub(super) fn place_call(
        &mut self,
        sending: &mut Sending,
        message: Message,
    ) -> Result<Result<(), Code>, String> {
        let mut among = VecDeque::from([message]);
        let (message, choice) = self.next_choice(&mut among)?;
        self.place_chosen_call(sending, message, choice)
    }

    fn place_chosen_call(
        &mut self,
        sending: &mut Sending,
        mut message: Message,
        mut choice: Choice,
    ) -> Result<Result<(), Code>, String> {
        loop {
            let eligible = self.eligible(&message);
            let chosen = choice.shares.first().map(|(key, _)| *key);
            let at = eligible
                .iter()
                .copied()
                .find(|at| Some(self.sims[*at].handle.key()) == chosen);
            self.say(|| {
                format!(
                    "  the call {:?} goes to {at:?} of {eligible:?}",
                    message.numbers
                )
            });
            let Some(at) = at else {
                return match eligible.is_empty() && chosen.is_none() {
                    true => Ok(Err(sending.code())),
                    false => Err(format!("{chosen:?} has a call, of {eligible:?}")),
                };
            };
            let load = |at: usize| self.call_load(at);
            match message.sticky {
                Some(_) => {
                    self.check_key(&message, &eligible, &choice)?;
                }
                None => {
                    if let Some(less) = eligible.iter().find(|one| load(**one) < load(at)) {
                        return Err(format!("{less} has fewer calls than {at}"));
                    }
                }
            }
            message.client = None;
            if !self.find_client(at, &mut message) {
                return Ok(Err(Code::Unavailable));
            }
            match self.push_to(at, message.clone()) {
                Pushed::Queued { is_congested } => {
                    // Of calls only those wait that are heard apart.
                    let waits = message.client.is_some_and(|client| {
                        let is_there = !matches!(self.sims[client].link, Link::Ended(_));
                        sending.from == Some(client) && is_there
                    });
                    sending.is_congested |= is_congested && waits;
                    return Ok(Ok(()));
                }
                Pushed::Over(reason) => sending.over.push((at, reason)),
                Pushed::Crowded => sending.is_crowded = true,
                Pushed::Dropped | Pushed::Gone => {}
            }
            message.tried.push(at);
            let mut among = VecDeque::from([message]);
            (message, choice) = self.next_choice(&mut among)?;
        }
    }

    /// Ends those who are over their limits, and sends what has to go another way, until there is nothing of either.
    pub(super) fn finish(&mut self, sending: &mut Sending) -> Checked {
        while !sending.over.is_empty() || !sending.again.is_empty() {
            for (at, reason) in std::mem::take(&mut sending.over) {
                if !matches!(self.sims[at].link, Link::Ended(_)) {
                    let left = self.gone(at, reason);
                    sending.again.extend(left);
                }
            }
            let mut again = VecDeque::from(std::mem::take(&mut sending.again));
            while !again.is_empty() {
                let (message, choice) = self.next_choice(&mut again)?;
                if !message.is_call {
                    self.place_chosen(sending, message, choice)?;
                    continue;
                }
                let number = message.numbers[0];
                if let Err(code) = self.place_chosen_call(sending, message, choice)? {
                    self.expected_refusals.push((number, code));
                }
            }
        }
        Ok(())
    }

    /// What was meant for one that cannot have it any more goes to others.
    pub(super) fn hand_over(&mut self, left: Vec<Message>) -> Checked {
        let mut sending = Sending {
            again: left,
            ..Sending::default()
        };
        self.finish(&mut sending)?;
        self.bury(sending.unplaced)
    }

    /// Each message that nobody could have goes to those who hear of the dead.
    pub(super) fn bury(&mut self, dead: Vec<Message>) -> Checked {
        let mut dead = VecDeque::from(dead);
        while let Some(message) = dead.pop_front() {
            if !message.acked || message.topic.starts_with('$') {
                continue;
            }
            let about = message.topic.split("/$").next().unwrap_or_default();
            let mut sending = Sending::default();
            for number in &message.numbers {
                let letter = Message {
                    numbers: vec![*number],
                    topic: format!("$dead/{about}"),
                    target: Target::Everyone,
                    kind: match message.kind {
                        MsgKind::State => MsgKind::Event,
                        kind => kind,
                    },
                    key: None,
                    sticky: None,
                    client: None,
                    tried: Vec::new(),
                    ..message.clone()
                };
                self.send_to_all(&mut sending, &letter)?;
            }
            self.finish(&mut sending)?;
            dead.extend(sending.unplaced);
        }
        Ok(())
    }

    /// The load is as equal as it can be, and equals take turns.
    fn check_shares(
        &mut self,
        message: &Message,
        eligible: &[usize],
        shares: &[(usize, usize)],
    ) -> Checked {
        let loads: BTreeMap<usize, usize> = eligible
            .iter()
            .map(|at| (*at, self.waiting_in_all(*at)))
            .collect();
        if let Target::Service = message.target {
            let about = message.topic.strip_suffix("/$in").unwrap_or(&message.topic);
            let is_whole = eligible.iter().all(|at| self.is_connected(*at));
            if !is_whole || !message.tried.is_empty() {
                // Others take a turn too.
                self.turns.remove(about);
                return Ok(());
            }
            let turns = self.turns.entry(about.to_owned()).or_default();
            if !turns.keys().eq(eligible) {
                *turns = eligible.iter().map(|at| (*at, 0)).collect();
            }
            for (at, count) in shares {
                *turns.entry(*at).or_default() += *count as u64;
            }
            let (least, most) = (turns.values().min(), turns.values().max());
            if most > least.map(|least| least + 1).as_ref() {
                return Err(format!("turns of {about}: {turns:?}"));
            }
            return Ok(());
        }
        let got = |at: usize| {
            let mut shares = shares.iter();
            shares
                .find(|(one, _)| *one == at)
                .map_or(0, |(_, count)| *count)
        };
        let least = eligible.iter().map(|at| loads[at] + got(*at)).min();
        let is_more =
            |(at, count): &&(usize, usize)| Some(loads[at] + count) > least.map(|one| one + 1);
        match shares.iter().find(is_more) {
            Some((at, _)) => Err(format!(
                "{at} has more than its share: {loads:?} {shares:?}"
            )),
            None => Ok(()),
        }
    }
}
