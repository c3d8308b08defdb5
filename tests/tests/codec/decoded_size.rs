//! What is counted before a body is decoded is never less than what its message holds.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

use msip_runtime::{
    Envelope, Message, ServerToClient,
    body::Body,
    bytes::Bytes,
    prost::encoding::{WireType, encode_key, encode_varint},
};
use msip_tests::sampler::{Chain, ClientToServer as Said, Kinds, Leaf};
use proptest::{collection::vec, prelude::*};

/// What a value holds besides its own bytes.
trait Heap {
    fn heap(&self) -> usize;
}

macro_rules! without_heap {
    ($($ty:ty),*) => { $(impl Heap for $ty { fn heap(&self) -> usize { 0 } })* };
}
without_heap!(bool, i32, i64, u32, u64, f32, f64);

impl Heap for String {
    fn heap(&self) -> usize {
        self.len()
    }
}

impl<T: Heap> Heap for Vec<T> {
    fn heap(&self) -> usize {
        self.capacity() * size_of::<T>() + self.iter().map(Heap::heap).sum::<usize>()
    }
}

/// Bytes: a list of `u8` is stored as it came.
#[derive(Debug)]
struct Raw<'a>(&'a Vec<u8>);

impl Heap for Raw<'_> {
    fn heap(&self) -> usize {
        self.0.len()
    }
}

impl<T: Heap> Heap for Option<T> {
    fn heap(&self) -> usize {
        self.as_ref().map_or(0, Heap::heap)
    }
}

impl<T: Heap> Heap for Box<T> {
    fn heap(&self) -> usize {
        size_of::<T>() + T::heap(self)
    }
}

impl<K: Heap + Eq + Hash, V: Heap> Heap for HashMap<K, V> {
    fn heap(&self) -> usize {
        let places = (self.capacity() * 8 / 7).next_power_of_two();
        let places = if self.capacity() == 0 { 0 } else { places };
        let held: usize = self
            .iter()
            .map(|(key, value)| key.heap() + value.heap())
            .sum();
        places * (size_of::<(K, V)>() + 1) + held
    }
}

impl<K: Heap, V: Heap> Heap for BTreeMap<K, V> {
    fn heap(&self) -> usize {
        // As if every node were full; those that are not are left to the test that measures the process.
        let held: usize = self
            .iter()
            .map(|(key, value)| key.heap() + value.heap())
            .sum();
        self.len() * size_of::<(K, V)>() + held
    }
}

/// The heap of a struct is that of its fields.
macro_rules! of_fields {
    ($($ty:ty: $($field:ident)*, raw $($raw:ident)*;)*) => {$(
        impl Heap for $ty {
            fn heap(&self) -> usize {
                0 $(+ self.$field.heap())* $(+ Raw(&self.$raw).heap())*
            }
        }
    )*};
}

of_fields! {
    Chain: next many, raw ballast;
    Leaf: name, raw;
    Kinds: a_string a_leaf a_child renamed_field maybe_string many_double many_float many_int32 many_sint64 many_uint64
        many_fixed32 many_sfixed64 many_bool many_string many_color many_leaf loose_int32 by_string by_int32 by_uint32
        by_uint64 by_sint32 by_sint64 by_fixed32 by_sfixed64 by_bool, raw some_bytes;
    Node: name list boxed boxes tree kinds, raw;
}

/// Fields with numbers that the messages of the test have, and with other ones, one after the other or inside of each
/// other, as a peer may write them that means no good.
#[derive(Debug, Clone)]
enum Piece {
    Number(u32, u64),
    Fixed(u32, u64),
    Text(u32, String),
    Raw(u32, Vec<u8>),
    Message(u32, Vec<Piece>),
    Group(u32, Vec<Piece>),
}

impl Piece {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number, value) => {
                encode_key(*number, WireType::Varint, out);
                encode_varint(*value, out);
            }
            Self::Fixed(number, value) => {
                encode_key(*number, WireType::SixtyFourBit, out);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Self::Text(number, text) => delimited(*number, text.as_bytes(), out),
            Self::Raw(number, bytes) => delimited(*number, bytes, out),
            Self::Message(number, pieces) => delimited(*number, &encoded(pieces), out),
            Self::Group(number, pieces) => {
                encode_key(*number, WireType::StartGroup, out);
                out.extend(encoded(pieces));
                encode_key(*number, WireType::EndGroup, out);
            }
        }
    }
}

fn encoded(pieces: &[Piece]) -> Vec<u8> {
    let mut out = Vec::new();
    pieces.iter().for_each(|piece| piece.encode(&mut out));
    out
}

fn delimited(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Pieces with the numbers of the fields of each type of the test.
fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let number = || prop_oneof![1_u32..8, 1_u32..8, 30_u32..60, Just(14_u32), Just(18_u32)];
    let piece = prop_oneof![
        (number(), any::<u64>()).prop_map(|(number, value)| Piece::Number(number, value)),
        (number(), 0_u64..3).prop_map(|(number, value)| Piece::Number(number, value)),
        (number(), any::<u64>()).prop_map(|(number, value)| Piece::Fixed(number, value)),
        (number(), "[a-z]{0,9}").prop_map(|(number, text)| Piece::Text(number, text)),
        (number(), vec(0_u8..4, 0..20)).prop_map(|(number, bytes)| Piece::Raw(number, bytes)),
    ];
    let nested = piece.prop_recursive(5, 200, 20, move |inner| {
        prop_oneof![
            4 => (number(), vec(inner.clone(), 0..20))
                .prop_map(|(number, inner)| Piece::Message(number, inner)),
            1 => (number(), vec(inner, 0..4))
                .prop_map(|(number, inner)| Piece::Group(number, inner)),
        ]
    });
    vec(nested, 0..30)
}

/// Checks a member's bytes, where they are its message. Returns whether they are.
fn check<E: Envelope>(
    variant: u16,
    member: &[u8],
    heap: impl Fn(&E) -> usize,
) -> Result<bool, TestCaseError> {
    let mut body = Vec::new();
    delimited(variant.into(), member, &mut body);
    let Ok(message) = E::decode(variant, Body::from(&Bytes::from(body))) else {
        return Ok(false);
    };
    let sizes = E::sizes().expect("is generated");
    let counted = sizes.count(variant, member, usize::MAX);
    let held = heap(&message);
    prop_assert!(held <= counted, "{held} bytes held, {counted} counted");
    Ok(true)
}

fn heap_of_prost(message: &Said) -> usize {
    match message {
        Said::KindsReq(kinds) => size_of::<Kinds>() + kinds.heap(),
        Said::ChainReq(chain) => size_of::<Chain>() + chain.heap(),
        _ => 0,
    }
}

#[derive(Debug, Clone, PartialEq, msip_runtime::ClientToServer)]
#[msip(protocol = "nodes")]
enum ClientToServer {
    #[msip(tag = 1)]
    NodeInd(Node),
}

#[derive(Debug, Clone, PartialEq, ServerToClient)]
enum ServerToClient {
    #[msip(tag = 1)]
    NothingInd,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[expect(clippy::vec_box, reason = "a user may do so")]
struct Node {
    #[msip(tag = 1)]
    name: String,
    #[msip(tag = 2)]
    list: Vec<Node>,
    #[msip(tag = 3)]
    boxed: Option<Box<Node>>,
    #[msip(tag = 4)]
    boxes: Vec<Box<Node>>,
    #[msip(tag = 5)]
    tree: BTreeMap<u32, Box<Node>>,
    #[msip(tag = 6)]
    kinds: Vec<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
enum Kind {
    #[msip(tag = 0)]
    None,
    #[msip(other)]
    Other(i32),
}

impl Heap for Kind {
    fn heap(&self) -> usize {
        0
    }
}

fn heap_of_derive(message: &ClientToServer) -> usize {
    let ClientToServer::NodeInd(node) = message;
    size_of::<Node>() + node.heap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_message_holds_more_than_was_counted(pieces in pieces()) {
        let bytes = encoded(&pieces);
        for variant in [1, 3] {
            check::<Said>(variant, &bytes, heap_of_prost)?;
        }
        check::<ClientToServer>(1, &bytes, heap_of_derive)?;
        // Where a piece is nothing of the message's, the others still are.
        for piece in &pieces {
            let mut bytes = Vec::new();
            piece.encode(&mut bytes);
            let bytes = bytes.repeat(3);
            for variant in [1, 3] {
                check::<Said>(variant, &bytes, heap_of_prost)?;
            }
            check::<ClientToServer>(1, &bytes, heap_of_derive)?;
        }
    }

    #[test]
    fn any_bytes_are_counted_without_a_panic(bytes in vec(any::<u8>(), 0..300), max in 0_usize..10_000) {
        for variant in [1, 2, 3, 4, 6, 7] {
            let sizes = Said::sizes().expect("is generated");
            let counted = sizes.count(variant, &bytes, usize::MAX);
            prop_assert!(sizes.count(variant, &bytes, max) <= counted);
            check::<Said>(variant, &bytes, heap_of_prost)?;
        }
        check::<ClientToServer>(1, &bytes, heap_of_derive)?;
    }
}
