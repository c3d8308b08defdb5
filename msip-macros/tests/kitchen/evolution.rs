//! Bytes of newer, older and odd peers.

use std::time::Duration;

use msip_runtime::Envelope as _;
use msip_runtime::body::{Body, Message};
use msip_runtime::bytes::Bytes;
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::derived::{
    ClientToServer, Closing, Content, Letter, Light, Many, Mood, Optionals, Shape, Tree,
    VehicleState,
};
use crate::spelled;

fn read<M: Message>(bytes: &[u8]) -> Result<M, String> {
    M::decode_body(Body::from(&Bytes::copy_from_slice(bytes)))
}

fn run(number: u32, inner: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(number, WireType::LengthDelimited, &mut bytes);
    encode_varint(inner.len() as u64, &mut bytes);
    bytes.extend_from_slice(inner);
    bytes
}

#[test]
fn unknown_fields_of_every_wire_type_are_skipped() {
    let mut bytes = run(1, b"oak");
    // 100: varint, 64 bit, run, group with a field inside, 32 bit.
    bytes.extend([0xa0, 0x06, 0xff, 0x01]);
    bytes.extend([0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8]);
    bytes.extend(run(100, b"what is this"));
    bytes.extend([0xa3, 0x06, 0x08, 0x01, 0xa4, 0x06]);
    bytes.extend([0xa5, 0x06, 1, 2, 3, 4]);
    assert_eq!(
        read::<Tree>(&bytes).map(|tree| tree.name),
        Ok("oak".to_owned())
    );
}

#[test]
fn numbers_of_a_list_are_read_packed_and_one_by_one() {
    let packed = run(1, &[1, 2, 0xac, 0x02]);
    let single = [0x08, 1, 0x08, 2, 0x08, 0xac, 0x02];
    for bytes in [&packed[..], &single[..]] {
        assert_eq!(
            read::<Many>(bytes).map(|many| many.numbers),
            Ok(vec![1, 2, 300])
        );
    }
    let mixed = [&packed[..], &single[..]].concat();
    assert_eq!(
        read::<Many>(&mixed).map(|many| many.numbers),
        Ok(vec![1, 2, 300, 1, 2, 300])
    );
}

#[test]
fn a_message_that_occurs_twice_is_merged() {
    let inner = |name: &str| run(1, name.as_bytes());
    let mut first = inner("first");
    first.extend(run(3, &inner("child")));
    let bytes = [run(2, &first), run(2, &[]), run(2, &inner("second"))].concat();
    let left = read::<Tree>(&bytes).expect("read").left.expect("there");
    assert_eq!((left.name.as_str(), left.others.len()), ("second", 1));
}

#[test]
fn the_last_variant_of_several_counts_and_merges_with_itself_only() {
    let circle = run(1, &[0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
    let tree = |name: &str| run(7, &run(1, name.as_bytes()));
    let bytes = [tree("lost"), circle, tree("a"), run(7, &run(3, &[]))].concat();
    let Ok(Shape::Tree(tree)) = read::<Shape>(&bytes) else {
        panic!("the last one is a tree");
    };
    assert_eq!((tree.name.as_str(), tree.others.len()), ("a", 1));
}

#[test]
fn a_oneof_beside_fields_is_read_like_one_by_itself() {
    let answer = |author: &str| run(300, &run(1, author.as_bytes()));
    let stars = |letter: &Letter| (letter.stars, letter.author.clone());
    // Fields and members in any order, and a number that neither has.
    let bytes = [
        answer("lost"),
        vec![0x18, 5],
        run(4, b"text"),
        run(99, b"newer"),
        answer("a"),
        run(1, b"me"),
        run(300, &[0x18, 7]),
        run(6, b"seal"),
    ]
    .concat();
    let letter = read::<Letter>(&bytes).expect("read");
    assert_eq!(stars(&letter), (5, "me".to_owned()));
    assert_eq!(letter.closing, Closing::Seal(Bytes::from_static(b"seal")));
    let Some(Content::Answer(answer)) = letter.content else {
        panic!("the last one is an answer");
    };
    assert_eq!(stars(&answer), (7, "a".to_owned()), "merged with itself");

    let empty = read::<Letter>(&[]).expect("read");
    assert_eq!((empty.content, empty.closing), (None, Closing::Open));
    assert_eq!(
        read::<Letter>(&run(4, &[0xff])).expect_err("not text"),
        "text: string is not UTF-8"
    );
}

#[test]
fn unknown_numbers_of_enums_are_kept_or_replaced() {
    let bytes = [0x28, 7];
    let optionals = read::<Optionals>(&bytes).expect("read");
    assert_eq!(optionals.mood, Some(Mood::Other(7)));
    let mut again = Vec::new();
    optionals.encode_body(&mut again);
    assert_eq!(again, bytes);

    let state = read::<VehicleState>(&[0x10, 99]).expect("read");
    assert_eq!(state.light, Light::Red);
}

#[test]
fn a_variant_that_is_not_known_becomes_the_other_one() {
    assert_eq!(read::<Shape>(&run(50, b"newer")), Ok(Shape::Unknown));
    assert_eq!(read::<Shape>(&[]), Ok(Shape::Unknown));
}

#[test]
fn impossible_values_are_reported_with_their_path() {
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("text", run(1, &[0xff]), "name: string is not UTF-8"),
        (
            "inside",
            run(2, &run(1, &[0xff])),
            "left.name: string is not UTF-8",
        ),
        (
            "wire type",
            vec![0x08, 1],
            "name: expected wire type LengthDelimited, found Varint",
        ),
        (
            "cut off",
            vec![0x0a, 5, b'a'],
            "name: length 5 exceeds the remaining 1 bytes",
        ),
        ("field 0", vec![0x00], "field number 0"),
        (
            "group",
            vec![0x0c],
            "name: expected wire type LengthDelimited, found EndGroup",
        ),
    ];
    for (name, bytes, text) in cases {
        assert_eq!(read::<Tree>(&bytes).expect_err(name), text, "{name}");
    }
    let negative = run(
        8,
        &[
            0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ],
    );
    let error = read::<Optionals>(&negative).expect_err("a negative duration");
    assert!(error.starts_with("lasts: duration of -1 s"), "{error}");
}

/// A tree with so many trees inside each other.
fn nested(depth: usize) -> Vec<u8> {
    (0..depth).fold(Vec::new(), |inner, _| run(2, &inner))
}

#[test]
fn messages_nest_a_hundred_deep_and_no_deeper() {
    assert!(read::<Tree>(&nested(100)).is_ok());
    let error = read::<Tree>(&nested(101)).expect_err("too deep");
    assert!(
        error.ends_with("nested deeper than 100 messages"),
        "{error}"
    );
    assert!(read::<Tree>(&nested(10_000)).is_err());
    let groups = [0x0b; 10_000];
    assert!(read::<Tree>(&groups).is_err(), "groups in name's place");
    let groups = [0xa3, 0x06].repeat(10_000);
    let error = read::<Tree>(&groups).expect_err("groups nobody knows");
    assert!(
        error.ends_with("nested deeper than 100 messages"),
        "{error}"
    );
}

#[test]
fn both_spellings_nest_equally_deep() {
    for depth in [99, 100, 101] {
        let body = Bytes::from(run(5, &nested(depth)));
        let derived = ClientToServer::decode(5, Body::from(&body));
        let spelled = spelled::ClientToServer::decode(5, Body::from(&body));
        assert_eq!(derived.is_ok(), spelled.is_ok(), "{depth}");
    }
}

/// How long is measured at least, by repetition.
const LONG_ENOUGH: Duration = Duration::from_millis(50);

/// The time that this thread has had a processor for: the load of the machine is no part of it. Only Linux says so.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

/// Decoding takes as many times longer as there are more bytes: each occurrence does not copy those before it.
#[test]
fn a_part_that_occurs_often_takes_no_more_than_its_share() {
    let cost = |occurrences| {
        let bytes = run(2, &run(1, b"a")).repeat(occurrences);
        let (begun, mut runs) = (processor_time()?, 0);
        loop {
            assert!(read::<Tree>(&bytes).is_ok());
            runs += 1;
            let taken = processor_time()? - begun;
            if taken > LONG_ENOUGH {
                return Some(taken / runs);
            }
        }
    };
    let Some((few, many)) = cost(20_000).zip(cost(200_000)) else {
        return;
    };
    // Ten times where it is linear, and a hundred times where it is quadratic.
    assert!(
        many < few * 40,
        "{few:?}, and {many:?} for ten times as many"
    );
}

/// A message that contains itself, with as many fields as take much room on the stack.
#[derive(Debug, Clone, PartialEq, Default, msip_runtime::Message)]
struct Wide {
    #[msip(tag = 1)]
    inner: Option<Box<Wide>>,
    #[msip(tag = 2)]
    map: std::collections::BTreeMap<String, Wide>,
    #[msip(tag = 3)]
    a: Strings,
    #[msip(tag = 4)]
    b: Strings,
    #[msip(tag = 5)]
    c: Strings,
    #[msip(tag = 6)]
    d: Strings,
}

/// Sixteen texts.
#[derive(Debug, Clone, PartialEq, Default, msip_runtime::Message)]
struct Strings {
    #[msip(tag = 1)]
    t0: String,
    #[msip(tag = 2)]
    t1: String,
    #[msip(tag = 3)]
    t2: String,
    #[msip(tag = 4)]
    t3: String,
    #[msip(tag = 5)]
    t4: String,
    #[msip(tag = 6)]
    t5: String,
    #[msip(tag = 7)]
    t6: String,
    #[msip(tag = 8)]
    t7: String,
    #[msip(tag = 9)]
    t8: String,
    #[msip(tag = 10)]
    t9: String,
    #[msip(tag = 11)]
    t10: String,
    #[msip(tag = 12)]
    t11: String,
    #[msip(tag = 13)]
    t12: String,
    #[msip(tag = 14)]
    t13: String,
    #[msip(tag = 15)]
    t14: String,
    #[msip(tag = 16)]
    t15: String,
}

#[test]
fn the_deepest_nesting_fits_on_every_stack() {
    // Tokio's workers have 2 MiB, of which a program's own calls take some.
    let deepest = std::thread::Builder::new()
        .stack_size(1024 * 1024)
        .spawn(|| {
            let chain = (0..100).fold(Vec::new(), |inner, _| run(1, &inner));
            let entry = |inner: &Vec<u8>| run(2, &run(2, inner));
            let entries = (0..50).fold(Vec::new(), |inner, _| entry(&inner));
            (
                read::<Wide>(&chain).is_ok(),
                read::<Wide>(&entries).is_ok(),
                read::<Wide>(&entry(&entries)).is_ok(),
            )
        });
    let read = deepest.expect("a thread").join().expect("no overflow");
    // The entry of a map is a message too.
    assert_eq!(read, (true, true, false));
}

/// No such message can ever be built, since each needs another one.
#[derive(Debug, PartialEq, msip_runtime::Message)]
struct Endless {
    #[msip(tag = 1)]
    inner: Box<Endless>,
}

#[test]
fn a_message_that_always_contains_itself_is_an_error() {
    let error = read::<Endless>(&[]).expect_err("endless");
    assert!(
        error.ends_with("nested deeper than 200 messages"),
        "{error}"
    );
}
