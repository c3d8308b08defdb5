//! What is counted before a body is decoded is what its message then takes of the process's memory. One test, for it
//! measures the whole process.

#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, HashMap};

use msip_runtime::{
    ClientToServer, Envelope, Message, ServerToClient,
    body::Body,
    bytes::Bytes,
    prost::encoding::{WireType, encode_key, encode_varint},
};
use msip_tests::{memory::Memory, sampler};

/// How many elements a list has: so many that a megabyte that is counted to something else does not matter.
const MANY: usize = 400_000;

#[derive(Debug, Clone, PartialEq, ClientToServer)]
#[msip(protocol = "heavy")]
enum ClientToServer {
    #[msip(tag = 1)]
    LoadInd(Box1),
}

#[derive(Debug, Clone, PartialEq, ServerToClient)]
enum ServerToClient {
    #[msip(tag = 1)]
    NothingInd,
}

#[derive(Debug, Clone, PartialEq, Message)]
struct Box1 {
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
    let mut out = Vec::new();
    let mut inner = Vec::new();
    for index in 0..count {
        inner.clear();
        contents(index, &mut inner);
        delimited(number, &inner, &mut out);
    }
    out
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

fn nothing(_: usize, _: &mut Vec<u8>) {}

fn resident() -> usize {
    let memory = Memory::of(std::process::id()).expect("Linux has it");
    usize::try_from(memory.resident).expect("fits")
}

/// Decodes a member, and compares what was counted with what the process then has more.
fn measure<E: Envelope>(name: &str, variant: u16, member: &[u8]) {
    let sizes = E::sizes().expect("is generated");
    let counted = sizes.count(variant, member, usize::MAX);
    let mut body = Vec::with_capacity(member.len() + 16);
    delimited(variant.into(), member, &mut body);
    let body = Bytes::from(body);
    let before = resident();
    let message = E::decode(variant, Body::from(&body)).expect("is a message");
    let taken = resident().saturating_sub(before);
    // It stays, so that nothing of what follows is put into its place.
    std::mem::forget(message);
    println!(
        "{name}: {} bytes, counted {counted}, taken {taken}",
        member.len()
    );
    assert!(
        counted * 10 >= taken * 8,
        "{name}: {taken} bytes taken, {counted} counted"
    );
    assert!(
        counted <= taken * 4,
        "{name}: {counted} bytes counted, {taken} taken"
    );
}

#[test]
fn what_is_counted_is_what_is_taken() {
    type Sampler = sampler::ClientToServer;
    const KINDS: u16 = 1;
    const WELL_KNOWN: u16 = 2;
    const CHAIN: u16 = 3;
    let text = |index: usize, out: &mut Vec<u8>| out.extend(format!("text {index}").bytes());
    let key = |index: usize, out: &mut Vec<u8>| varint(1, index as u64, out);
    let packed = |number, value: &[u8]| {
        let mut out = Vec::new();
        delimited(number, &value.repeat(8 * MANY), &mut out);
        out
    };
    let loose = |number| {
        let mut out = Vec::new();
        (0..8 * MANY).for_each(|_| varint(number, 1, &mut out));
        out
    };
    // Of prost.
    measure::<Sampler>("empty messages", CHAIN, &fields(2, MANY, nothing));
    measure::<Sampler>(
        "lists of one",
        CHAIN,
        &fields(2, MANY, |_, out| delimited(2, &[], out)),
    );
    let boxes = |_: usize, out: &mut Vec<u8>| delimited(1, &[], out);
    measure::<Sampler>("messages in boxes", CHAIN, &fields(2, MANY, boxes));
    measure::<Sampler>(
        "bytes",
        CHAIN,
        &fields(2, MANY, |_, out| delimited(3, &[7; 40], out)),
    );
    measure::<Sampler>("leaves", KINDS, &fields(41, MANY, nothing));
    measure::<Sampler>("empty texts", KINDS, &fields(38, MANY, nothing));
    measure::<Sampler>("texts", KINDS, &fields(38, MANY, text));
    measure::<Sampler>(
        "one large text",
        KINDS,
        &fields(14, 1, |_, out| {
            out.resize(8 << 20, b'x');
        }),
    );
    measure::<Sampler>("packed bools", KINDS, &packed(37, &[1]));
    measure::<Sampler>("packed varints", KINDS, &packed(34, &[1]));
    measure::<Sampler>("packed enums", KINDS, &packed(40, &[1]));
    measure::<Sampler>("packed doubles", KINDS, &packed(30, &[1; 8]));
    measure::<Sampler>("numbers that are not packed", KINDS, &loose(42));
    measure::<Sampler>("numbers that could be packed", KINDS, &loose(34));
    let leaf = |index: usize, out: &mut Vec<u8>| varint(1, 2 * index as u64, out);
    measure::<Sampler>("a map of numbers", KINDS, &fields(52, MANY, key));
    measure::<Sampler>("a map of messages", KINDS, &fields(56, MANY, leaf));
    let named = |index: usize, out: &mut Vec<u8>| {
        delimited(1, format!("name {index}").as_bytes(), out);
    };
    measure::<Sampler>("a map of names", KINDS, &fields(50, MANY, named));
    measure::<Sampler>("times", WELL_KNOWN, &fields(20, MANY, nothing));
    measure::<Sampler>("values", WELL_KNOWN, &fields(21, MANY, nothing));
    let list = |_: usize, out: &mut Vec<u8>| delimited(6, &[0x0a, 0], out);
    measure::<Sampler>(
        "lists of one value",
        WELL_KNOWN,
        &fields(21, MANY / 4, list),
    );
    measure::<Sampler>("anys", WELL_KNOWN, &fields(25, MANY, nothing));
    measure::<Sampler>(
        "wrapped numbers",
        WELL_KNOWN,
        &fields(22, 4 * MANY, nothing),
    );
    let mut members = Vec::new();
    delimited(3, &fields(1, MANY, named), &mut members);
    measure::<Sampler>("a struct", WELL_KNOWN, &members);
    // Of derives.
    const LOAD: u16 = 1;
    measure::<ClientToServer>("derived messages", LOAD, &fields(1, MANY, nothing));
    let row = |_: usize, out: &mut Vec<u8>| delimited(2, &[1], out);
    measure::<ClientToServer>("derived lists of one", LOAD, &fields(1, MANY, row));
    measure::<ClientToServer>("derived messages in boxes", LOAD, &fields(2, MANY, nothing));
    measure::<ClientToServer>("derived enums", LOAD, &packed(3, &[7]));
    measure::<ClientToServer>("a tree", LOAD, &fields(4, MANY, key));
    measure::<ClientToServer>("a table of boxes", LOAD, &fields(5, MANY, key));
    let chosen = |_: usize, out: &mut Vec<u8>| delimited(1, &[], out);
    measure::<ClientToServer>("oneofs of boxes", LOAD, &fields(6, MANY, chosen));
    measure::<ClientToServer>("oneofs in boxes", LOAD, &fields(7, MANY, chosen));
}
