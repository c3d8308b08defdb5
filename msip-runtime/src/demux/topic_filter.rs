//! Filters of topics, as a broker reads them.

use thiserror::Error;

/// A topic, or many: a level `+` stands for any one level, and a last level `#` for all that follow. Neither stands for a level
/// that begins with `$`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicFilter(String);

/// Why a text is no topic at which a protocol is spoken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum TopicFilterError {
    /// There is none.
    #[error("the topic is empty")]
    Empty,
    /// A level of it is the broker's.
    #[error("the level `{0}` is the broker's: no level of the topic of a protocol begins with `$`")]
    Internal(String),
    /// A wildcard stands where none may.
    #[error("`{0}` is no level: `+` is a level of its own, and `#` the last one")]
    Wildcard(String),
}

impl TopicFilter {
    pub(crate) fn new(text: &str) -> Result<Self, TopicFilterError> {
        if text.is_empty() {
            return Err(TopicFilterError::Empty);
        }
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            if level.starts_with('$') {
                return Err(TopicFilterError::Internal(level.to_owned()));
            }
            let is_last = levels.peek().is_none();
            let is_whole = level == "+" || level == "#" && is_last;
            if level.contains(['+', '#']) && !is_whole {
                return Err(TopicFilterError::Wildcard(level.to_owned()));
            }
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names one topic.
    pub(crate) fn is_literal(&self) -> bool {
        !self.0.contains(['+', '#'])
    }

    pub(crate) fn matches(&self, topic: &str) -> bool {
        let mut levels = topic.split('/');
        for wanted in self.0.split('/') {
            if wanted == "#" {
                return levels.all(|level| !level.starts_with('$'));
            }
            match levels.next() {
                Some(level) if wanted == "+" && !level.starts_with('$') => {}
                Some(level) if wanted == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_levels_that_are_not_the_brokers() {
        let matches = |filter, topic| TopicFilter::new(filter).unwrap().matches(topic);
        assert!(matches("devices/+", "devices/7"));
        assert!(!matches("devices/+", "devices"));
        assert!(!matches("devices/+", "devices/7/door"));
        assert!(!matches("devices/+", "devices/$in"));
        assert!(matches("devices/#", "devices/7/door"));
        assert!(!matches("devices/#", "devices/7/$in/x"));
        assert!(matches("room1", "room1") && !matches("room1", "room2"));
    }

    #[test]
    fn what_is_no_topic_of_a_protocol_is_refused() {
        for (text, error) in [
            ("", TopicFilterError::Empty),
            ("a/$in", TopicFilterError::Internal("$in".into())),
            ("a/b+", TopicFilterError::Wildcard("b+".into())),
            ("#/a", TopicFilterError::Wildcard("#".into())),
        ] {
            assert_eq!(TopicFilter::new(text), Err(error), "{text}");
        }
        assert!(!TopicFilter::new("a/+").unwrap().is_literal());
        assert!(TopicFilter::new("a/b").unwrap().is_literal());
    }
}
