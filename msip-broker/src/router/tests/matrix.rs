//! Rights, filters, groups and wildcards in every combination, against a model that looks at each topic by itself: when asked,
//! at delivery, and on resume.

use super::*;

/// Filters for allow, deny, and what is asked.
const FILTERS: [&str; 8] = ["#", "a/#", "a/+", "+/b", "a/b", "a", "a/+/c", "+/b/#"];

/// What is asked beyond them. `{own}` is the name of the client.
const INTERNAL: [&str; 6] = [
    "a/$in",
    "+/$in",
    "a/$to/{own}",
    "a/$to/99",
    "$dead/a",
    "$presence/+",
];

/// Enough topics to tell all filters apart.
const TOPICS: [&str; 11] = [
    "a", "b", "z", "a/b", "a/z", "z/b", "z/z", "a/b/c", "a/z/c", "z/b/z", "a/b/c/z",
];

/// The rule of wildcards, level by level.
fn matches(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        (["#"], rest) => !rest.iter().any(|level| level.starts_with('$')),
        ([], []) => true,
        (["+", filter @ ..], [level, topic @ ..]) if !level.starts_with('$') => {
            matches(filter, topic)
        }
        ([one, filter @ ..], [other, topic @ ..]) if one == other => matches(filter, topic),
        _ => false,
    }
}

fn is_matched(filter: &str, topic: &str) -> bool {
    let (filter, topic): (Vec<_>, Vec<_>) =
        (filter.split('/').collect(), topic.split('/').collect());
    matches(&filter, &topic)
}

/// What may be heard, by one allow and one deny for `subscribe` and for `serve`.
#[derive(Clone, Copy)]
struct Model {
    allow: &'static str,
    deny: Option<&'static str>,
}

impl Model {
    fn rights(self) -> Rights {
        let deny: Vec<_> = self.deny.into_iter().collect();
        Rights {
            role: Role::Service,
            subscribe: filters(&[self.allow], &deny),
            serve: filters(&[self.allow], &deny),
            ..Rights::none()
        }
    }

    /// The topic that one with a level of the broker belongs to, if it may be heard by this client.
    fn about<'a>(topic: &'a str, own: &str) -> Option<&'a str> {
        let about = match topic.split_once("/$to/") {
            Some((about, peer)) if peer == own => about,
            Some(_) => return None,
            None => topic
                .strip_suffix("/$in")
                .or_else(|| topic.strip_prefix("$dead/"))
                .or_else(|| topic.strip_prefix("$presence/"))
                .unwrap_or(topic),
        };
        (!about.contains('$')).then_some(about)
    }

    fn may_hear(self, topic: &str, own: &str) -> bool {
        Self::about(topic, own).is_some_and(|about| {
            is_matched(self.allow, about) && !self.deny.is_some_and(|deny| is_matched(deny, about))
        })
    }

    /// All topics of the filter are allowed, and none is denied.
    fn may_subscribe(self, asked: &str, own: &str) -> bool {
        Self::about(asked, own).is_some_and(|about| {
            let mut meant = TOPICS.iter().filter(|topic| is_matched(about, topic));
            meant.all(|topic| self.may_hear(topic, own))
        })
    }
}

fn models() -> impl Iterator<Item = Model> {
    let deny = || FILTERS.into_iter().map(Some).chain([None]);
    let models = FILTERS
        .into_iter()
        .map(move |allow| deny().map(move |deny| Model { allow, deny }));
    models.flatten()
}

#[test]
fn rights_hold_when_asked_and_at_delivery_and_on_resume() {
    let mut granted = 0;
    for (at, model) in models().enumerate() {
        for (asked_at, asked) in FILTERS.into_iter().chain(INTERNAL).enumerate() {
            for group in [None, Some("workers")] {
                // Each pair of rights before and after would take minutes; another row with each column does not.
                let after = models().nth((at * 7 + asked_at * 5) % models().count());
                let after = after.expect("a model");
                granted += usize::from(check(model, after, asked, group));
            }
        }
    }
    assert!(granted > 100, "{granted} are granted");
}

/// Checks one subscription. Returns whether it was granted.
fn check(before: Model, after: Model, asked: &str, group: Option<&str>) -> bool {
    let router = router();
    let one = Peer::with(&router, before.rights(), Dialect::Msip);
    let own = one.session.peer().to_owned();
    let asked = asked.replace("{own}", &own);
    let case = format!(
        "allow {} deny {:?}, then allow {} deny {:?}, asked {asked} {group:?}",
        before.allow, before.deny, after.allow, after.deny
    );
    let subscribed = one.try_subscribe(&asked, group).is_ok();
    assert_eq!(
        subscribed,
        before.may_subscribe(&asked, &own),
        "when asked: {case}"
    );
    if !subscribed {
        return false;
    }
    let mut publisher = Peer::new(&router);
    let to_own = format!("a/$to/{own}");
    let mut topics: Vec<&str> = TOPICS.to_vec();
    topics.extend(["a/$in", "b/$in", "a/$to/99", &to_own]);
    let publish = |publisher: &mut Peer| {
        for topic in &topics {
            publisher
                .publish(MsgKind::Event, topic, &[topic])
                .expect("published");
        }
    };
    let expected = |model: Model| -> Vec<&str> {
        let heard = |topic: &&&str| is_matched(&asked, topic) && model.may_hear(topic, &own);
        topics.iter().filter(heard).copied().collect()
    };
    publish(&mut publisher);
    assert_eq!(one.take(), expected(before), "at delivery: {case}");

    one.suspend();
    publish(&mut publisher);
    one.resume(after.rights());
    let mut kept = expected(before);
    kept.retain(|topic| after.may_hear(topic, &own));
    assert_eq!(one.take(), kept, "on resume: {case}");

    let remains = after.may_subscribe(&asked, &own);
    publish(&mut publisher);
    let expected = if remains { expected(after) } else { Vec::new() };
    assert_eq!(one.take(), expected, "after it: {case}");
    true
}

/// Publishing, serving and requesting, each with every allow and deny of their own and of the others.
#[test]
fn what_may_be_sent_is_what_the_rights_name_and_no_deny_overlaps() {
    const SENT: [&str; 9] = [
        "a",
        "a/b",
        "z/b",
        "a/$in",
        "a/b/$in",
        "a/$to/7",
        "$dead/a",
        "$presence/a",
        "a/$x",
    ];
    const FEW: [&str; 4] = ["#", "a/#", "a", "+/b"];
    let deny = || FEW.into_iter().map(Some).chain([None]);
    for own in FEW {
        for denied in deny() {
            for served in deny() {
                let denied_list: Vec<_> = denied.into_iter().collect();
                let served_list: Vec<_> = served.into_iter().collect();
                let rights = Rights {
                    role: Role::Service,
                    publish: filters(&[own], &denied_list),
                    request: filters(&[own], &denied_list),
                    serve: filters(&served_list, &[]),
                    ..Rights::none()
                };
                let router = router();
                let mut one = Peer::with(&router, rights, Dialect::Msip);
                for topic in SENT {
                    let case = format!("{topic}: allow {own} deny {denied:?} serve {served:?}");
                    let about = Model::about(topic, "7").unwrap_or("");
                    let is_denied = denied.is_some_and(|deny| is_matched(deny, about));
                    let may = is_matched(own, about) && !is_denied;
                    let serves =
                        served.is_some_and(|served| is_matched(served, about)) && !is_denied;
                    let (may_publish, may_request) = match topic {
                        _ if topic.starts_with('$') || topic.contains("$x") => (false, false),
                        _ if topic.contains("$to") => (serves, serves),
                        _ if topic.ends_with("$in") => (may, may),
                        _ => (may || serves, may),
                    };
                    let published = one.publish(MsgKind::Event, topic, &["1"]);
                    assert_eq!(published.is_ok(), may_publish, "publish {case}");
                    let requested = one
                        .publisher
                        .request(call(topic), NOW, &mut WakeList::new());
                    let code = requested.err().map(|(why, _)| why.code);
                    let expected = match may_request {
                        true => Code::Unavailable,
                        false => Code::PermissionDenied,
                    };
                    assert_eq!(code, Some(expected), "request {case}");
                }
            }
        }
    }
}
