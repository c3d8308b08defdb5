//! Descriptions that no schema has: refused, or compared at a bounded cost.

use std::fmt::Write as _;

use crate::compare::{Description, DescriptionError, MAX_DESCRIPTION_LEN, compare};

const HEAD: &str = "msip-description 1\npackage p\nclient-to-server\n1 a EVENT one-way .p.T0\nserver-to-client\ntypes\n";

fn refused(text: &[u8]) -> String {
    match Description::parse(text) {
        Err(error) => error.to_string(),
        Ok(description) => panic!("{}", description.to_text()),
    }
}

#[test]
fn malformed_text_is_refused_with_its_line() {
    let members = |line: &str| {
        format!(
            "msip-description 1\npackage p\nclient-to-server\n{line}\nserver-to-client\n1 r EVENT answer empty\ntypes\n"
        )
    };
    let types = |lines: &str| format!("{HEAD}{lines}\n");
    let cases = [
        ("nothing", String::new()),
        ("another version", "msip-description 2\n".to_owned()),
        ("no package", "msip-description 1\npackage \n".to_owned()),
        (
            "a package with a space",
            "msip-description 1\npackage a b\n".to_owned(),
        ),
        (
            "the end",
            "msip-description 1\npackage p\nclient-to-server\n".to_owned(),
        ),
        ("member 0", members("0 a EVENT one-way empty")),
        ("member 65536", members("65536 a EVENT one-way empty")),
        ("an unknown kind", members("1 a FEAST one-way empty")),
        ("an unknown exchange", members("1 a EVENT two-way empty")),
        (
            "a name with a control character",
            members("1 a\u{1b}[2J EVENT one-way empty"),
        ),
        (
            "no such answer",
            members("1 a COMMAND call single single 7 empty"),
        ),
        ("more at the end", members("1 a EVENT one-way empty empty")),
        (
            "members out of order",
            members("2 a EVENT one-way empty\n1 b EVENT one-way empty"),
        ),
        ("an unknown declaration", types("service p.T0")),
        ("a type twice", types("message p.T0\nmessage p.T0")),
        ("a well-known type", types("message google.protobuf.Any")),
        (
            "an unknown scalar",
            types("message p.T0\n1 a implicit int128"),
        ),
        (
            "an unknown presence",
            types("message p.T0\n1 a perhaps int32"),
        ),
        (
            "a map of messages",
            types("message p.T0\n1 a map:.p.T0 int32"),
        ),
        (
            "fields out of order",
            types("message p.T0\n2 a implicit int32\n1 b implicit int32"),
        ),
        (
            "a oneof named by a later field",
            types("message p.T0\n1 a oneof:2 int32"),
        ),
        (
            "a name in JSON with a bell",
            types("message p.T0\n1 a implicit int32 \u{7}"),
        ),
        (
            "a type that is not there",
            types("message p.T0\n1 a optional .p.T1"),
        ),
        (
            "a message where an enum is mentioned",
            types("message p.T0\n1 a implicit enum:.p.T0"),
        ),
        ("a member whose message is not there", HEAD.to_owned()),
        ("a value without a number", types("enum p.T0\n- A")),
    ];
    let mut out = String::new();
    for (name, text) in cases {
        let _ = writeln!(out, "{name}: {}", refused(text.as_bytes()));
    }
    insta::assert_snapshot!(out);
    assert_eq!(refused(&[0xff, 0xfe]), "it is not UTF-8");
}

#[test]
fn too_much_is_refused_before_it_is_kept() {
    let long = vec![b'a'; MAX_DESCRIPTION_LEN + 1];
    assert_eq!(
        Description::parse(&long).err(),
        Some(DescriptionError::TooLong { len: long.len() })
    );
    let mut types = HEAD.to_owned();
    for index in 0..5000 {
        let _ = writeln!(types, "message p.T{index}");
    }
    assert_eq!(refused(types.as_bytes()), "more than 4096 types");
    let mut values = format!("{HEAD}message p.T0\nenum p.T1\n");
    for number in 0..17_000 {
        let _ = writeln!(values, "{number} A");
    }
    assert_eq!(
        refused(values.as_bytes()),
        "more than 16384 members, fields and values"
    );
    let name = "n".repeat(1000);
    let text = format!("{HEAD}message p.T0\n1 {name} implicit int32\n");
    assert!(refused(text.as_bytes()).starts_with("line 8: "));
}

/// Messages that refer to each other in such a way that each could correspond to each.
fn tangle(count: usize, step: usize) -> Description {
    let mut text = HEAD.to_owned();
    for index in 0..count {
        let _ = writeln!(text, "message p.T{index}");
        for field in 1..=8 {
            let to = (index * step + field) % count;
            let _ = writeln!(text, "{field} f{field} optional .p.T{to}");
        }
    }
    Description::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_tangle_is_not_followed_to_its_end() {
    let (ours, theirs) = (tangle(1000, 3), tangle(999, 7));
    let comparison = compare(&ours, &theirs);
    assert!(comparison.is_cut_short());
    assert!(!comparison.is_empty());
    assert!(
        comparison
            .summary(super::Sides::PEERS)
            .ends_with("the rest was too complex to be compared")
    );
    // With itself it is no more work than it is long.
    assert!(compare(&ours, &ours).is_empty());
}

#[test]
fn types_may_be_nested_as_deep_as_they_like() {
    let chain = |end: &str| {
        let mut text = HEAD.to_owned();
        for index in 0..4000 {
            let _ = writeln!(text, "message p.T{index}\n1 f optional .p.T{}", index + 1);
        }
        let _ = writeln!(text, "message p.T4000\n1 f implicit {end}");
        Description::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
    };
    let (ours, theirs) = (chain("string"), chain("bytes"));
    let comparison = compare(&ours, &theirs);
    assert_eq!(comparison.breaking_count(), 1);
    assert!(comparison.to_string().len() < 200, "{comparison}");
}
