//! Sessions subscribe, and revoke that.

use bytes::Bytes;
use msip_session::{MsgKind, wire::Code};

use super::{Checked, Link, World, limits::SUBSCRIPTIONS, message::Message, queues::Pushed};
use crate::{
    router::{Dialect, SubscribeRequest, Target},
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
        let group = (self.random.once_in(3) && !text.starts_with("$dead")).then_some("g");
        let is_mip = self.sims[at].dialect == Dialect::Mip;
        if is_mip && text.contains(['+', '#']) {
            return Ok(());
        }
        let filter = match is_mip {
            true => Filter::Literal(Bytes::copy_from_slice(text.as_bytes())),
            false => Filter::Pattern(TopicFilter::new(&text).expect("a filter")),
        };
        let request = SubscribeRequest {
            group: group.map(str::to_owned),
            ..SubscribeRequest::new(filter)
        };
        let subscribed = self
            .router
            .subscribe(&self.sims[at].handle, request, self.now);
        self.say(|| format!("{at} subscribes {text} {group:?}: {subscribed:?}"));
        let is_full = self.sims[at].filters.len() >= SUBSCRIPTIONS
            && !self.sims[at].filters.contains_key(&text);
        let expected = match self.sims[at].link {
            Link::Ended(_) => Err(Code::Unavailable),
            _ if !self.may_subscribe(at, &text) => Err(Code::PermissionDenied),
            _ if is_full => Err(Code::ResourceExhausted),
            _ => Ok(()),
        };
        if expected.is_ok() {
            self.turns.clear();
            let before = self.sims[at].filters.insert(text.clone(), group);
            let kept: Vec<_> = self
                .kept
                .iter()
                .filter(|((topic, _), (_, expires))| {
                    self.asks_for(at, &text, topic)
                        && self.may_hear(at, topic)
                        && expires.is_none_or(|expires| expires > self.now)
                })
                .map(|((topic, key), (number, expires))| {
                    (topic.clone(), key.clone(), *number, *expires)
                })
                .collect();
            for (topic, key, number, expires) in kept {
                let message = Message {
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
                    tried: Vec::new(),
                    is_new: false,
                };
                if let Pushed::Over(_) = self.push(at, message) {
                    if before.is_none() {
                        self.sims[at].filters.remove(&text);
                    }
                    return match subscribed {
                        Err(refused) if refused.code == Code::ResourceExhausted => Ok(()),
                        other => Err(format!("there is no place for what is kept: {other:?}")),
                    };
                }
            }
        }
        match subscribed.map(|_| ()).map_err(|refused| refused.code) == expected {
            true => Ok(()),
            false => Err(format!(
                "{at} subscribes to {text}, and {expected:?} is right"
            )),
        }
    }

    pub(super) fn unsubscribe(&mut self, at: usize) -> Checked {
        let Some(text) = self.sims[at].filters.keys().next().cloned() else {
            return Ok(());
        };
        let filter = match self.sims[at].dialect {
            Dialect::Mip => Filter::Literal(Bytes::copy_from_slice(text.as_bytes())),
            Dialect::Msip | Dialect::MiddleMan => {
                Filter::Pattern(TopicFilter::new(&text).expect("a filter"))
            }
        };
        self.say(|| format!("{at} unsubscribes {text}"));
        self.sims[at].filters.remove(&text);
        self.turns.clear();
        match self.router.unsubscribe(&self.sims[at].handle, &filter) {
            true => Ok(()),
            false => Err(format!("{at} had no subscription to {text}")),
        }
    }
}
