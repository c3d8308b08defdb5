//! What came of a case.

use std::time::Duration;

/// The raw peer, as a side of a pair.
pub(crate) const RAW: &str = "raw";

/// Who plays with whom: languages, or the raw peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sides {
    pub(crate) client: &'static str,
    pub(crate) server: &'static str,
}

/// What came of a case between two sides.
#[derive(Debug, Clone)]
pub(crate) struct Played {
    pub(crate) case: String,
    pub(crate) sides: Sides,
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
    /// Whether it is listed as a known failure.
    pub(crate) is_known: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed(String),
    /// A driver lacks this profile.
    NotOffered(String),
}
