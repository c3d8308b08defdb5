//! Filters of topics, as a broker reads them.

use thiserror::Error;

/// The topics of a service: one, or many, where a level `+` stands for any one that does not begin with `$`. There is no `#`, since the
/// broker is asked for `T/$in`.
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
    #[error("`{0}` is not a level: `+` is a level of its own")]
    Wildcard(String),
    /// A wildcard for any number of levels.
    #[error(
        "`#` stands for any number of levels: a service says how many there are, by a `+` for each"
    )]
    AnyNumber,
}

impl TopicFilter {
    pub(crate) fn new(text: &str) -> Result<Self, TopicFilterError> {
        if text.is_empty() {
            return Err(TopicFilterError::Empty);
        }
        for level in text.split('/') {
            if level.starts_with('$') {
                return Err(TopicFilterError::Internal(level.to_owned()));
            }
            if level == "#" {
                return Err(TopicFilterError::AnyNumber);
            }
            if level.contains(['+', '#']) && level != "+" {
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
        !self.0.contains('+')
    }

    /// Whether there are topics that both match.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.0.split('/'), other.0.split('/'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some(one), Some(another)) if one == another || one == "+" || another == "+" => {}
                _ => return false,
            }
        }
    }

    pub(crate) fn matches(&self, topic: &str) -> bool {
        let mut levels = topic.split('/');
        for wanted in self.0.split('/') {
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
        assert!(matches("room1", "room1") && !matches("room1", "room2"));
    }

    #[test]
    fn filters_overlap_where_a_topic_matches_both() {
        for (one, another, expected) in [
            ("room1", "room1", true),
            ("room1", "room2", false),
            ("devices/+", "devices/7", true),
            ("devices/+", "+/7", true),
            ("devices/+", "rooms/+", false),
            ("devices/+", "devices/7/door", false),
            ("+/door", "devices/+", true),
            ("+", "devices/+", false),
        ] {
            let (a, b) = (TopicFilter::new(one), TopicFilter::new(another));
            let (a, b) = (a.unwrap(), b.unwrap());
            assert_eq!(a.overlaps(&b), expected, "{one} and {another}");
            assert_eq!(b.overlaps(&a), expected, "{another} and {one}");
        }
    }

    #[test]
    fn what_is_no_topic_of_a_protocol_is_refused() {
        for (text, error) in [
            ("", TopicFilterError::Empty),
            ("a/$in", TopicFilterError::Internal("$in".into())),
            ("a/b+", TopicFilterError::Wildcard("b+".into())),
            ("a/#", TopicFilterError::AnyNumber),
        ] {
            assert_eq!(TopicFilter::new(text), Err(error), "{text}");
        }
        assert!(!TopicFilter::new("a/+").unwrap().is_literal());
        assert!(TopicFilter::new("a/b").unwrap().is_literal());
    }
}
