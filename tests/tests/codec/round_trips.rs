//! Every kind of field goes there and back in each codec and compression; and whatever else comes as a body is
//! answered, and affects no other message.

use msip_runtime::{
    Client, Codec, Compression, prost_types,
    transport::ServiceUrl,
    wire::{Codec as WireCodec, Flags, FrameType, Hello},
};
use msip_tests::{
    Echo, RawCaller, raw,
    sampler::{Color, Kinds, Leaf, Sampler, SendClientToServer as _, WellKnown, kinds::Choice},
};
use proptest::{
    collection::vec,
    prelude::any,
    test_runner::{Config, TestCaseError, TestRunner},
};
use tokio::runtime::Runtime;

/// Makes values out of random bytes; when they run out, empty ones.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// Often one at an edge.
    fn number(&mut self) -> u64 {
        match self.byte() % 8 {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << 63,
            3 => 1 << 53 | 1,
            4 => u32::MAX.into(),
            5 => self.byte().into(),
            _ => (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte())),
        }
    }

    fn int64(&mut self) -> i64 {
        self.number().cast_signed()
    }

    fn int32(&mut self) -> i32 {
        let [a, b, c, d, ..] = self.number().to_le_bytes();
        i32::from_le_bytes([a, b, c, d])
    }

    fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    /// Any but a negative zero, which prost takes for zero, and NaN, which equals nothing.
    fn double(&mut self) -> f64 {
        let value = match self.byte() % 5 {
            0 => f64::INFINITY,
            1 => f64::NEG_INFINITY,
            2 => f64::MIN_POSITIVE,
            3 => f64::from(self.int32()) / 64.0,
            _ => f64::from_bits(self.number()),
        };
        if value == 0.0 || value.is_nan() {
            1.5
        } else {
            value
        }
    }

    fn float(&mut self) -> f32 {
        let value = match self.byte() % 4 {
            0 => f32::MAX,
            1 => f32::NEG_INFINITY,
            _ => f32::from_bits(self.int32().cast_unsigned()),
        };
        if value == 0.0 || value.is_nan() {
            0.1
        } else {
            value
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = usize::from(self.byte() % 40);
        (0..len).map(|_| self.byte()).collect()
    }

    fn text(&mut self) -> String {
        const LETTERS: [char; 12] = [
            'a', 'Z', '"', '\\', '\n', '\u{0}', '\u{7f}', 'é', '\u{2028}', '😀', '/', ' ',
        ];
        let len = self.byte() % 12;
        (0..len)
            .map(|_| LETTERS[usize::from(self.byte()) % LETTERS.len()])
            .collect()
    }

    /// Sometimes a number without a name.
    fn color(&mut self) -> i32 {
        match self.byte() % 4 {
            0 => 0,
            1 => Color::Red.into(),
            2 => Color::Negative.into(),
            _ => self.int32(),
        }
    }

    fn leaf(&mut self) -> Leaf {
        Leaf {
            name: self.text(),
            big_number: self.int64(),
        }
    }

    fn many<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let len = if self.flag() { self.byte() % 20 } else { 0 };
        (0..len).map(|_| one(self)).collect()
    }

    fn map<K, V, M: FromIterator<(K, V)>>(
        &mut self,
        mut key: impl FnMut(&mut Self) -> K,
        mut value: impl FnMut(&mut Self) -> V,
    ) -> M {
        let entries = self.many(|source| (key(source), value(source)));
        entries.into_iter().collect()
    }

    fn maybe<T>(&mut self, one: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| one(self))
    }

    fn kinds(&mut self, depth: u32) -> Kinds {
        Kinds {
            a_double: self.double(),
            a_float: self.float(),
            an_int32: self.int32(),
            an_int64: self.int64(),
            a_uint32: self.int32().cast_unsigned(),
            a_uint64: self.number(),
            a_sint32: self.int32(),
            a_sint64: self.int64(),
            a_fixed32: self.int32().cast_unsigned(),
            a_fixed64: self.number(),
            a_sfixed32: self.int32(),
            a_sfixed64: self.int64(),
            a_bool: self.flag(),
            a_string: self.text(),
            some_bytes: self.bytes(),
            a_color: self.color(),
            a_leaf: self.maybe(Self::leaf),
            a_child: if depth > 0 && self.flag() {
                Some(Box::new(self.kinds(depth - 1)))
            } else {
                None
            },
            renamed_field: self.text(),
            maybe_int32: self.maybe(Self::int32),
            maybe_string: self.maybe(Self::text),
            maybe_bytes: self.maybe(Self::bytes),
            maybe_color: self.maybe(Self::color),
            maybe_double: self.maybe(Self::double),
            many_double: self.many(Self::double),
            many_float: self.many(Self::float),
            many_int32: self.many(Self::int32),
            many_sint64: self.many(Self::int64),
            many_uint64: self.many(Self::number),
            many_fixed32: self.many(|source| source.int32().cast_unsigned()),
            many_sfixed64: self.many(Self::int64),
            many_bool: self.many(Self::flag),
            many_string: self.many(Self::text),
            many_bytes: self.many(Self::bytes),
            many_color: self.many(Self::color),
            many_leaf: self.many(Self::leaf),
            loose_int32: self.many(Self::int32),
            by_string: self.map(Self::text, Self::int64),
            by_int32: self.map(Self::int32, Self::text),
            by_int64: self.map(Self::int64, Self::bytes),
            by_uint32: self.map(|source| source.int32().cast_unsigned(), Self::double),
            by_uint64: self.map(Self::number, Self::color),
            by_sint32: self.map(Self::int32, Self::flag),
            by_sint64: self.map(Self::int64, Self::leaf),
            by_fixed32: self.map(|source| source.int32().cast_unsigned(), Self::number),
            by_sfixed64: self.map(Self::int64, Self::float),
            by_bool: self.map(Self::flag, Self::text),
            choice: match self.byte() % 6 {
                0 => None,
                1 => Some(Choice::ChosenString(self.text())),
                2 => Some(Choice::ChosenUint32(self.int32().cast_unsigned())),
                3 => Some(Choice::ChosenLeaf(self.leaf())),
                4 => Some(Choice::ChosenBytes(self.bytes())),
                _ => Some(Choice::ChosenColor(self.color())),
            },
        }
    }

    fn time(&mut self) -> prost_types::Timestamp {
        const YEARS: i64 = 253_402_300_800 + 62_135_596_800;
        prost_types::Timestamp {
            seconds: self.int64().rem_euclid(YEARS) - 62_135_596_800,
            nanos: self.int32().rem_euclid(1_000_000_000),
        }
    }

    fn span(&mut self) -> prost_types::Duration {
        let sign = if self.flag() { -1 } else { 1 };
        prost_types::Duration {
            seconds: i64::from(sign) * self.int64().rem_euclid(315_576_000_001),
            nanos: sign * self.int32().rem_euclid(1_000_000_000),
        }
    }

    fn value(&mut self, depth: u32) -> prost_types::Value {
        use prost_types::value::Kind;
        let kind = match self.byte() % if depth > 0 { 6 } else { 4 } {
            0 => Kind::NullValue(0),
            1 => Kind::NumberValue(f64::from(self.int32()) / 8.0),
            2 => Kind::StringValue(self.text()),
            3 => Kind::BoolValue(self.flag()),
            4 => Kind::StructValue(self.fields(depth - 1)),
            _ => Kind::ListValue(prost_types::ListValue {
                values: self.many(|source| source.value(depth - 1)),
            }),
        };
        prost_types::Value { kind: Some(kind) }
    }

    fn fields(&mut self, depth: u32) -> prost_types::Struct {
        prost_types::Struct {
            fields: self.map(Self::text, |source| source.value(depth)),
        }
    }

    /// One of a message of the schema, and one of a type that has a form of its own.
    fn any(&mut self) -> prost_types::Any {
        use msip_runtime::prost::Message as _;
        if self.flag() {
            let mut value = Vec::new();
            self.leaf()
                .encode(&mut value)
                .expect("a vector takes everything");
            prost_types::Any {
                type_url: "type.googleapis.com/sampler.Leaf".to_owned(),
                value,
            }
        } else {
            prost_types::Any {
                type_url: "example.org/google.protobuf.Duration".to_owned(),
                value: self.span().encode_to_vec(),
            }
        }
    }

    fn well_known(&mut self) -> WellKnown {
        WellKnown {
            time: self.maybe(Self::time),
            span: self.maybe(Self::span),
            fields: self.maybe(|source| source.fields(3)),
            value: self.maybe(|source| source.value(3)),
            list: self.maybe(|source| prost_types::ListValue {
                values: source.many(|source| source.value(2)),
            }),
            mask: self.maybe(|source| prost_types::FieldMask {
                paths: source.many(|source| {
                    if source.flag() {
                        "user_name.first".to_owned()
                    } else {
                        "x".to_owned()
                    }
                }),
            }),
            any: self.maybe(Self::any),
            empty: self.maybe(|_| ()),
            null: 0,
            bool_value: self.maybe(Self::flag),
            bytes_value: self.maybe(Self::bytes),
            double_value: self.maybe(Self::double),
            float_value: self.maybe(Self::float),
            int32_value: self.maybe(Self::int32),
            int64_value: self.maybe(Self::int64),
            string_value: self.maybe(Self::text),
            uint32_value: self.maybe(|source| source.int32().cast_unsigned()),
            uint64_value: self.maybe(Self::number),
            times: self.many(Self::time),
            values: self.many(|source| source.value(2)),
            numbers: self.many(Self::int64),
            spans: self.map(Self::text, Self::span),
            by_name: self.map(Self::text, |source| source.value(2)),
            anys: self.many(Self::any),
        }
    }
}

/// Runs a test of random bytes.
fn check(max_len: usize, cases: u32, test: impl Fn(Vec<u8>) -> Result<(), TestCaseError>) {
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    };
    if let Err(failure) = TestRunner::new(config).run(&vec(any::<u8>(), 0..max_len), test) {
        panic!("{failure}");
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

#[test]
fn every_field_comes_back_in_every_codec() {
    let runtime = runtime();
    let clients = runtime.block_on(async {
        let url = Echo::start("mem://codec-round-trips?compress_threshold=16").await;
        let mut clients = Vec::new();
        for (codec, compression) in [
            (Codec::Protobuf, Compression::None),
            (Codec::Json, Compression::None),
            (Codec::MessagePack, Compression::None),
            (Codec::Protobuf, Compression::Zstd),
            (Codec::Json, Compression::Lz4),
            (Codec::MessagePack, Compression::Gzip),
        ] {
            let builder = Client::<Sampler>::builder(url.to_string())
                .codec(codec)
                .compress(compression)
                .compress_threshold(16);
            clients.push(builder.connect().await.expect("connects"));
        }
        clients
    });
    check(4000, 200, |bytes| {
        let mut source = Source(&bytes);
        let (kinds, well_known) = (source.kinds(2), source.well_known());
        for (index, client) in clients.iter().enumerate() {
            let (kinds_back, well_known_back) = runtime.block_on(async {
                (
                    client.kinds_req(kinds.clone()).await,
                    client.well_known_req(well_known.clone()).await,
                )
            });
            if kinds_back.as_ref() != Ok(&kinds) || well_known_back.as_ref() != Ok(&well_known) {
                let text = format!("client {index}: {kinds_back:?}\n{well_known_back:?}");
                return Err(TestCaseError::fail(text));
            }
        }
        Ok(())
    });
}

/// A peer that has agreed on this codec, and on lz4.
async fn peer(url: &ServiceUrl, codec: WireCodec) -> RawCaller {
    let hello = Hello {
        codecs: vec![codec.into()],
        compressions: vec![3],
        ..raw::hello_of::<Sampler>()
    };
    RawCaller::new(url, &hello).await
}

/// Asks for something with this body, and returns what comes back.
async fn ask(peer: &mut RawCaller, flags: Flags, body: &[u8]) -> FrameType {
    peer.call(1, flags, body).await.header.frame_type
}

/// Bodies of random bytes, and such as begin well, on connections of every codec.
fn play(cases: u32, mutate: impl Fn(&[u8], Vec<u8>) -> Vec<u8>) {
    let runtime = runtime();
    let codecs = [WireCodec::Protobuf, WireCodec::Json, WireCodec::MessagePack];
    let (url, peers) = runtime.block_on(async {
        let url = Echo::start("mem://codec-garbage").await;
        let mut peers = Vec::new();
        for codec in codecs {
            peers.push(peer(&url, codec).await);
        }
        (url, peers)
    });
    let peers = std::cell::RefCell::new(peers);
    let json = br#"{"kindsReq":{"aDouble":1.5,"someBytes":"AAEC","aChild":{"manyInt32":[1,2,-3],"byInt32":{"5":"x"}},"chosenUint32":7}}"#;
    let msgpack = b"\x81\xa8kindsReq\x83\xa7aDouble\xcb?\xf8\0\0\0\0\0\0\xa9someBytes\xc4\x03\0\x01\x02\xa9manyInt32\x93\x01\x02\xfd";
    let protobuf = b"\x0a\x11\x09\0\0\0\0\0\0\xf8?\x7a\x03\0\x01\x02\x82\x02\0";
    let bodies: [&[u8]; 3] = [protobuf, json, msgpack];
    check(200, cases, |bytes| {
        for (peer, good) in peers.borrow_mut().iter_mut().zip(bodies) {
            for flags in [Flags::NONE, Flags::COMPRESSED] {
                let body = mutate(good, bytes.clone());
                let answer = runtime.block_on(ask(peer, flags, &body));
                if !matches!(answer, FrameType::Ack | FrameType::Error) {
                    return Err(TestCaseError::fail(format!("{answer}")));
                }
            }
        }
        Ok(())
    });
    // The good ones are good, so that what the test changes in them is near to something.
    for (peer, good) in peers.into_inner().iter_mut().zip(bodies) {
        let answer = runtime.block_on(ask(peer, Flags::NONE, good));
        assert_eq!(answer, FrameType::Ack, "{}", String::from_utf8_lossy(good));
    }
    drop(url);
}

#[test]
fn random_bytes_are_answered() {
    // A session tolerates 2,000 malformed messages at once.
    play(150, |_, bytes| bytes);
}

#[test]
fn bodies_with_a_few_wrong_bytes_are_answered() {
    play(150, |good, bytes| {
        let mut body = good.to_vec();
        for change in bytes.chunks_exact(2).take(3) {
            let place = usize::from(change[0]) % body.len();
            match change[1] % 3 {
                0 => body[place] = change[1],
                1 => body.truncate(place.max(1)),
                _ => body.insert(place, change[1]),
            }
        }
        body
    });
}
