//! Keys of MiddleMan as topics, and back (docs/dialects.md, "MiddleMan").

use std::fmt::Write as _;

use crate::topic::{self, Internal};

/// What begins a key at which one client is heard, by its id.
pub(super) const MSG: &str = "MSG:";

/// The topic of which `<topic>/$to/<id>` is `MSG:<id>`. No key is this topic itself.
pub(super) const MESSAGES: &str = "MSG:";

/// The topic of a key; `None` for a key that is empty, or too long or too deep for a topic.
///
/// A key is its topic as it is, `/` separating levels, but for what means something else in a topic: `%`, `+`, `#`, control
/// characters, and a `$` that begins a level. Those are written as in a URL, so that no two keys are one topic.
pub(super) fn topic_of(key: &str) -> Option<String> {
    if let Some(id) = key.strip_prefix(MSG).filter(|id| !id.is_empty()) {
        let topic = format!("{MESSAGES}/$to/{}", escaped(id, true));
        return topic::is_valid(topic.as_bytes()).then_some(topic);
    }
    let topic = match key {
        MSG => "MSG%3A".to_owned(),
        _ => escaped(key, false),
    };
    topic::is_valid(topic.as_bytes()).then_some(topic)
}

/// The key at which somebody hears who has subscribed to this topic, or serves it.
pub(super) fn key_of(topic: &[u8]) -> String {
    let (before, escaped) = match Internal::of(topic) {
        Internal::Peer { topic, peer } if topic == MESSAGES.as_bytes() => (MSG, peer),
        Internal::Services(topic) => ("", topic),
        _ => ("", topic),
    };
    let key = unescaped(escaped).unwrap_or_else(|| String::from_utf8_lossy(escaped).into_owned());
    format!("{before}{key}")
}

fn escaped(key: &str, is_level: bool) -> String {
    let mut topic = String::with_capacity(key.len());
    let mut begins = true;
    for c in key.chars() {
        let is_special = match c {
            '%' | '+' | '#' => true,
            '$' => begins,
            '/' => is_level,
            _ => c.is_control(),
        };
        if is_special {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                // Writing to a string does not fail.
                let _ = write!(topic, "%{byte:02X}");
            }
        } else {
            topic.push(c);
        }
        begins = c == '/';
    }
    topic
}

/// `None` for what no key is written as, and for lines that no key has.
fn unescaped(topic: &[u8]) -> Option<String> {
    let mut key = Vec::with_capacity(topic.len());
    let mut rest = topic;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            key.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        key.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    let key = String::from_utf8(key).ok()?;
    (!key.contains('\n')).then_some(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_topics_as_far_as_they_can_be() {
        for (key, topic) in [
            ("Chat", "Chat"),
            ("a b ", "a b "),
            ("room/7", "room/7"),
            ("ü", "ü"),
            ("a+b", "a%2Bb"),
            ("#", "%23"),
            ("50%", "50%25"),
            ("$in", "%24in"),
            ("a/$in", "a/%24in"),
            ("a$", "a$"),
            ("a\t", "a%09"),
            ("MSG:dc01", "MSG:/$to/dc01"),
            ("MSG:a/b", "MSG:/$to/a%2Fb"),
            ("MSG:$in", "MSG:/$to/%24in"),
            ("MSG:", "MSG%3A"),
            ("MSG", "MSG"),
        ] {
            assert_eq!(topic_of(key).as_deref(), Some(topic), "{key:?}");
            assert_eq!(key_of(topic.as_bytes()), key, "{topic:?}");
        }
        assert_eq!(key_of(b"Chat/$in"), "Chat");
        for key in ["", &"x".repeat(256), &"x/".repeat(40)] {
            assert_eq!(topic_of(key), None, "{key:?}");
        }
        // What is no escape is shown as it is.
        assert_eq!(key_of(b"a%0Ab"), "a%0Ab");
        assert_eq!(key_of(b"100%"), "100%");
    }

    proptest! {
        #[test]
        fn no_two_keys_are_one_topic_and_none_is_of_the_broker(key in "(MSG:)?[a/$+#% %2:\t\u{fc}]{1,8}") {
            if let Some(topic) = topic_of(&key) {
                prop_assert_eq!(key_of(topic.as_bytes()), key.as_str());
                let is_one_clients = key.starts_with(MSG) && key != MSG;
                match Internal::of(topic.as_bytes()) {
                    Internal::Clients(_) => prop_assert!(!is_one_clients),
                    Internal::Peer { topic, .. } => {
                        prop_assert!(is_one_clients && topic == MESSAGES.as_bytes());
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }
    }
}
