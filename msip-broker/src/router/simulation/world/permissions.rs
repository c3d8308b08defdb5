//! What may be done, and who hears what.

use msip_session::wire::Code;

use super::{
    super::rights::{Answer, belongs, is_matched, is_within},
    Link, World,
    message::Message,
};
use crate::{
    access::Uses,
    router::{Dialect, Target},
};

impl World {
    pub(super) fn is_enabled(&self, uses: Uses, asked: &str, is_live: bool) -> bool {
        self.sims.iter().any(|giver| {
            let is_there = match giver.link {
                Link::Ended(_) => false,
                Link::Away(_) => !is_live,
                _ => true,
            };
            is_there
                && giver
                    .grants
                    .iter()
                    .any(|(filter, grant)| grant.enables(uses) && is_within(asked, filter))
        })
    }

    pub(super) fn may_hear(&self, at: usize, topic: &str) -> bool {
        let sim = &self.sims[at];
        let Some((about, uses)) = belongs(topic, sim.handle.peer()) else {
            return false;
        };
        match sim.said.about(uses, about) {
            Answer::Yes => true,
            Answer::IfEnabled => self.is_enabled(uses, about, false),
            Answer::No => false,
        }
    }

    pub(super) fn may_subscribe(&self, at: usize, filter: &str) -> bool {
        // A filter means all its topics, and a single one is enough to allow or enable all of them.
        self.may_hear(at, filter)
    }

    /// Whether it may send, and the code if not.
    pub(super) fn may_send(&self, at: usize, uses: Uses, topic: &str) -> Result<(), Code> {
        let sim = &self.sims[at];
        let answer = match topic.split_once("/$to/") {
            Some((about, _)) => {
                let serves = sim.said.about(Uses::Serve, about) == Answer::Yes;
                match serves && uses == Uses::Publish && !sim.said.is_denied(Uses::Publish, about) {
                    true => Answer::Yes,
                    false => Answer::No,
                }
            }
            None => {
                let about = topic.strip_suffix("/$in").unwrap_or(topic);
                let serves = uses == Uses::Publish
                    && about == topic
                    && sim.said.about(Uses::Serve, about) == Answer::Yes
                    && !sim.said.is_denied(Uses::Publish, about);
                match serves {
                    true => Answer::Yes,
                    false => sim.said.about(uses, about),
                }
            }
        };
        let about = topic.split("/$").next().unwrap_or_default();
        match answer {
            Answer::Yes => Ok(()),
            Answer::No => Err(Code::PermissionDenied),
            Answer::IfEnabled if self.is_enabled(uses, about, true) => Ok(()),
            Answer::IfEnabled if self.is_enabled(uses, about, false) => Err(Code::Unavailable),
            Answer::IfEnabled => Err(Code::PermissionDenied),
        }
    }

    /// Whether a filter of a session matches, as its dialect compares.
    pub(super) fn asks_for(&self, at: usize, filter: &str, topic: &str) -> bool {
        match self.sims[at].dialect {
            Dialect::Mip => filter == topic,
            Dialect::Msip | Dialect::MiddleMan => is_matched(filter, topic),
        }
    }

    pub(super) fn is_subscribed(
        &self,
        at: usize,
        topic: &str,
        group: Option<Option<&str>>,
    ) -> bool {
        let sim = &self.sims[at];
        // A typed client of a topic hears what services send to it alone.
        let is_for_it = topic.split_once("/$to/").is_some_and(|(about, to)| {
            let held = sim.filters.get(about);
            to == sim.handle.peer() && held.is_some_and(|held| held.by_peer)
        });
        !matches!(sim.link, Link::Ended(_))
            && self.may_hear(at, topic)
            && (is_for_it && group.is_none_or(|group| group.is_none())
                || sim.filters.iter().any(|(filter, of)| {
                    self.asks_for(at, filter, topic) && group.is_none_or(|group| group == of.group)
                }))
    }

    pub(super) fn hearing(&self, topic: &str, group: Option<Option<&str>>) -> Vec<usize> {
        (0..self.sims.len())
            .filter(|at| self.is_subscribed(*at, topic, group))
            .collect()
    }

    /// Who could have a message that is for one.
    pub(super) fn eligible(&self, message: &Message) -> Vec<usize> {
        let all = match &message.target {
            Target::Everyone => return self.hearing(&message.topic, Some(None)),
            Target::Group(name) => self.hearing(&message.topic, Some(Some(name))),
            Target::Service => {
                let about = message.topic.strip_suffix("/$in").unwrap_or(&message.topic);
                self.hearing(&format!("{about}/$in"), None)
            }
        };
        let untried = all.into_iter().filter(|at| !message.tried.contains(at));
        let untried: Vec<usize> = untried.collect();
        let connected = untried.iter().copied().filter(|at| self.is_connected(*at));
        let connected: Vec<_> = connected.collect();
        match connected.is_empty() && !message.is_call {
            true => untried,
            false => connected,
        }
    }

    pub(super) fn is_connected(&self, at: usize) -> bool {
        matches!(self.sims[at].link, Link::Ready | Link::Writing)
    }
}
