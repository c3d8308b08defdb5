//! Rights change, and services enable topics.

use std::sync::Arc;

use msip_session::wire::Code;

use super::{
    super::rights::{Answer, RIGHTS, Said4},
    Checked, Link, World,
    limits::GRANTS,
};
use crate::{
    access::{Grant, Uses},
    topic::TopicFilter,
};

impl World {
    /// The rights of a session are these now.
    pub(super) fn allow(&mut self, at: usize, said: Said4) -> Checked {
        let sim = &mut self.sims[at];
        sim.said = said;
        sim.grants
            .retain(|filter, _| said.about(Uses::Serve, filter) == Answer::Yes);
        self.turns.clear();
        let left = self.withdraw();
        self.hand_over(left)
    }

    pub(super) fn reauthorize(&mut self, at: usize) -> Checked {
        let said = *self.random.one_of(&RIGHTS);
        let rights = Arc::new(said.rights());
        let is_there = self
            .router
            .reauthorize(&self.sims[at].handle, rights, self.now);
        self.say(|| format!("{at} has other rights: {said:?}"));
        match is_there {
            true => self.allow(at, said),
            false => Ok(()),
        }
    }

    pub(super) fn grant(&mut self, at: usize) -> Checked {
        const GRANTED: [&str; 5] = ["a/#", "a", "b", "#", "a/+"];
        let filter = *self.random.one_of(&GRANTED);
        let pattern = TopicFilter::new(filter).expect("a filter");
        if self.random.once_in(4) {
            let is_revoked = self
                .router
                .revoke(&self.sims[at].handle, &pattern, self.now);
            self.say(|| format!("{at} revokes {filter}: {is_revoked}"));
            let was = self.sims[at].grants.remove(filter).is_some();
            let left = self.withdraw();
            return match was == is_revoked {
                true => self.hand_over(left),
                false => Err(format!("{at} revokes {filter}: {is_revoked}")),
            };
        }
        let grant = Grant {
            publish: !self.random.once_in(3),
            subscribe: !self.random.once_in(3),
            request: !self.random.once_in(3),
        };
        let now = self.now;
        let granted = self
            .router
            .grant(&self.sims[at].handle, pattern, grant, now);
        self.say(|| format!("{at} grants {filter} {grant:?}: {granted:?}"));
        let sim = &self.sims[at];
        let expected = match sim.link {
            Link::Ended(_) => Err(Code::Unavailable),
            _ if sim.said.about(Uses::Serve, filter) != Answer::Yes => Err(Code::PermissionDenied),
            _ if sim.grants.len() >= GRANTS && !sim.grants.contains_key(filter) => {
                Err(Code::ResourceExhausted)
            }
            _ => Ok(()),
        };
        if expected.is_ok() {
            self.sims[at].grants.insert(filter, grant);
            let left = self.withdraw();
            self.hand_over(left)?;
        }
        match granted.map_err(|refused| refused.code) == expected {
            true => Ok(()),
            false => Err(format!("{at} grants {filter}, and {expected:?} is right")),
        }
    }
}
