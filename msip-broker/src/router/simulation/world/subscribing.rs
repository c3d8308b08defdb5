//! Sessions subscribe, and revoke that.

use bytes::Bytes;
use msip_session::{MsgKind, wire::Code};

use super::{Checked, Held, Link, World, limits::SUBSCRIPTIONS, message::Message, queues::Pushed};
use crate::{
    router::{Dialect, SubscribeRequest, Target, WakeList},
    topic::{Filter, TopicFilter},
};

const FILTERS: [&str; 11] = [
    "a", "a/b", "b", "#", "a/#", "a/+", "+", "a/$in", "a/b/$in", "+/$in", "$dead/a",
];

impl World {
    pub(super) fn filter(&mut self, at: usize) -> String {
        match self.random.once_in(8) {
            true => {
                let peer = match self.random.once_in(4) {
                    true => "99",
                    false => self.sims[at].handle.peer(),
                };
                format!("a/$to/{peer}")
            }
            false => (*self.random.one_of(&FILTERS)).to_owned(),
        }
    }

    pub(super) fn subscribe(&mut self, at: usize) -> Checked {
        let text = self.filter(at);
        let is_mip = self.sims[at].dialect == Dialect::Mip;
        let is_by_peer = !is_mip && self.random.once_in(2);
        let once_in = if is_by_peer { 20 } else { 3 };
        let group = (self.random.once_in(once_in) && !text.starts_with("$dead")).then_some("g");
        let held = Held {
            group,
            by_peer: is_by_peer,
        };
        if is_mip && text.contains(['+', '#']) {
            return Ok(());
        }
        let filter = match is_mip {
            true => Filter::Literal(Bytes::copy_from_slice(text.as_bytes())),
            false => Filter::Pattern(TopicFilter::new(&text).expect("a filter")),
        };
        let request = SubscribeRequest {
            group: group.map(str::to_owned),
            is_by_peer,
            ..SubscribeRequest::new(filter)
        };
        let subscribed = self
            .router
            .subscribe(&self.sims[at].handle, request, self.now);
        self.say(|| format!("{at} subscribes {text} {held:?}: {subscribed:?}"));
        let is_typed = match text.strip_suffix("/$in") {
            Some(_) => true,
            None => !text.contains(['$', '+', '#']),
        };
        let is_full = self.sims[at].filters.len() >= SUBSCRIPTIONS
            && !self.sims[at].filters.contains_key(&text);
        let expected = match self.sims[at].link {
            Link::Ended(_) => Err(Code::Unavailable),
            _ if !self.may_subscribe(at, &text) => Err(Code::PermissionDenied),
            _ if is_full => Err(Code::ResourceExhausted),
            _ if is_by_peer && (!is_typed || group.is_some()) => Err(Code::InvalidArgument),
            _ => Ok(()),
        };
        let mut left = Vec::new();
        if expected.is_ok() {
            self.turns.clear();
            let before = self.sims[at].filters.insert(text.clone(), held);
            let kept: Vec<_> = self
                .kept
                .iter()
                .filter(|((topic, _), (_, expires, _))| {
                    self.asks_for(at, &text, topic)
                        && self.may_hear(at, topic)
                        && expires.is_none_or(|expires| expires > self.now)
                })
                .map(|((topic, key), (number, expires, from))| {
                    (topic.clone(), key.clone(), *number, *expires, *from)
                })
                .collect();
            for (topic, key, number, expires, from) in kept {
                let mut message = Message {
                    numbers: vec![number],
                    topic,
                    target: Target::Everyone,
                    kind: MsgKind::State,
                    is_call: false,
                    acked: true,
                    urgent: self.is_urgent(number),
                    idempotent: false,
                    expires,
                    key: Some(key),
                    sticky: None,
                    from,
                    client: None,
                    tried: Vec::new(),
                    is_new: false,
                };
                if !self.find_client(at, &mut message) {
                    continue;
                }
                if let Pushed::Over(_) | Pushed::Crowded = self.push_to(at, message) {
                    if before.is_none() {
                        let left = self.give_up(at, &text);
                        self.hand_over(left)?;
                    }
                    return match subscribed {
                        Err(refused) if refused.code == Code::ResourceExhausted => Ok(()),
                        other => Err(format!("there is no place for what is kept: {other:?}")),
                    };
                }
            }
            if before.is_some_and(|before| before.by_peer) && !is_by_peer {
                left = self.leaves(at, &text);
            }
            if is_by_peer {
                self.comes(at, &text);
            }
        }
        self.hand_over(left)?;
        match subscribed.map(|_| ()).map_err(|refused| refused.code) == expected {
            true => Ok(()),
            false => Err(format!(
                "{at} subscribes to {text}, and {expected:?} is right"
            )),
        }
    }

    pub(super) fn unsubscribe(&mut self, at: usize) -> Checked {
        let filters: Vec<_> = self.sims[at].filters.keys().cloned().collect();
        if filters.is_empty() {
            return Ok(());
        }
        let text = self.random.one_of(&filters).clone();
        let filter = match self.sims[at].dialect {
            Dialect::Mip => Filter::Literal(Bytes::copy_from_slice(text.as_bytes())),
            Dialect::Msip | Dialect::MiddleMan => {
                Filter::Pattern(TopicFilter::new(&text).expect("a filter"))
            }
        };
        self.say(|| format!("{at} unsubscribes {text}"));
        let handle = self.sims[at].handle.clone();
        let is_left = self
            .router
            .leave(&handle, &filter, self.now, &mut WakeList::new());
        self.turns.clear();
        let left = self.give_up(at, &text);
        self.hand_over(left)?;
        match is_left {
            true => Ok(()),
            false => Err(format!("{at} had no subscription to {text}")),
        }
    }
}
