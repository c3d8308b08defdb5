//! The routes that publishers know, and which of them a change concerns.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use bytes::Bytes;

use super::route::Route;
use crate::topic::{self, Filter, Internal, PRESENCE, SERVICES, TopicFilter};

/// All routes that are up to date and that a publisher may have, by topic. A change outdates those which it concerns, and no
/// other: whoever subscribes to a topic by its name outdates its route alone.
#[derive(Debug, Default)]
pub(super) struct Routes {
    by_topic: BTreeMap<Bytes, Arc<Route>>,
    /// Those that no publisher has are forgotten when there are so many.
    sweep_at: usize,
    /// How many were looked up.
    #[cfg(test)]
    pub(super) resolved: usize,
}

/// Topics that are longer, in bytes, are remembered only as long as somebody uses them.
pub(super) const LONG: usize = 1024;

impl Routes {
    /// The route of a topic, if it is known.
    pub(super) fn get(&self, topic: &[u8]) -> Option<&Arc<Route>> {
        self.by_topic.get(topic)
    }

    /// Adds a route. Beyond `most`, those that no publisher has any more are forgotten.
    pub(super) fn insert(&mut self, route: Arc<Route>, most: usize) {
        #[cfg(test)]
        {
            self.resolved += 1;
        }
        if route.topic.len() > LONG {
            // Those of MIP's could take very much memory: each goes when another one comes.
            self.by_topic
                .retain(|topic, route| topic.len() <= LONG || Arc::strong_count(route) > 1);
        }
        if self.by_topic.len() >= self.sweep_at.max(most) {
            self.by_topic
                .retain(|_, route| Arc::strong_count(route) > 1);
            self.sweep_at = self.by_topic.len().saturating_mul(2);
        }
        self.by_topic.insert(route.topic.clone(), route);
    }

    /// The route of a topic is out of date.
    pub(super) fn outdate(&mut self, topic: &[u8]) {
        if let Some(route) = self.by_topic.remove(topic) {
            route.outdate();
        }
    }

    /// Those that lead to who subscribes to this: of the topics it matches, and of a topic whose services or whose presence it
    /// is about.
    pub(super) fn outdate_matching(&mut self, filter: &Filter) {
        match filter {
            Filter::Literal(topic) => self.outdate_named(topic),
            Filter::Pattern(filter) if filter.is_literal() => {
                self.outdate_named(filter.as_str().as_bytes());
            }
            Filter::Pattern(filter) => self.outdate_pattern(filter),
        }
    }

    /// Those that lead to this client alone, `T/$to/<peer>`: it hears them by its subscription to `T`, which does not match them.
    pub(super) fn outdate_peer(&mut self, topics: &[Bytes], peer: &str) {
        for about in topics {
            self.outdate(&topic::to_peer(about, peer));
        }
    }

    fn outdate_named(&mut self, topic: &[u8]) {
        self.outdate(topic);
        match Internal::of(topic) {
            Internal::Services(about) => self.outdate(about),
            Internal::Presence(about) => {
                self.outdate(about);
                self.outdate(&topic::services(about));
            }
            _ => {}
        }
    }

    fn outdate_pattern(&mut self, filter: &TopicFilter) {
        let prefix = filter.literal_prefix();
        self.outdate_below(prefix, |topic| filter.matches(topic));
        let is_about_services = filter.levels().last() == Some(SERVICES.as_bytes());
        if is_about_services {
            // `T` has this prefix as `T/$in` does: what no wildcard stands for comes last.
            self.outdate_below(prefix, |topic| {
                matches!(Internal::of(topic), Internal::Clients(about) if filter.matches(&topic::services(about)))
            });
        }
        if let Some(below) = prefix.strip_prefix(PRESENCE.as_bytes()) {
            let below = below.strip_prefix(b"/").unwrap_or(below);
            self.outdate_below(below, |topic| {
                matches!(Internal::of(topic), Internal::Clients(about) | Internal::Services(about)
                    if filter.matches(&topic::presence(about)))
            });
        }
    }

    /// Those of topics where clients may do what a grant for this filter enables.
    pub(super) fn outdate_enabled(&mut self, filter: &TopicFilter) {
        self.outdate_below(filter.literal_prefix(), |topic| match Internal::of(topic) {
            Internal::Clients(about)
            | Internal::Services(about)
            | Internal::Peer { topic: about, .. } => filter.matches(about),
            _ => false,
        });
    }

    fn outdate_below(&mut self, prefix: &[u8], is_concerned: impl Fn(&[u8]) -> bool) {
        let near = self
            .by_topic
            .range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
        let concerned: Vec<Bytes> = near
            .take_while(|(topic, _)| topic.starts_with(prefix))
            .filter(|(topic, _)| is_concerned(topic))
            .map(|(topic, _)| topic.clone())
            .collect();
        for topic in concerned {
            self.outdate(&topic);
        }
    }
}
