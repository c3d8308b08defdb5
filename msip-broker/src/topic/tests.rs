//! Filters against brute force over a small alphabet.

use proptest::prelude::*;

use super::{FilterError, Internal, TopicFilter, is_valid};

fn filter(text: &str) -> TopicFilter {
    TopicFilter::new(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Every topic of at most four levels, of levels that are enough to tell any two filters of the tests apart.
fn topics() -> Vec<String> {
    const LEVELS: [&str; 5] = ["a", "b", "z", "$in", ""];
    let mut all: Vec<String> = LEVELS.iter().map(|&level| level.to_owned()).collect();
    let mut last = all.clone();
    for _ in 1..4 {
        let longer = |topic: &String| LEVELS.map(|level| format!("{topic}/{level}"));
        last = last.iter().flat_map(longer).collect();
        all.extend_from_slice(&last);
    }
    all
}

/// The rule as docs/protocol.md has it, level by level.
fn naive(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        (["#"], rest) => rest.iter().all(|level| !level.starts_with('$')),
        ([], []) => true,
        (["+", filter @ ..], [level, topic @ ..]) => {
            !level.starts_with('$') && naive(filter, topic)
        }
        ([one, filter @ ..], [other, topic @ ..]) => one == other && naive(filter, topic),
        _ => false,
    }
}

fn any_filter() -> impl Strategy<Value = TopicFilter> {
    let level = prop::sample::select(vec!["a", "b", "+", "$in", ""]);
    (prop::collection::vec(level, 0..4), any::<bool>()).prop_filter_map(
        "not empty",
        |(mut levels, is_open)| {
            // Three levels at most: the topics have one more.
            levels.truncate(if is_open { 2 } else { 3 });
            levels.extend(is_open.then_some("#"));
            TopicFilter::new(&levels.join("/")).ok()
        },
    )
}

#[test]
fn a_wildcard_stands_for_whole_levels_and_for_none_of_the_broker() {
    let cases: [(&str, &[&str], &[&str]); 7] = [
        ("a", &["a"], &["a/b", "", "b"]),
        ("+", &["a", "b"], &["a/b", "$in"]),
        ("a/+", &["a/b", "a/"], &["a", "a/b/c", "a/$in"]),
        (
            "a/#",
            &["a", "a/b", "a/b/c"],
            &["b", "a/$in", "a/b/$in", "a/$to/7"],
        ),
        ("#", &["a", "a/b", ""], &["$in", "a/$in", "$dead/a"]),
        ("a/$in", &["a/$in"], &["a/in", "a"]),
        ("+/$in", &["a/$in"], &["a/b", "$x/$in"]),
    ];
    for (text, matching, others) in cases {
        let filter = filter(text);
        for topic in matching {
            assert!(filter.matches(topic.as_bytes()), "{text} matches {topic:?}");
        }
        for topic in others {
            assert!(
                !filter.matches(topic.as_bytes()),
                "{text} does not match {topic:?}"
            );
        }
    }
}

#[test]
fn what_is_no_filter_is_refused_by_name() {
    let long = "a".repeat(256);
    let deep = ["a"; 33].join("/");
    let cases: [(&str, FilterError); 7] = [
        ("", FilterError::Empty),
        (&long, FilterError::TooLong { len: 256 }),
        (&deep, FilterError::TooDeep { levels: 33 }),
        ("a\0b", FilterError::ControlCharacter('\0')),
        ("a/#/b", FilterError::NotLast),
        ("a+/b", FilterError::PartOfLevel("a+".to_owned())),
        ("a/b#", FilterError::PartOfLevel("b#".to_owned())),
    ];
    for (text, error) in cases {
        assert_eq!(TopicFilter::new(text), Err(error), "{text:?}");
    }
    for topic in ["a/+", "a/#", "a\n", "", &long, &deep] {
        assert!(!is_valid(topic.as_bytes()), "{topic:?}");
    }
    assert!(is_valid("a/ü/$in".as_bytes()));
    assert!(!is_valid(b"\xff"));
}

#[test]
fn the_levels_of_the_broker_belong_to_a_topic() {
    let cases: [(&str, Internal<'_>); 10] = [
        ("a/b", Internal::Clients(b"a/b")),
        ("a/b/$in", Internal::Services(b"a/b")),
        (
            "a/$to/7",
            Internal::Peer {
                topic: b"a",
                peer: b"7",
            },
        ),
        ("$presence/a/+", Internal::Presence(b"a/+")),
        ("$dead/a", Internal::Dead(b"a")),
        ("$in", Internal::Other),
        ("a/$to", Internal::Other),
        ("a/$in/$in", Internal::Other),
        ("$dead/a/$in", Internal::Other),
        ("a/$x/b", Internal::Other),
    ];
    for (topic, expected) in cases {
        assert_eq!(Internal::of(topic.as_bytes()), expected, "{topic}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_filter_matches_as_the_rule_says(filter in any_filter()) {
        let levels: Vec<&str> = filter.as_str().split('/').collect();
        for topic in topics() {
            let expected = naive(&levels, &topic.split('/').collect::<Vec<_>>());
            prop_assert_eq!(filter.matches(topic.as_bytes()), expected, "{} {}", filter, topic);
        }
    }

    #[test]
    fn a_filter_covers_and_overlaps_another_as_all_topics_say(one in any_filter(), two in any_filter()) {
        let (mut covers, mut overlaps) = (true, false);
        for topic in topics() {
            let (first, second) = (one.matches(topic.as_bytes()), two.matches(topic.as_bytes()));
            covers &= first || !second;
            overlaps |= first && second;
        }
        prop_assert_eq!(one.covers(&two), covers, "{} covers {}", &one, &two);
        prop_assert_eq!(one.overlaps(&two), overlaps, "{} overlaps {}", &one, &two);
        prop_assert_eq!(two.overlaps(&one), overlaps, "{} overlaps {}", &two, &one);
    }
}
