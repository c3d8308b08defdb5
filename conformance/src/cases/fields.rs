//! Fields of every type, there and back, in each codec.

use std::collections::HashMap;

use msip_runtime::prost_types::{
    Duration, FieldMask, ListValue, Struct, Timestamp, Value, value::Kind,
};

use crate::{
    case::{Case, Group},
    pair::Pair,
    protocol::conformance::{Color, Everything, Nested, everything::Choice},
};

/// A number that no color has.
const NO_COLOR: i32 = 99;

pub(super) fn cases() -> Vec<Case> {
    let mut group = Group::new("fields");
    group.pair("protobuf", &[], |pair| there_and_back(pair, "protobuf"));
    group.pair("json", &["codecs"], |pair| there_and_back(pair, "json"));
    group.pair("msgpack", &["codecs"], |pair| {
        there_and_back(pair, "msgpack")
    });
    group.cases()
}

async fn there_and_back(pair: Pair, codec: &str) {
    let talk = pair.talk_with("", &format!("codec={codec}")).await;
    for (caller, handler) in talk.both_ways() {
        for (name, message) in messages() {
            let call = caller.start("fields_req", &message).await;
            let handling = handler.handling("fields_req").await;
            assert_eq!(handling.message::<Everything>(), message, "{name}, there");
            handling.answer(&message).await;
            assert_eq!(
                call.answer::<Everything>().await,
                message,
                "{name}, and back"
            );
        }
    }
}

/// What is sent, by name.
fn messages() -> Vec<(&'static str, Everything)> {
    let mut messages = vec![
        ("nothing", Everything::default()),
        ("defaults that are there", present()),
        ("small", small()),
        ("largest", largest()),
        ("smallest", smallest()),
        ("text", text()),
        ("repeated", repeated()),
        ("maps", maps()),
        ("nested", nested()),
        ("well-known", well_known()),
        ("unknown enum numbers", unknown_numbers()),
    ];
    let choices = [
        ("a text", Choice::ChoiceText(String::new())),
        ("a number", Choice::ChoiceNumber(0)),
        ("a message", Choice::ChoiceNested(Nested::default())),
        ("a color", Choice::ChoiceColor(Color::Unspecified.into())),
        ("bytes", Choice::ChoiceBytes(vec![0, 255])),
    ];
    for (name, choice) in choices {
        let message = Everything {
            choice: Some(choice),
            ..Everything::default()
        };
        messages.push((name, message));
    }
    messages
}

fn present() -> Everything {
    Everything {
        optional_int32: Some(0),
        optional_string: Some(String::new()),
        optional_bytes: Some(Vec::new()),
        optional_bool: Some(false),
        optional_color: Some(0),
        nested: Some(Nested::default()),
        timestamp: Some(Timestamp::default()),
        duration: Some(Duration::default()),
        string_value: Some(String::new()),
        int64_value: Some(0),
        bool_value: Some(false),
        bytes_value: Some(Vec::new()),
        double_value: Some(0.0),
        empty: Some(()),
        ..Everything::default()
    }
}

fn small() -> Everything {
    Everything {
        double: 0.1,
        float: -2.5,
        int32: -1,
        int64: -2,
        uint32: 3,
        uint64: 4,
        sint32: -5,
        sint64: -6,
        fixed32: 7,
        fixed64: 8,
        sfixed32: -9,
        sfixed64: -10,
        bool: true,
        string: "ada".to_owned(),
        bytes: vec![0, 1, 2, 253, 254, 255],
        color: Color::BelowZero.into(),
        ..Everything::default()
    }
}

fn largest() -> Everything {
    Everything {
        double: f64::MAX,
        float: f32::MAX,
        int32: i32::MAX,
        int64: i64::MAX,
        uint32: u32::MAX,
        uint64: u64::MAX,
        sint32: i32::MAX,
        sint64: i64::MAX,
        fixed32: u32::MAX,
        fixed64: u64::MAX,
        sfixed32: i32::MAX,
        sfixed64: i64::MAX,
        ..Everything::default()
    }
}

fn smallest() -> Everything {
    Everything {
        double: f64::NEG_INFINITY,
        float: f32::INFINITY,
        int32: i32::MIN,
        int64: i64::MIN,
        sint32: i32::MIN,
        sint64: i64::MIN,
        sfixed32: i32::MIN,
        sfixed64: i64::MIN,
        doubles: vec![f64::MIN_POSITIVE, 5e-324, 1e300, -1e-7],
        ..Everything::default()
    }
}

fn text() -> Everything {
    Everything {
        string: "\u{0}\u{1f}\"\\/<>&\u{7f}\u{2028} zwölf Boxkämpfer 𝄞 \u{10ffff}".to_owned(),
        strings: vec![String::new(), "__proto__".to_owned(), "a\nb".to_owned()],
        bytes: (0..=255).collect::<Vec<u8>>(),
        ..Everything::default()
    }
}

fn repeated() -> Everything {
    Everything {
        doubles: vec![0.0, 1.5],
        int32s: vec![0, -1, i32::MAX],
        sint64s: vec![i64::MIN, 0, i64::MAX],
        fixed32s: vec![0, u32::MAX],
        bools: vec![true, false],
        strings: vec![String::new(), "x".to_owned()],
        many_bytes: vec![Vec::new(), vec![1]],
        colors: vec![Color::Blue.into(), 0, Color::BelowZero.into()],
        nesteds: vec![Nested::default(), level("a", None)],
        unpacked: vec![0, u64::MAX],
        ..Everything::default()
    }
}

fn maps() -> Everything {
    let strings = [
        ("", ""),
        ("__proto__", "x"),
        ("constructor", "y"),
        ("ä", "\u{0}"),
    ];
    Everything {
        string_by_string: strings
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        nested_by_int32: HashMap::from([(i32::MIN, Nested::default()), (0, level("zero", None))]),
        color_by_bool: HashMap::from([(false, Color::Red.into()), (true, 0)]),
        bytes_by_uint64: HashMap::from([(0, Vec::new()), (u64::MAX, vec![7])]),
        double_by_sint64: HashMap::from([(i64::MIN, 0.0), (-1, -0.5), (i64::MAX, 1e9)]),
        ..Everything::default()
    }
}

fn level(text: &str, inner: Option<Nested>) -> Nested {
    Nested {
        text: text.to_owned(),
        inner: inner.map(Box::new),
    }
}

fn nested() -> Everything {
    let deepest = level("the end", None);
    let nested = (0..20).fold(deepest, |inner, _| level("", Some(inner)));
    Everything {
        nested: Some(nested),
        ..Everything::default()
    }
}

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

fn well_known() -> Everything {
    let list = ListValue {
        values: vec![
            value(Kind::NullValue(0)),
            value(Kind::BoolValue(false)),
            value(Kind::NumberValue(-1.5)),
            value(Kind::StringValue(String::new())),
            value(Kind::ListValue(ListValue::default())),
            value(Kind::StructValue(Struct::default())),
        ],
    };
    let structure = Struct {
        fields: [
            ("null", Kind::NullValue(0)),
            ("__proto__", Kind::StringValue("safe".to_owned())),
            ("list", Kind::ListValue(list.clone())),
            ("", Kind::NumberValue(1e21)),
        ]
        .map(|(name, kind)| (name.to_owned(), value(kind)))
        .into(),
    };
    let mask = ["user.display_name", "id"];
    Everything {
        // To the microsecond, as far as Python's own types go.
        timestamp: Some(Timestamp {
            seconds: -62_135_596_800,
            nanos: 1_000,
        }),
        duration: Some(Duration {
            seconds: -3,
            nanos: -500_000_000,
        }),
        value: Some(value(Kind::StructValue(structure.clone()))),
        r#struct: Some(structure),
        list_value: Some(list),
        string_value: Some("x".to_owned()),
        int64_value: Some(i64::MIN),
        bool_value: Some(true),
        bytes_value: Some(vec![0, 255]),
        double_value: Some(-0.25),
        field_mask: Some(FieldMask {
            paths: mask.map(str::to_owned).to_vec(),
        }),
        ..Everything::default()
    }
}

fn unknown_numbers() -> Everything {
    Everything {
        color: NO_COLOR,
        optional_color: Some(-NO_COLOR),
        colors: vec![NO_COLOR, 1, i32::MAX, i32::MIN],
        color_by_bool: HashMap::from([(true, NO_COLOR)]),
        choice: Some(Choice::ChoiceColor(NO_COLOR)),
        ..Everything::default()
    }
}
