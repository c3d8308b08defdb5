//! Topics and filters (docs/protocol.md, "Subscribe").
//!
//! Levels are separated by `/`. In a filter a level `+` stands for one level, and a last level `#` for all that follow, none
//! included; neither stands for a level that begins with `$`.

mod filter;
mod internal;
mod relation;
#[cfg(test)]
mod tests;

pub use filter::{Filter, FilterError, MAX_LEVELS, TopicFilter};
pub use internal::{Internal, PRESENCE, SERVICES, dead_letters, presence, services, to_peer};

/// Whether a topic is one that an MSIP peer may name in a message: not empty, UTF-8 of at most 255 bytes without control
/// characters, at most [`MAX_LEVELS`] levels, and no `+` or `#` in it.
pub fn is_valid(topic: &[u8]) -> bool {
    !topic.is_empty()
        && topic.len() <= filter::MAX_LEN
        && topic.split(|byte| *byte == b'/').count() <= MAX_LEVELS
        && !topic.iter().any(|byte| matches!(byte, b'+' | b'#'))
        && std::str::from_utf8(topic).is_ok_and(|text| !text.chars().any(char::is_control))
}
