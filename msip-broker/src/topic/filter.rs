//! Filters: which topics a subscription or a right is about.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use msip_session::wire::Escaped;
use thiserror::Error;

use super::Internal;

/// The most levels of a topic or a filter of an MSIP peer.
pub const MAX_LEVELS: usize = 32;

/// The most bytes of them.
pub(super) const MAX_LEN: usize = 255;

/// What a session subscribes to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Filter {
    /// One topic, compared byte by byte, as MIP's peers name it: it may be empty, and `+` and `#` are bytes like others.
    Literal(Bytes),
    /// The topics that a filter of an MSIP peer matches.
    Pattern(TopicFilter),
}

impl Filter {
    /// Its text.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Literal(topic) => topic,
            Self::Pattern(filter) => filter.as_str().as_bytes(),
        }
    }

    /// How long it is, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether it is about `T/$in`.
    pub(crate) fn is_of_services(&self) -> bool {
        matches!(Internal::of(self.as_bytes()), Internal::Services(_))
    }

    /// Whether the messages of a topic are asked for.
    pub fn matches(&self, topic: &[u8]) -> bool {
        match self {
            Self::Literal(literal) => literal == topic,
            Self::Pattern(filter) => filter.matches(topic),
        }
    }
}

/// A filter with wildcards, or one topic: valid, and cheap to clone. It has at most 255 bytes and 32 levels.
///
/// # Examples
///
/// ```
/// use msip_broker::topic::TopicFilter;
///
/// let filter = TopicFilter::new("fleet/+/position")?;
/// assert!(filter.matches(b"fleet/7/position"));
/// assert!(!filter.matches(b"fleet/7/north/position"));
/// // All levels that follow, and none.
/// assert!(TopicFilter::new("fleet/#")?.matches(b"fleet"));
/// // No wildcard stands for a level of the broker.
/// assert!(!TopicFilter::new("fleet/+")?.matches(b"fleet/$in"));
/// # Ok::<(), msip_broker::topic::FilterError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicFilter(Arc<str>);

impl TopicFilter {
    /// The filter of this text.
    ///
    /// # Errors
    ///
    /// See [`FilterError`].
    pub fn new(text: &str) -> Result<Self, FilterError> {
        if text.is_empty() {
            return Err(FilterError::Empty);
        }
        if text.len() > MAX_LEN {
            return Err(FilterError::TooLong { len: text.len() });
        }
        if let Some(control) = text.chars().find(|one| one.is_control()) {
            return Err(FilterError::ControlCharacter(control));
        }
        let mut count = 0_usize;
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            count = count.saturating_add(1);
            match level {
                "#" if levels.peek().is_some() => return Err(FilterError::NotLast),
                "+" | "#" => {}
                _ if level.contains(['+', '#']) => {
                    return Err(FilterError::PartOfLevel(level.to_owned()));
                }
                _ => {}
            }
        }
        if count > MAX_LEVELS {
            return Err(FilterError::TooDeep { levels: count });
        }
        Ok(Self(text.into()))
    }

    /// The filter as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its levels, from the first.
    pub(crate) fn levels(&self) -> impl Iterator<Item = &[u8]> {
        self.0.as_bytes().split(|byte| *byte == b'/')
    }

    /// Whether it is one topic, without wildcards.
    pub fn is_literal(&self) -> bool {
        !self.0.bytes().any(|byte| matches!(byte, b'+' | b'#'))
    }

    /// What comes before its first wildcard: every topic that it matches begins so.
    pub(crate) fn literal_prefix(&self) -> &[u8] {
        let bytes = self.0.as_bytes();
        let end = bytes.iter().position(|byte| matches!(byte, b'+' | b'#'));
        // `a/#` matches `a` too.
        let prefix = &bytes[..end.unwrap_or(bytes.len())];
        match end {
            Some(_) => prefix.strip_suffix(b"/").unwrap_or(prefix),
            None => prefix,
        }
    }

    /// Whether it matches a topic. The topic is taken as it is, with `+` and `#` as bytes like others.
    pub fn matches(&self, topic: &[u8]) -> bool {
        let mut topic = topic.split(|byte| *byte == b'/');
        for level in self.levels() {
            match level {
                b"#" => return topic.all(|level| !level.starts_with(b"$")),
                b"+" => match topic.next() {
                    Some(level) if !level.starts_with(b"$") => {}
                    _ => return false,
                },
                literal => {
                    if topic.next() != Some(literal) {
                        return false;
                    }
                }
            }
        }
        topic.next().is_none()
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicFilter({:?})", &*self.0)
    }
}

impl std::str::FromStr for TopicFilter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::new(text)
    }
}

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FilterError {
    /// It has no characters.
    #[error("the topic is empty")]
    Empty,
    /// It is longer than a topic may be.
    #[error("the topic has {len} bytes: {MAX_LEN} are allowed")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// It has more levels than a topic may have.
    #[error("the topic has {levels} levels: {MAX_LEVELS} are allowed")]
    TooDeep {
        /// Its levels.
        levels: usize,
    },
    /// It holds a NUL or another control character.
    #[error("the topic holds the control character U+{:04X}", u32::from(*.0))]
    ControlCharacter(char),
    /// Another level follows `#`.
    #[error("`#` is not the last level of the topic")]
    NotLast,
    /// A wildcard is a part of a level.
    #[error("`{}` is not a level of a topic: `+` and `#` stand for whole levels", Escaped::new(.0))]
    PartOfLevel(String),
}
