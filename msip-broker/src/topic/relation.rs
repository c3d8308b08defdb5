//! What two filters have in common.

use super::TopicFilter;

impl TopicFilter {
    /// Whether every topic that `other` matches is matched by this one.
    pub fn covers(&self, other: &Self) -> bool {
        let text = self.as_str();
        // Every topic has a first level, so that both say the same.
        let levels = if text == "+/#" { "#" } else { text }
            .as_bytes()
            .split(|byte| *byte == b'/');
        let mut other = other.levels();
        for level in levels {
            match level {
                // Levels with `$` are out of reach for wildcards.
                b"#" => return other.all(|level| !level.starts_with(b"$")),
                b"+" => match other.next() {
                    Some(b"#") | None => return false,
                    Some(level) if level.starts_with(b"$") => return false,
                    Some(_) => {}
                },
                literal => {
                    if other.next() != Some(literal) {
                        return false;
                    }
                }
            }
        }
        other.next().is_none()
    }

    /// Whether some topic is matched by both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.levels(), other.levels());
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some(b"#"), rest) => return is_within_wildcard(rest.into_iter().chain(theirs)),
                (rest, Some(b"#")) => return is_within_wildcard(rest.into_iter().chain(ours)),
                (None, _) | (_, None) => return false,
                (Some(b"+"), Some(level)) | (Some(level), Some(b"+")) => {
                    if level.starts_with(b"$") {
                        return false;
                    }
                }
                (Some(one), Some(two)) => {
                    if one != two {
                        return false;
                    }
                }
            }
        }
    }
}

/// Whether `#` stands for some topic of these levels.
fn is_within_wildcard<'a>(mut levels: impl Iterator<Item = &'a [u8]>) -> bool {
    levels.all(|level| !level.starts_with(b"$"))
}
