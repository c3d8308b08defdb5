//! A table of changes, and what each breaks.

use std::fmt::Write as _;

use super::changed;
use crate::compare::{Breaks, Sides};

pub(super) type Replaced = &'static [(&'static str, &'static str)];

/// The name of a change, what is replaced in the source, and what it breaks.
pub(super) const CHANGES: &[(&str, Replaced, Breaks)] = &[
    (
        "a member is added",
        &[("Empty bye = 4;", "Empty bye = 4; Note new = 9;")],
        Breaks::Nothing,
    ),
    (
        "a member is removed",
        &[("    Empty bye = 4;\n", "")],
        Breaks::Nothing,
    ),
    (
        "a member is renamed",
        &[("Note note = 3", "Note remark = 3")],
        Breaks::Names,
    ),
    (
        "a member is renumbered",
        &[("Empty bye = 4", "Empty bye = 14")],
        Breaks::All,
    ),
    (
        "two members swap their numbers",
        &[
            ("Empty bye = 4", "Empty bye = 5"),
            ("Note log_line = 5", "Note log_line = 4"),
        ],
        Breaks::All,
    ),
    (
        "another kind",
        &[(
            "Alarm alarm_event = 2",
            "Alarm alarm_event = 2 [kind = STATE]",
        )],
        Breaks::All,
    ),
    (
        "one-way becomes acknowledged",
        &[("Empty bye = 4", "Empty bye = 4 [reply = ACK]")],
        Breaks::Nothing,
    ),
    (
        "one-way becomes a call",
        &[(
            "Note log_line = 5",
            "Note log_line = 5 [response = \"other_rsp\"]",
        )],
        Breaks::All,
    ),
    (
        "a call becomes one-way",
        &[("Where where_req = 1", "Where where_req = 1 [reply = NONE]")],
        Breaks::All,
    ),
    (
        "another answer",
        &[(
            "Where where_req = 1",
            "Where where_req = 1 [response = \"other_rsp\"]",
        )],
        Breaks::All,
    ),
    (
        "a stream of answers",
        &[(
            "Where where_req = 1",
            "Where where_req = 1 [reply = STREAM]",
        )],
        Breaks::All,
    ),
    (
        "a member gets data",
        &[("Empty bye = 4", "Note bye = 4")],
        Breaks::Nothing,
    ),
    (
        "another message for a member",
        &[("Note log_line = 5", "Door log_line = 5")],
        Breaks::All,
    ),
    (
        "a message is renamed",
        &[
            ("Alarm alarm_event", "Alert alarm_event"),
            ("message Alarm", "message Alert"),
        ],
        Breaks::Nothing,
    ),
    (
        "a type is split in two that are alike",
        &[
            ("Note log_line", "Line log_line"),
            (
                "message Note",
                "message Line { string text = 1; int32 size = 2; }\nmessage Note",
            ),
        ],
        Breaks::Nothing,
    ),
    (
        "a field is added",
        &[("string text = 1;", "string text = 1; string lang = 3;")],
        Breaks::Nothing,
    ),
    (
        "a field is removed",
        &[(" int32 size = 2;", "")],
        Breaks::Nothing,
    ),
    (
        "a field is renamed",
        &[("int32 size = 2", "int32 length = 2")],
        Breaks::Names,
    ),
    (
        "a field is renumbered",
        &[("int32 size = 2", "int32 size = 3")],
        Breaks::Protobuf,
    ),
    (
        "two fields swap their numbers",
        &[(
            "string text = 1; int32 size = 2",
            "string text = 2; int32 size = 1",
        )],
        Breaks::Protobuf,
    ),
    (
        "a renumbered field of another type",
        &[("int32 size = 2", "string size = 3")],
        Breaks::All,
    ),
    (
        "int32 becomes int64",
        &[("int32 size = 2", "int64 size = 2")],
        Breaks::All,
    ),
    (
        "int32 becomes bool",
        &[("int32 size = 2", "bool size = 2")],
        Breaks::All,
    ),
    (
        "int32 becomes sint32",
        &[("int32 size = 2", "sint32 size = 2")],
        Breaks::All,
    ),
    (
        "int32 becomes an enum",
        &[("int32 size = 2", "Colour size = 2")],
        Breaks::Names,
    ),
    (
        "string becomes bytes",
        &[("string text = 1", "bytes text = 1")],
        Breaks::All,
    ),
    (
        "a scalar becomes a message",
        &[("string text = 1", "Tag text = 1")],
        Breaks::All,
    ),
    (
        "a message becomes a well-known one",
        &[("Mark next = 2", "google.protobuf.Duration next = 2")],
        Breaks::All,
    ),
    (
        "another well-known type",
        &[(
            "google.protobuf.Timestamp since",
            "google.protobuf.Duration since",
        )],
        Breaks::All,
    ),
    (
        "one becomes many",
        &[("bytes mark = 4", "repeated bytes mark = 4")],
        Breaks::All,
    ),
    (
        "many become one",
        &[("repeated Note notes", "Note notes")],
        Breaks::All,
    ),
    (
        "implicit becomes optional",
        &[("bytes mark = 4", "optional bytes mark = 4")],
        Breaks::Nothing,
    ),
    (
        "optional becomes implicit",
        &[("optional int32 within", "int32 within")],
        Breaks::Nothing,
    ),
    (
        "a list of entries becomes a map",
        &[("repeated Tag tags = 4", "map<string, int64> tags = 4")],
        Breaks::Names,
    ),
    (
        "a map becomes a list of something else",
        &[("map<string, int64> tags = 7", "repeated Door tags = 7")],
        Breaks::All,
    ),
    (
        "the keys of a map",
        &[("map<string, int64> tags = 7", "map<int32, int64> tags = 7")],
        Breaks::All,
    ),
    (
        "the values of a map",
        &[(
            "map<string, int64> tags = 7",
            "map<string, string> tags = 7",
        )],
        Breaks::All,
    ),
    (
        "a field is added to a oneof",
        &[("Mark mark = 4;", "Mark mark = 4; bool none = 1;")],
        Breaks::Nothing,
    ),
    (
        "a field moves into a oneof",
        &[
            ("Mark mark = 4; }", "Mark mark = 4; bool old = 8; }"),
            (" bool old = 8; }\nmessage Mark", " }\nmessage Mark"),
        ],
        Breaks::All,
    ),
    (
        "a oneof is taken apart",
        &[(
            "oneof fix { double metres = 2; Mark mark = 4; }",
            "double metres = 2; Mark mark = 4;",
        )],
        Breaks::All,
    ),
    (
        "a field becomes a oneof with a new one",
        &[(
            "bytes mark = 4;",
            "oneof how { bytes mark = 4; string word = 5; }",
        )],
        Breaks::Nothing,
    ),
    (
        "a value is added",
        &[("BLUE = 2;", "BLUE = 2; GREEN = 3;")],
        Breaks::Nothing,
    ),
    ("a value is removed", &[(" BLUE = 2;", "")], Breaks::Nothing),
    (
        "a value is renamed",
        &[("BLUE = 2", "AZURE = 2")],
        Breaks::Names,
    ),
    (
        "a value is renumbered",
        &[("BLUE = 2", "BLUE = 3")],
        Breaks::Protobuf,
    ),
    (
        "two values swap their numbers",
        &[("RED = 1; BLUE = 2", "RED = 2; BLUE = 1")],
        Breaks::Protobuf,
    ),
    (
        "a value gets a second name",
        &[("BLUE = 2;", "BLUE = 2; AZURE = 2;")],
        Breaks::Nothing,
    ),
    (
        "a value gets a new first name",
        &[("BLUE = 2;", "AZURE = 2; BLUE = 2;")],
        Breaks::Names,
    ),
    (
        "another package",
        &[("package fleet.v1", "package fleet.v2")],
        Breaks::All,
    ),
];

#[test]
fn each_change_breaks_what_it_should() {
    let mut out = String::new();
    let mut wrong = Vec::new();
    for (name, replaced, breaks) in CHANGES {
        let comparison = changed(replaced);
        if comparison.breaks() != *breaks || comparison.is_empty() {
            wrong.push(format!(
                "{name}: {:?} where {breaks:?} is expected",
                comparison.breaks()
            ));
        }
        let _ = writeln!(out, "{name}:");
        for difference in comparison.differences() {
            let _ = writeln!(out, "    {}", difference.text(Sides::VERSIONS));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    insta::assert_snapshot!(out);
}
