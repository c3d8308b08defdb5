//! Who subscribes to what: a tree of levels for filters with wildcards, and a table for single topics.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use bytes::Bytes;

use super::{SessionKey, session::Session};
use crate::topic::{Filter, TopicFilter};

/// A subscription of a session.
#[derive(Debug, Clone)]
pub(super) struct Subscriber {
    pub(super) session: Arc<Session>,
    pub(super) group: Option<Arc<str>>,
    /// Whether it compares bytes, as MIP's peers do.
    pub(super) is_literal: bool,
    /// Whether it is of typed traffic.
    pub(super) is_by_peer: bool,
    /// What its session says that it speaks, where it is a service.
    pub(super) spoken: Option<Arc<Spoken>>,
}

/// What is spoken at a topic.
#[derive(Debug)]
pub(super) struct Spoken {
    /// The change of the router in which it was said: the first one holds.
    pub(super) since: u64,
    pub(super) protocol: Arc<str>,
    pub(super) fingerprint: u64,
    /// Whether others with another schema are refused.
    pub(super) is_strict: bool,
}

/// How a session subscribes.
#[derive(Debug, Default)]
pub(super) struct Terms {
    pub(super) group: Option<Arc<str>>,
    pub(super) is_by_peer: bool,
    pub(super) spoken: Option<Arc<Spoken>>,
}

/// All subscriptions. A session has one for each filter.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    topics: HashMap<Bytes, Vec<Subscriber>>,
    root: Node,
}

/// What the tree has below some levels.
#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<[u8]>, Node>,
    one: Option<Box<Node>>,
    here: Vec<Subscriber>,
    rest: Vec<Subscriber>,
}

impl Node {
    fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.one.is_none()
            && self.here.is_empty()
            && self.rest.is_empty()
    }

    /// The list of a filter's subscribers.
    fn list(&mut self, filter: &TopicFilter) -> &mut Vec<Subscriber> {
        let mut node = self;
        for level in filter.levels() {
            node = match level {
                b"#" => return &mut node.rest,
                b"+" => node.one.get_or_insert_default(),
                level => node.children.entry(level.into()).or_default(),
            };
        }
        &mut node.here
    }

    fn remove<'a>(&mut self, mut levels: impl Iterator<Item = &'a [u8]>, session: SessionKey) {
        match levels.next() {
            None => remove(&mut self.here, session),
            Some(b"#") => remove(&mut self.rest, session),
            Some(b"+") => {
                if let Some(one) = &mut self.one {
                    one.remove(levels, session);
                    if one.is_empty() {
                        self.one = None;
                    }
                }
            }
            Some(level) => {
                if let Some(child) = self.children.get_mut(level) {
                    child.remove(levels, session);
                    if child.is_empty() {
                        self.children.remove(level);
                    }
                }
            }
        }
    }

    fn matching<'a>(&'a self, levels: &[&[u8]], found: &mut Vec<&'a Subscriber>) {
        if !levels.iter().any(|level| level.starts_with(b"$")) {
            found.extend(&self.rest);
        }
        let Some((level, levels)) = levels.split_first() else {
            found.extend(&self.here);
            return;
        };
        if let Some(child) = self.children.get(*level) {
            child.matching(levels, found);
        }
        if let Some(one) = &self.one
            && !level.starts_with(b"$")
        {
            one.matching(levels, found);
        }
    }
}

fn remove(list: &mut Vec<Subscriber>, session: SessionKey) {
    list.retain(|one| one.session.key != session);
    if list.is_empty() {
        list.shrink_to(0);
    }
}

impl Subscriptions {
    /// Adds a subscription, or changes the terms of the one that the session has for this filter.
    pub(super) fn insert(&mut self, filter: &Filter, session: &Arc<Session>, terms: Terms) {
        let list = match filter {
            Filter::Literal(topic) => self.topics.entry(topic.clone()).or_default(),
            Filter::Pattern(filter) if filter.is_literal() => {
                let topic = Bytes::copy_from_slice(filter.as_str().as_bytes());
                self.topics.entry(topic).or_default()
            }
            Filter::Pattern(filter) => self.root.list(filter),
        };
        let Terms {
            group,
            is_by_peer,
            spoken,
        } = terms;
        match list.iter_mut().find(|one| one.session.key == session.key) {
            Some(subscriber) => {
                subscriber.group = group;
                subscriber.is_by_peer = is_by_peer;
                subscriber.spoken = spoken;
            }
            None => {
                // Most topics have one.
                if list.is_empty() {
                    list.reserve_exact(1);
                }
                list.push(Subscriber {
                    session: session.clone(),
                    group,
                    is_literal: matches!(filter, Filter::Literal(_)),
                    is_by_peer,
                    spoken,
                });
            }
        }
    }

    /// Removes a subscription.
    pub(super) fn remove(&mut self, filter: &Filter, session: SessionKey) {
        let topic = match filter {
            Filter::Literal(topic) => topic.clone(),
            Filter::Pattern(filter) if filter.is_literal() => {
                Bytes::copy_from_slice(filter.as_str().as_bytes())
            }
            Filter::Pattern(filter) => return self.root.remove(filter.levels(), session),
        };
        if let Entry::Occupied(mut list) = self.topics.entry(topic) {
            remove(list.get_mut(), session);
            if list.get().is_empty() {
                list.remove();
            }
        }
    }

    /// The subscriptions that match a topic. One that is none of MSIP's is heard by those alone who compare bytes.
    pub(super) fn matching(&self, topic: &[u8]) -> Vec<&Subscriber> {
        let mut found: Vec<_> = self.topics.get(topic).into_iter().flatten().collect();
        if crate::topic::is_valid(topic) {
            let levels: Vec<_> = topic.split(|byte| *byte == b'/').collect();
            self.root.matching(&levels, &mut found);
        } else {
            found.retain(|one| one.is_literal);
        }
        found
    }

    /// The topics that are subscribed to by name.
    pub(super) fn topics(&self) -> impl Iterator<Item = &Bytes> {
        self.topics.keys()
    }

    /// The same topic in memory that is shared with the others that subscribe to it by name.
    pub(super) fn shared_topic(&self, topic: Bytes) -> Bytes {
        let known = self.topics.get_key_value(&topic);
        known.map_or(topic, |(known, _)| known.clone())
    }

    /// How many subscriptions name a topic.
    pub(super) fn naming(&self, topic: &[u8]) -> usize {
        self.topics.get(topic).map_or(0, Vec::len)
    }

    /// The clients of typed traffic at a topic.
    pub(super) fn by_peer(&self, topic: &[u8]) -> Vec<Arc<Session>> {
        let named = self.topics.get(topic).into_iter().flatten();
        let named = named.filter(|one| one.is_by_peer);
        named.map(|one| one.session.clone()).collect()
    }

    /// Who has subscribed to a topic by its name.
    pub(super) fn of_topic(&self, topic: &[u8]) -> Vec<SessionKey> {
        let named = self.topics.get(topic).into_iter().flatten();
        named.map(|one| one.session.key).collect()
    }
}
