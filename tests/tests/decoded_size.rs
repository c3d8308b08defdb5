//! What is counted before a body is decoded is what its message then takes of the process's memory. It is measured in a
//! process for each kind of message, so that none takes what another has left.

#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "what was measured is worth a look")]

use std::{
    collections::{BTreeMap, HashMap},
    process::Command,
};

use msip_runtime::{
    ClientToServer, Envelope, Message, ServerToClient,
    body::Body,
    bytes::Bytes,
    prost::encoding::{WireType, encode_key, encode_varint},
};
use msip_tests::{memory::Memory, sampler};

/// Which kind a process measures.
const KIND: &str = "MSIP_TESTS_KIND";

const MIB: usize = 1024 * 1024;

/// How many elements a list has: so many that a megabyte that is counted to something else does not matter.
const MANY: usize = 100_000;

#[derive(Debug, Clone, PartialEq, ClientToServer)]
#[msip(protocol = "heavy")]
enum ClientToServer {
    #[msip(tag = 1)]
    LoadInd(Load),
}

#[derive(Debug, Clone, PartialEq, ServerToClient)]
enum ServerToClient {
    #[msip(tag = 1)]
    NothingInd,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[expect(clippy::vec_box, reason = "a user may do so")]
struct Load {
    #[msip(tag = 1)]
    rows: Vec<Row>,
    #[msip(tag = 2)]
    boxes: Vec<Box<Row>>,
    #[msip(tag = 3)]
    moods: Vec<Mood>,
    #[msip(tag = 4)]
    tree: BTreeMap<u32, Row>,
    #[msip(tag = 5)]
    hash: HashMap<u32, Box<Row>>,
    #[msip(tag = 6)]
    choices: Vec<Choice>,
    #[msip(tag = 7)]
    holders: Vec<Holder>,
}

#[derive(Debug, Clone, PartialEq, Message)]
struct Row {
    #[msip(tag = 1)]
    name: String,
    #[msip(tag = 2)]
    numbers: Vec<u64>,
    #[msip(tag = 3)]
    blob: Bytes,
    #[msip(tag = 4)]
    a: u64,
    #[msip(tag = 5)]
    b: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
enum Mood {
    #[msip(tag = 0)]
    Calm,
    #[msip(other)]
    Other(i32),
}

#[derive(Debug, Clone, PartialEq, Message)]
enum Choice {
    #[msip(tag = 1)]
    Row(Box<Row>),
    #[msip(tag = 2)]
    Text(String),
    #[msip(other)]
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Message)]
struct Holder {
    #[msip(oneof)]
    choice: Option<Box<Choice>>,
}

/// `count` fields of this number, each with what `contents` appends.
fn fields(number: u32, count: usize, contents: impl Fn(usize, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = room();
    let mut inner = Vec::new();
    for index in 0..count {
        inner.clear();
        contents(index, &mut inner);
        delimited(number, &inner, &mut out);
    }
    out
}

/// A buffer that never grows: what it would leave would be taken by what is decoded.
fn room() -> Vec<u8> {
    Vec::with_capacity(32 << 20)
}

fn delimited(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn varint(number: u32, value: u64, out: &mut Vec<u8>) {
    encode_key(number, WireType::Varint, out);
    encode_varint(value, out);
}

fn resident() -> usize {
    let memory = Memory::of(std::process::id()).expect("Linux has it");
    usize::try_from(memory.resident).expect("fits")
}

/// Decodes a member, and compares what was counted with what the process then has more.
fn measure<E: Envelope>(variant: u16, member: &[u8]) {
    let sizes = E::sizes().expect("is generated");
    let counted = sizes.count(variant, member, usize::MAX);
    let mut body = room();
    delimited(variant.into(), member, &mut body);
    let body = Bytes::from(body);
    let before = resident();
    let message = E::decode(variant, Body::from(&body)).expect("is a message");
    let taken = resident().saturating_sub(before);
    drop(message);
    println!("{} bytes, counted {counted}, taken {taken}", member.len());
    // What else the process does is less than a megabyte.
    assert!((counted + MIB) * 10 >= taken * 8, "too little");
    assert!(counted <= taken * 4 + 2 * MIB, "too much");
}

/// Measures a kind in a process of its own.
fn measure_apart(kind: &str) {
    let program = std::env::current_exe().expect("it runs");
    let output = Command::new(program)
        .args(["--exact", "what_is_counted_is_what_is_taken", "--nocapture"])
        .env(KIND, kind)
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.contains("counted"));
    println!("{kind}: {}", line.unwrap_or_default());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{kind}: {text}{errors}");
}

/// A kind of message: its name, and what measures it.
type Kind = (&'static str, Box<dyn Fn()>);

fn kinds() -> Vec<Kind> {
    const KINDS: u16 = 1;
    const WELL_KNOWN: u16 = 2;
    const CHAIN: u16 = 3;
    const LOAD: u16 = 1;
    type Bytes = Box<dyn Fn() -> Vec<u8>>;
    fn many(number: u32, contents: fn(usize, &mut Vec<u8>)) -> Bytes {
        Box::new(move || fields(number, MANY, contents))
    }
    fn packed(number: u32, value: &'static [u8]) -> Bytes {
        Box::new(move || {
            let mut out = room();
            delimited(number, &value.repeat(8 * MANY), &mut out);
            out
        })
    }
    fn loose(number: u32) -> Bytes {
        Box::new(move || {
            let mut out = room();
            (0..8 * MANY).for_each(|_| varint(number, 1, &mut out));
            out
        })
    }
    fn text(index: usize, out: &mut Vec<u8>) {
        out.extend(format!("text {index}").bytes());
    }
    fn key(index: usize, out: &mut Vec<u8>) {
        varint(1, index as u64, out);
    }
    fn name(index: usize, out: &mut Vec<u8>) {
        delimited(1, format!("name {index}").as_bytes(), out);
    }
    fn first(_: usize, out: &mut Vec<u8>) {
        delimited(1, &[], out);
    }
    fn second(_: usize, out: &mut Vec<u8>) {
        delimited(2, &[], out);
    }
    let of_prost: Vec<(&str, u16, Bytes)> = vec![
        ("empty messages", CHAIN, many(2, |_, _| {})),
        ("lists of one", CHAIN, many(2, second)),
        ("messages in boxes", CHAIN, many(2, first)),
        (
            "bytes",
            CHAIN,
            many(2, |_, out| delimited(3, &[7; 40], out)),
        ),
        ("leaves", KINDS, many(41, |_, _| {})),
        ("empty texts", KINDS, many(38, |_, _| {})),
        ("texts", KINDS, many(38, text)),
        (
            "one large text",
            KINDS,
            Box::new(|| fields(14, 1, |_, out| out.resize(8 << 20, b'x'))),
        ),
        ("packed bools", KINDS, packed(37, &[1])),
        ("packed varints", KINDS, packed(34, &[1])),
        ("packed enums", KINDS, packed(40, &[1])),
        ("packed doubles", KINDS, packed(30, &[1; 8])),
        ("numbers that are not packed", KINDS, loose(42)),
        ("numbers that could be packed", KINDS, loose(34)),
        ("a map of bytes", KINDS, many(52, key)),
        (
            "a map of messages",
            KINDS,
            many(56, |index, out| varint(1, 2 * index as u64, out)),
        ),
        ("a map of names", KINDS, many(50, name)),
        ("times", WELL_KNOWN, many(20, |_, _| {})),
        ("values", WELL_KNOWN, many(21, |_, _| {})),
        (
            "lists of one value",
            WELL_KNOWN,
            many(21, |_, out| delimited(6, &[0x0a, 0], out)),
        ),
        ("anys", WELL_KNOWN, many(25, |_, _| {})),
        ("wrapped numbers", WELL_KNOWN, many(22, |_, _| {})),
        (
            "a struct",
            WELL_KNOWN,
            Box::new(|| {
                let mut out = room();
                delimited(3, &fields(1, MANY, name), &mut out);
                out
            }),
        ),
    ];
    let of_derives: Vec<(&str, u16, Bytes)> = vec![
        ("derived messages", LOAD, many(1, |_, _| {})),
        (
            "derived lists of one",
            LOAD,
            many(1, |_, out| delimited(2, &[1], out)),
        ),
        ("derived messages in boxes", LOAD, many(2, |_, _| {})),
        ("derived enums", LOAD, packed(3, &[7])),
        ("a tree", LOAD, many(4, key)),
        ("a table of boxes", LOAD, many(5, key)),
        ("oneofs of boxes", LOAD, many(6, first)),
        ("oneofs in boxes", LOAD, many(7, first)),
    ];
    let mut kinds: Vec<Kind> = Vec::new();
    for (name, variant, bytes) in of_prost {
        let measure = move || measure::<sampler::ClientToServer>(variant, &bytes());
        kinds.push((name, Box::new(measure)));
    }
    for (name, variant, bytes) in of_derives {
        let measure = move || measure::<ClientToServer>(variant, &bytes());
        kinds.push((name, Box::new(measure)));
    }
    kinds
}

#[test]
fn what_is_counted_is_what_is_taken() {
    let kind = std::env::var(KIND).ok();
    for (name, measure) in kinds() {
        match kind.as_deref() {
            None => measure_apart(name),
            Some(kind) if kind == name => measure(),
            Some(_) => {}
        }
    }
}
