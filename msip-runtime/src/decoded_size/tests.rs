//! What each field costs, by tables that are written by hand.

use super::{
    FREE,
    build::cycles,
    table::{Contents, Field, Member, Message, SizeTable},
    walk::count,
};

const LIST: Field = Field {
    number: 1,
    each: 100,
    first: 50,
    contents: Contents::Message {
        index: 0,
        is_merged: false,
    },
};
const TEXT: Field = Field {
    number: 2,
    each: 0,
    first: 0,
    contents: Contents::Text,
};
const NUMBERS: Field = Field {
    number: 3,
    each: 16,
    first: 16,
    contents: Contents::Varint,
};
const FIXED: Field = Field {
    number: 4,
    each: 8,
    first: 8,
    contents: Contents::Fixed(4),
};
const MERGED: Field = Field {
    number: 5,
    each: 0,
    first: 0,
    contents: Contents::Message {
        index: 0,
        is_merged: true,
    },
};

fn table() -> SizeTable {
    SizeTable {
        messages: vec![Message {
            fields: vec![LIST, TEXT, NUMBERS, FIXED, MERGED],
        }],
        members: Vec::new(),
    }
}

fn of(bytes: &[u8]) -> usize {
    count(&table(), 0, bytes, 0, usize::MAX)
}

#[test]
fn each_kind_of_field_is_counted() {
    let cases: [(&str, &[u8], usize); 16] = [
        ("nothing", &[], 0),
        ("a field that takes nothing", &[0x78, 1], 0),
        ("two elements", &[0x0a, 0, 0x0a, 0], 250),
        ("two lists of one", &[0x0a, 0, 0x78, 1, 0x0a, 0], 300),
        ("an element in an element", &[0x0a, 2, 0x0a, 0], 300),
        ("an empty text", &[0x12, 0], 0),
        ("a text", &[0x12, 3, b'a', b'b', b'c'], 3 + 16),
        ("a number", &[0x18, 0x80, 1], 32),
        ("three packed numbers", &[0x1a, 4, 1, 0x80, 1, 2], 64),
        ("no packed numbers", &[0x1a, 0], 0),
        (
            "packed numbers of 4 bytes",
            &[0x22, 8, 0, 0, 0, 0, 0, 0, 0, 0],
            24,
        ),
        ("a number of 4 bytes", &[0x25, 0, 0, 0, 0], 16),
        (
            "a group of another field",
            &[0x7b, 0x0b, 0x0c, 0x7c, 0x0a, 0],
            150,
        ),
        ("a message that occurs once", &[0x2a, 2, 0x78, 1], 0),
        (
            "three times",
            &[0x2a, 2, 0x78, 1, 0x2a, 2, 0x78, 1, 0x2a, 2, 0x78, 1],
            2 * 6,
        ),
        (
            "in two messages",
            &[0x0a, 4, 0x2a, 2, 0x78, 1, 0x0a, 4, 0x2a, 2, 0x78, 1],
            250,
        ),
    ];
    for (name, bytes, expected) in cases {
        assert_eq!(of(bytes), expected, "{name}");
    }
}

#[test]
fn what_comes_before_an_error_is_counted_and_what_follows_a_malformed_message_too() {
    assert_eq!(of(&[0x0a, 0, 0x0a, 9, 0]), 150, "a length beyond the end");
    assert_eq!(of(&[0x0a, 0, 0x0f]), 150, "an unknown wire type");
    assert_eq!(of(&[0x0a, 0, 0x80]), 150, "half a key");
    assert_eq!(of(&[0x0a, 0, 0x0c]), 150, "the end of no group");
    assert_eq!(
        of(&[0x2a, 1, 0x80, 0x0a, 0]),
        150,
        "it may be looked into last"
    );
}

#[test]
fn counting_ends_at_the_limit_and_at_the_depth_that_decoders_refuse() {
    let elements = [0x0a, 0].repeat(1000);
    let counted = count(&table(), 0, &elements, 0, 1000);
    assert!((1001..1200).contains(&counted), "{counted}");
    let mut nested = Vec::new();
    for _ in 0..1000 {
        let mut outer = vec![0x0a];
        prost::encoding::encode_varint(nested.len() as u64, &mut outer);
        outer.extend(nested);
        nested = outer;
    }
    assert!(of(&nested) < 200 * 150, "{}", of(&nested));
    assert!(of(&nested) >= crate::body::MAX_DEPTH * 150);
    assert!(of(&[0x0b; 100_000]) < 200 * 150, "groups that never end");
}

#[test]
fn short_bodies_are_free() {
    // A byte becomes up to 75: at the length that is free it becomes no more than the length and what is free.
    let rate = LIST.bytes_per_byte();
    assert_eq!(rate, 75);
    let member = Member::new(1, 0, 48, rate);
    let len = member.free_len;
    assert!((20..30).contains(&len), "{len}");
    assert!(48 + len * rate <= len + FREE);
    assert_eq!(Member::new(1, 0, 48, 0).free_len, usize::MAX);
    assert_eq!(Member::new(1, 0, FREE + 1, 0).free_len, 0);
    assert_eq!(TEXT.bytes_per_byte(), 6, "a text of one byte");
    assert_eq!(NUMBERS.bytes_per_byte(), 16);
    assert_eq!(FIXED.bytes_per_byte(), 8);
}

#[test]
fn messages_that_contain_each_other_are_one_cycle() {
    // 0 -> 1 -> 2 -> 0, 2 -> 3, 3 -> 3, 4 -> 0.
    let targets = [vec![1], vec![2], vec![0, 3], vec![3], vec![0]];
    let cycles = cycles(&targets);
    assert!(cycles[0] == cycles[1] && cycles[1] == cycles[2]);
    assert!(cycles[3] != cycles[0] && cycles[4] != cycles[0] && cycles[3] != cycles[4]);
    let chain: Vec<Vec<usize>> = (1..=100_000).map(|next| vec![next % 100_000]).collect();
    assert!(
        super::build::cycles(&chain)
            .windows(2)
            .all(|pair| pair[0] == pair[1])
    );
}
