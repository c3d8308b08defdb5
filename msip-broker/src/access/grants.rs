//! What services have enabled for clients, all of it.

use std::collections::BTreeMap;

use super::{Grant, Uses};
use crate::topic::TopicFilter;

/// What live services enable, by filter and by who has given it. `K` names a giver.
#[derive(Debug)]
pub struct Grants<K>(BTreeMap<TopicFilter, BTreeMap<K, Grant>>);

impl<K> Default for Grants<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Copy + Ord> Grants<K> {
    /// Gives a grant, in place of what the same giver gave for the same filter.
    pub fn give(&mut self, giver: K, filter: TopicFilter, grant: Grant) {
        self.0.entry(filter).or_default().insert(giver, grant);
    }

    /// Takes a grant back.
    pub fn take_back(&mut self, giver: K, filter: &TopicFilter) {
        if let Some(givers) = self.0.get_mut(filter) {
            givers.remove(&giver);
            if givers.is_empty() {
                self.0.remove(filter);
            }
        }
    }

    /// Whether givers enable all of this for the same filter, together.
    pub fn enables(&self, filter: &TopicFilter, grant: Grant) -> bool {
        let uses = [Uses::Publish, Uses::Subscribe, Uses::Request];
        let mut needed = uses.into_iter().filter(|uses| grant.enables(*uses));
        let givers = self.0.get(filter);
        needed.all(|uses| givers.is_some_and(|givers| enabling(givers, uses).next().is_some()))
    }

    /// Who enables this for a topic.
    pub fn for_topic(&self, uses: Uses, topic: &[u8]) -> impl Iterator<Item = K> {
        self.0
            .iter()
            .filter(|(filter, _)| filter.matches(topic))
            .flat_map(move |(_, givers)| enabling(givers, uses))
    }

    /// Who enables this for all topics of a filter.
    pub fn for_filter(&self, uses: Uses, asked: &TopicFilter) -> impl Iterator<Item = K> {
        self.0
            .iter()
            .filter(|(filter, _)| filter.covers(asked))
            .flat_map(move |(_, givers)| enabling(givers, uses))
    }
}

fn enabling<K: Copy>(givers: &BTreeMap<K, Grant>, uses: Uses) -> impl Iterator<Item = K> {
    let enabling = givers.iter().filter(move |(_, grant)| grant.enables(uses));
    enabling.map(|(giver, _)| *giver)
}
