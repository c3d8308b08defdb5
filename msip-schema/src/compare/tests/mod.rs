//! What each change of a schema comes to, and what holds for all comparisons.

mod changes;
mod for_languages;
mod hostile;
mod random;

use super::{Comparison, Description, Sides, compare};
use crate::check::tests::schema;

/// A schema with one of everything that is compared.
pub(super) const SOURCE: &str = r#"package fleet.v1;
ClientToServer {
    Where where_req = 1;
    Door door_state = 2 [key = "id"];
    Note note = 3 [reply = ACK];
    Empty bye = 4;
    Note log_line = 5;
}
ServerToClient {
    Place where_rsp = 1;
    Alarm alarm_event = 2;
    Place other_rsp = 3;
}
message Where { string vehicle = 1; optional int32 within = 2; google.protobuf.Timestamp since = 3; bytes mark = 4; }
message Place { oneof fix { double metres = 2; Mark mark = 4; } map<string, int64> tags = 7; bool old = 8; }
message Mark { repeated string words = 1; Mark next = 2; Colour colour = 3; repeated Tag tags = 4; }
message Tag { string key = 1; int64 value = 2; }
message Door { int32 id = 1; Colour colour = 2; }
message Note { string text = 1; int32 size = 2; }
message Alarm { repeated Note notes = 1; }
enum Colour { NONE = 0; RED = 1; BLUE = 2; }"#;

pub(super) fn description(source: &str) -> Description {
    Description::of(&schema(source))
}

/// Compares the source with what it becomes when parts of it are replaced.
#[track_caller]
fn changed(replaced: &[(&str, &str)]) -> Comparison {
    let mut source = SOURCE.to_owned();
    for (from, to) in replaced {
        assert!(source.contains(from), "{from} is not in the source");
        source = source.replacen(from, to, 1);
    }
    let (ours, theirs) = (description(SOURCE), description(&source));
    let comparison = compare(&ours, &theirs);
    // Whichever is compared with which, and whether it has travelled or not.
    let reverse = compare(&theirs, &ours);
    assert_eq!(reverse.count(), comparison.count(), "{reverse}");
    assert_eq!(reverse.breaks(), comparison.breaks(), "{reverse}");
    let travelled = |description: &Description| {
        let text = description.to_text();
        Description::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}:\n{text}"))
    };
    let (ours, theirs) = (travelled(&ours), travelled(&theirs));
    assert_eq!(ours.fingerprint(), description(SOURCE).fingerprint());
    assert_eq!(theirs.fingerprint(), description(&source).fingerprint());
    assert_eq!(compare(&ours, &theirs), comparison);
    comparison
}

#[test]
fn a_description_is_as_documented() {
    insta::assert_snapshot!(description(SOURCE).to_text());
}

#[test]
fn a_schema_does_not_differ_from_itself() {
    let description = description(SOURCE);
    let comparison = compare(&description, &description);
    assert!(comparison.is_empty(), "{comparison}");
    assert_eq!(comparison.summary(Sides::PEERS), "nothing differs");
}

#[test]
fn the_worst_differences_come_first_and_the_rest_is_counted() {
    let member = |number: u32| format!("    Note extra{number} = {};\n", number + 100);
    let many: String = (0..100).map(member).collect();
    let comparison = changed(&[
        ("    Empty bye = 4;\n", &many),
        ("string text = 1", "bytes text = 1"),
    ]);
    assert_eq!(comparison.count(), 102);
    assert_eq!(comparison.breaking_count(), 1);
    assert_eq!(comparison.differences().len(), super::MAX_DIFFERENCES);
    assert!(!comparison.is_cut_short());
    insta::assert_snapshot!(comparison.summary(Sides {
        ours: "on the server",
        theirs: "on the client"
    }));
}

#[test]
fn a_long_path_is_shortened() {
    let chain: String = (1..40)
        .map(|level| format!("message L{level} {{ L{} next{level} = 1; }}\n", level + 1))
        .collect();
    let source = |ty: &str| {
        format!(
            "package p;\nClientToServer {{ L1 a = 1; }}\nServerToClient {{ Empty b = 1; }}\n{chain}message L40 {{ {ty} end = 1; }}"
        )
    };
    let (ours, theirs) = (description(&source("string")), description(&source("bool")));
    insta::assert_snapshot!(compare(&ours, &theirs).to_string());
}
