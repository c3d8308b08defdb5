//! What requests ask for.

use serde::Deserialize;

/// How many entries an answer has, unless it is asked for fewer.
const MOST: usize = 1000;
const USUAL: usize = 100;

/// Which part of a list. An unknown name in a query is an error.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    #[serde(default)]
    pub(super) sort: Sort,
    #[serde(default)]
    pub(super) state: ConnectionState,
    limit: Option<usize>,
    #[serde(default)]
    offset: usize,
}

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

/// Which topics, in the order of their names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopicQuery {
    /// Those after this one, as an answer has named it.
    pub(super) after: Option<String>,
    limit: Option<usize>,
}

impl ListQuery {
    /// The part that is asked for.
    pub(super) fn page<T>(&self, all: impl IntoIterator<Item = T>) -> Vec<T> {
        all.into_iter()
            .skip(self.offset)
            .take(most(self.limit))
            .collect()
    }
}

impl TopicQuery {
    pub(super) fn most(&self) -> usize {
        most(self.limit)
    }
}

fn most(limit: Option<usize>) -> usize {
    limit.unwrap_or(USUAL).min(MOST)
}
