//! Who may do what, as a naive broker decides it: topic by topic, without filters that cover or overlap each other.

use crate::access::{Filters, PrincipalLimits, Rights, Role, Uses};
use crate::topic::TopicFilter;

/// Allowed and denied filters.
type Said = (&'static [&'static str], &'static [&'static str]);

/// Rights, as the model has them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Said4 {
    pub(super) role: Role,
    publish: Said,
    subscribe: Said,
    serve: Said,
    request: Said,
}

const ALL: Said = (&["#"], &[]);
const NONE: Said = (&[], &[]);

const EVERYTHING: Said4 = Said4 {
    role: Role::Service,
    publish: ALL,
    subscribe: ALL,
    serve: ALL,
    request: ALL,
};

const NOTHING: Said4 = Said4 {
    role: Role::Client,
    publish: NONE,
    subscribe: NONE,
    serve: NONE,
    request: NONE,
};

/// The rights that sessions have, the first ones more often.
pub(super) const RIGHTS: [Said4; 7] = [
    EVERYTHING,
    NOTHING,
    Said4 {
        subscribe: (&["#"], &["a/b"]),
        ..EVERYTHING
    },
    Said4 {
        subscribe: (&["b"], &["a/b"]),
        publish: (&[], &["b"]),
        ..NOTHING
    },
    Said4 {
        serve: (&["a/#"], &[]),
        role: Role::Service,
        ..NOTHING
    },
    Said4 {
        serve: (&["#"], &["a/b"]),
        publish: (&["a/+"], &[]),
        ..EVERYTHING
    },
    Said4 {
        serve: ALL,
        publish: ALL,
        ..NOTHING
    },
];

/// The topics that are enough to tell all filters apart.
const TOPICS: [&str; 9] = [
    "a", "b", "z", "a/b", "a/z", "z/z", "a/b/z", "a/z/z", "z/z/z",
];

/// What filters name.
pub(super) fn is_matched(filter: &str, topic: &str) -> bool {
    let (level, filter) = match filter.split_once('/') {
        Some((level, filter)) => (level, Some(filter)),
        None => (filter, None),
    };
    let (first, rest) = match topic.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (topic, None),
    };
    match level {
        "#" => return !topic.contains('$'),
        "+" if first.starts_with('$') => return false,
        "+" => {}
        _ if level != first => return false,
        _ => {}
    }
    match (filter, rest) {
        (None, None) | (Some("#"), None) => true,
        (Some(filter), Some(rest)) => is_matched(filter, rest),
        _ => false,
    }
}

/// Whether every topic of `asked` is one of `filter`.
pub(super) fn is_within(asked: &str, filter: &str) -> bool {
    let mut meant = TOPICS.iter().filter(|topic| is_matched(asked, topic));
    meant.all(|topic| is_matched(filter, topic))
}

/// Whether some topic is one of both.
fn is_both(one: &str, two: &str) -> bool {
    let mut topics = TOPICS.iter();
    topics.any(|topic| is_matched(one, topic) && is_matched(two, topic))
}

/// What is said about something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    IfEnabled,
    No,
}

impl Said4 {
    fn said(&self, uses: Uses) -> Said {
        match uses {
            Uses::Publish => self.publish,
            Uses::Subscribe => self.subscribe,
            Uses::Serve => self.serve,
            Uses::Request => self.request,
        }
    }

    /// About all topics of a filter, which may be a single one.
    pub(super) fn about(&self, uses: Uses, asked: &str) -> Answer {
        let (allow, deny) = self.said(uses);
        if deny.iter().any(|deny| is_both(deny, asked)) {
            return Answer::No;
        }
        match (self.role, uses) {
            (Role::Client, Uses::Serve) => Answer::No,
            _ if allow.iter().any(|allow| is_within(asked, allow)) => Answer::Yes,
            (Role::Client, _) => Answer::IfEnabled,
            (Role::Service, _) => Answer::No,
        }
    }

    pub(super) fn is_denied(&self, uses: Uses, topic: &str) -> bool {
        self.said(uses).1.iter().any(|deny| is_matched(deny, topic))
    }

    pub(super) fn rights(&self) -> Rights {
        let parse = |texts: &[&str]| {
            let filters = texts.iter().map(|text| TopicFilter::new(text));
            filters.collect::<Result<Vec<_>, _>>().expect("filters")
        };
        let filters = |(allow, deny): Said| Filters {
            allow: parse(allow),
            deny: parse(deny),
        };
        Rights {
            role: self.role,
            publish: filters(self.publish),
            subscribe: filters(self.subscribe),
            serve: filters(self.serve),
            request: filters(self.request),
            limits: PrincipalLimits::default(),
        }
    }
}

/// The topic that another one belongs to, and whether hearing it takes `serve`; nothing if it is not for this peer.
pub(super) fn belongs<'a>(topic: &'a str, peer: &str) -> Option<(&'a str, Uses)> {
    if let Some((about, to)) = topic.split_once("/$to/") {
        return (to == peer).then_some((about, Uses::Subscribe));
    }
    let about = topic.strip_suffix("/$in");
    match about.or_else(|| topic.strip_prefix("$dead/")) {
        Some(about) => Some((about, Uses::Serve)),
        None => Some((topic, Uses::Subscribe)),
    }
}
