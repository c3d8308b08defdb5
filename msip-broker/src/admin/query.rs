//! What requests ask for: a list has parameters of its own, and refuses any other by a text that names its own.

use serde::Deserialize;

/// How many entries an answer has, unless it is asked for fewer.
const MOST: usize = 1000;
const USUAL: usize = 100;

/// Which connections.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectionQuery {
    #[serde(default)]
    pub(super) state: ConnectionState,
    /// Of those that are open: the others are in the order in which they have closed.
    pub(super) sort: Option<Sort>,
    pub(super) limit: Option<usize>,
    #[serde(default)]
    pub(super) offset: usize,
}

/// Which sessions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionQuery {
    #[serde(default)]
    pub(super) sort: Sort,
    pub(super) limit: Option<usize>,
    #[serde(default)]
    pub(super) offset: usize,
}

/// Which sessions that are slow, the longest queue first.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SlowQuery {
    pub(super) limit: Option<usize>,
    #[serde(default)]
    pub(super) offset: usize,
}

/// Which topics, in the order of their names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopicQuery {
    /// Those after this one, as an answer has named it.
    pub(super) after: Option<String>,
    limit: Option<usize>,
}

/// Nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoQuery {}

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Sort {
    /// The longest queue first.
    #[default]
    Pending,
    /// The oldest first.
    Age,
    /// The lowest number first.
    Id,
}

/// Which connections.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ConnectionState {
    #[default]
    Open,
    Closed,
}

/// A part of these.
pub(super) fn page<T>(
    all: impl IntoIterator<Item = T>,
    offset: usize,
    limit: Option<usize>,
) -> Vec<T> {
    all.into_iter().skip(offset).take(most(limit)).collect()
}

impl TopicQuery {
    pub(super) fn most(&self) -> usize {
        most(self.limit)
    }
}

fn most(limit: Option<usize>) -> usize {
    limit.unwrap_or(USUAL).min(MOST)
}
