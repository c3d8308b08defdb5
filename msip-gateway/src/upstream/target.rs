//! Where the sessions of an upstream connect to.

/// Where a session connects to.
#[derive(Debug)]
pub(super) struct Target {
    /// The URL without a topic.
    pub(super) url: String,
    pub(super) topic: Option<String>,
}
