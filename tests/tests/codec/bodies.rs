//! JSON and MessagePack bodies: what a server accepts, and what it answers, to the byte.

use msip_runtime::{
    transport::ServiceUrl,
    wire::{Codec, Flags, Frame, FrameType, Hello},
};
use msip_tests::{Echo, RawCaller, raw, sampler::Sampler};

/// A client that has agreed on a codec.
struct Caller(RawCaller);

impl Caller {
    async fn new(url: &ServiceUrl, codec: Codec) -> Self {
        let hello = Hello {
            codecs: vec![codec.into()],
            ..raw::hello_of::<Sampler>()
        };
        Self(RawCaller::new(url, &hello).await)
    }

    async fn frame(&mut self, variant: u16, flags: Flags, body: &[u8]) -> Frame {
        self.0.call(variant, flags, body).await
    }

    /// The answer's body, or the error's text.
    async fn ask(&mut self, variant: u16, body: &[u8]) -> Result<Vec<u8>, String> {
        let answer = self.frame(variant, Flags::NONE, body).await;
        match answer.header.frame_type {
            FrameType::Ack => Ok(answer.payload.to_vec()),
            _ => Err(raw::text(&answer.payload)),
        }
    }

    async fn ask_json(&mut self, variant: u16, body: &str) -> String {
        match self.ask(variant, body.as_bytes()).await {
            Ok(body) => String::from_utf8(body).expect("JSON"),
            Err(text) => text,
        }
    }
}

const KINDS: u16 = 1;
const WELL_KNOWN: u16 = 2;
const CHAIN: u16 = 3;
const NOTHING: u16 = 6;

#[tokio::test]
async fn json_is_canonical_and_lenient_as_protobuf_says() {
    let url = Echo::start("mem://json-bodies").await;
    let mut caller = Caller::new(&url, Codec::Json).await;
    // What is sent inside of `kindsReq`, and what comes back inside of `kindsRsp`.
    let taken = [
        ("", ""),
        (
            r#""aDouble":1.5,"aFloat":0.1"#,
            r#""aDouble":1.5,"aFloat":0.1"#,
        ),
        (
            r#""aDouble":1,"aFloat":"-2.5e1""#,
            r#""aDouble":1.0,"aFloat":-25.0"#,
        ),
        (
            r#""aDouble":"NaN","aFloat":"-Infinity""#,
            r#""aDouble":"NaN","aFloat":"-Infinity""#,
        ),
        (
            r#""anInt64":9007199254740993"#,
            r#""anInt64":"9007199254740993""#,
        ),
        (
            r#""anInt64":"-9223372036854775808""#,
            r#""anInt64":"-9223372036854775808""#,
        ),
        (
            r#""aUint64":18446744073709551615"#,
            r#""aUint64":"18446744073709551615""#,
        ),
        (
            r#""anInt32":1e2,"aUint32":"7","aSint32":-3.0"#,
            r#""anInt32":100,"aUint32":7,"aSint32":-3"#,
        ),
        (r#""someBytes":"+/_-""#, r#""someBytes":"+//+""#),
        (r#""someBytes":"Zg""#, r#""someBytes":"Zg==""#),
        (r#""aColor":"COLOR_RED""#, r#""aColor":"COLOR_RED""#),
        (r#""aColor":1"#, r#""aColor":"COLOR_RED""#),
        (r#""aColor":77"#, r#""aColor":77"#),
        // A newer peer may know them.
        (
            r#""aColor":"COLOR_NEWER","manyColor":["COLOR_RED","COLOR_NEWER"]"#,
            r#""manyColor":["COLOR_RED"]"#,
        ),
        (
            r#""newer":{"deep":[1,{"x":null}]},"aBool":true"#,
            r#""aBool":true"#,
        ),
        // Names as the schema has them, too.
        (
            r#""a_bool":true,"renamed_field":"x""#,
            r#""aBool":true,"quite/Other name":"x""#,
        ),
        (r#""quite/Other name":"x""#, r#""quite/Other name":"x""#),
        (
            r#""aBool":null,"manyInt32":null,"byString":null,"aLeaf":null"#,
            "",
        ),
        (
            r#""maybeInt32":0,"maybeString":"""#,
            r#""maybeInt32":0,"maybeString":"""#,
        ),
        (
            r#""manyInt32":[1,-1],"looseInt32":[2,3]"#,
            r#""manyInt32":[1,-1],"looseInt32":[2,3]"#,
        ),
        (r#""byInt32":{"-5":"x"}"#, r#""byInt32":{"-5":"x"}"#),
        (r#""byBool":{"true":"yes"}"#, r#""byBool":{"true":"yes"}"#),
        (
            r#""chosenLeaf":{"bigNumber":1}"#,
            r#""chosenLeaf":{"bigNumber":"1"}"#,
        ),
        (
            r#""chosenLeaf":null,"chosenUint32":0"#,
            r#""chosenUint32":0"#,
        ),
    ];
    for (fields, expected) in taken {
        let answer = caller
            .ask_json(KINDS, &format!(r#"{{"kindsReq":{{{fields}}}}}"#))
            .await;
        assert_eq!(
            answer,
            format!(r#"{{"kindsRsp":{{{expected}}}}}"#),
            "{fields}"
        );
    }
    let refused = [
        (
            r#""anInt32":2147483648"#,
            "kindsReq.anInt32: 2147483648 is out of the field's range",
        ),
        (
            r#""anInt32":1.5"#,
            "kindsReq.anInt32: expected a whole number, found 1.5",
        ),
        (
            r#""anInt32":"x""#,
            "kindsReq.anInt32: expected a whole number, found \"x\"",
        ),
        (
            r#""aUint32":-1"#,
            "kindsReq.aUint32: -1 is out of the field's range",
        ),
        (
            r#""aUint64":18446744073709551616"#,
            "kindsReq.aUint64: 1.8446744073709552e19 is out of the field's range",
        ),
        (
            r#""aFloat":1e39"#,
            "kindsReq.aFloat: 1e39 is out of the field's range",
        ),
        (
            r#""aBool":1"#,
            "kindsReq.aBool: expected true or false, found 1",
        ),
        (r#""aString":7"#, "kindsReq.aString: expected text, found 7"),
        (
            r#""someBytes":"***""#,
            "kindsReq.someBytes: expected base64, found \"***\"",
        ),
        (
            r#""aLeaf":[]"#,
            "kindsReq.aLeaf: expected an object, found an array",
        ),
        (
            r#""manyInt32":7"#,
            "kindsReq.manyInt32: expected an array, found 7",
        ),
        (
            r#""manyInt32":[null]"#,
            "kindsReq.manyInt32: expected a value, found null",
        ),
        (
            r#""byInt32":{"x":"y"}"#,
            "kindsReq.byInt32.x: expected a whole number, found \"x\"",
        ),
        (
            r#""aBool":true,"aBool":true"#,
            "kindsReq.aBool: occurs twice",
        ),
        (
            r#""a_bool":true,"aBool":true"#,
            "kindsReq.aBool: occurs twice",
        ),
        (
            r#""chosenUint32":1,"chosenString":"x""#,
            "kindsReq.chosenString: set together with another member of its oneof",
        ),
    ];
    for (fields, expected) in refused {
        let answer = caller
            .ask_json(KINDS, &format!(r#"{{"kindsReq":{{{fields}}}}}"#))
            .await;
        assert_eq!(
            answer,
            format!("INVALID_ARGUMENT: malformed body of kinds_req (1): {expected}"),
            "{fields}"
        );
    }
}

#[tokio::test]
async fn well_known_types_have_their_own_form() {
    let url = Echo::start("mem://well-known").await;
    let mut caller = Caller::new(&url, Codec::Json).await;
    let taken = [
        (
            r#""time":"2024-02-29T12:00:00.5+01:00""#,
            r#""time":"2024-02-29T11:00:00.500Z""#,
        ),
        (r#""span":"-1.5s""#, r#""span":"-1.500s""#),
        (r#""mask":"userName,a.b""#, r#""mask":"userName,a.b""#),
        (
            r#""fields":{"a":{"b":[1,"x",null,true]}}"#,
            r#""fields":{"a":{"b":[1.0,"x",null,true]}}"#,
        ),
        (r#""value":null"#, r#""value":null"#),
        (r#""value":[]"#, r#""value":[]"#),
        (r#""list":[{}]"#, r#""list":[{}]"#),
        (r#""empty":{}"#, r#""empty":{}"#),
        (
            r#""boolValue":false,"int64Value":"7""#,
            r#""boolValue":false,"int64Value":"7""#,
        ),
        (
            r#""bytesValue":"","stringValue":"""#,
            r#""bytesValue":"","stringValue":"""#,
        ),
        (r#""int64Value":null"#, ""),
        (
            r#""any":{"bigNumber":5,"@type":"x/sampler.Leaf"}"#,
            r#""any":{"@type":"x/sampler.Leaf","bigNumber":"5"}"#,
        ),
        (
            r#""any":{"@type":"x/google.protobuf.Duration","value":"1s"}"#,
            r#""any":{"@type":"x/google.protobuf.Duration","value":"1s"}"#,
        ),
        (r#""any":{}"#, r#""any":{}"#),
        (
            r#""any":{"@type":"x/google.protobuf.Any","value":{"@type":"x/sampler.Leaf","name":"n"}}"#,
            r#""any":{"@type":"x/google.protobuf.Any","value":{"@type":"x/sampler.Leaf","name":"n"}}"#,
        ),
    ];
    for (fields, expected) in taken {
        let answer = caller
            .ask_json(WELL_KNOWN, &format!(r#"{{"wellKnownReq":{{{fields}}}}}"#))
            .await;
        assert_eq!(
            answer,
            format!(r#"{{"wellKnownRsp":{{{expected}}}}}"#),
            "{fields}"
        );
    }
    let refused = [
        (
            r#""time":"yesterday""#,
            "wellKnownReq.time: \"yesterday\" is not an RFC 3339 timestamp",
        ),
        (r#""time":5"#, "wellKnownReq.time: expected text, found 5"),
        (
            r#""span":"1""#,
            "wellKnownReq.span: \"1\" is not a duration such as \"1.5s\"",
        ),
        (
            r#""mask":"a_b""#,
            "wellKnownReq.mask: \"a_b\" is not a list of camel case paths",
        ),
        (
            r#""any":{"@type":5}"#,
            "wellKnownReq.any: expected the type of an Any, found 5",
        ),
        (
            r#""any":{"@type":"x/not.There"}"#,
            "wellKnownReq.any: an Any of type \"x/not.There\", which is not in the schema",
        ),
        (
            r#""any":{"@type":"x/google.protobuf.Duration"}"#,
            "wellKnownReq.any: an Any without `value`",
        ),
    ];
    for (fields, expected) in refused {
        let answer = caller
            .ask_json(WELL_KNOWN, &format!(r#"{{"wellKnownReq":{{{fields}}}}}"#))
            .await;
        assert_eq!(
            answer,
            format!("INVALID_ARGUMENT: malformed body of well_known_req (2): {expected}"),
            "{fields}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_not_the_message_is_refused_and_the_connection_goes_on() {
    let url = Echo::start("mem://wrong-bodies").await;
    let mut json = Caller::new(&url, Codec::Json).await;
    let mut msgpack = Caller::new(&url, Codec::MessagePack).await;
    let mut protobuf = Caller::new(&url, Codec::Protobuf).await;
    let (text, packed, plain) = (
        br#"{"nothingReq":{}}"#,
        b"\x81\xaanothingReq\x80",
        b"\x32\0",
    );
    assert_eq!(
        json.ask(NOTHING, text).await.as_deref(),
        Ok(&br#"{"nothingRsp":{}}"#[..])
    );
    assert_eq!(
        msgpack.ask(NOTHING, packed).await.as_deref(),
        Ok(&b"\x81\xaanothingRsp\x80"[..])
    );
    assert_eq!(
        protobuf.ask(NOTHING, plain).await.as_deref(),
        Ok(&plain[..])
    );

    let cases: [(bool, &[u8], &str); 11] = [
        (true, plain, "expected an object, found 2"),
        (true, packed, "invalid JSON at byte 0: not UTF-8"),
        (
            true,
            b"",
            "invalid JSON at byte 0: expected a value, found the end",
        ),
        (
            true,
            b"{}x",
            "invalid JSON at byte 2: expected the end, found x",
        ),
        (true, b"[]", "expected an object, found an array"),
        (false, text, "expected an object, found 123"),
        (
            false,
            b"",
            "invalid MessagePack before byte 0: truncated value",
        ),
        (
            false,
            b"\x80\xc0",
            "invalid MessagePack: 1 bytes after the value",
        ),
        (
            false,
            b"\xdf\xff\xff\xff\xff",
            "invalid MessagePack before byte 5: truncated value",
        ),
        (
            false,
            b"\xdb\xff\xff\xff\xff",
            "invalid MessagePack before byte 5: a length beyond the end of the body",
        ),
        (
            false,
            b"\xc7\0\x05",
            "invalid MessagePack before byte 1: an extension type, which no field has",
        ),
    ];
    for (is_json, body, expected) in cases {
        let caller = if is_json { &mut json } else { &mut msgpack };
        let answer = caller.ask(NOTHING, body).await;
        assert_eq!(
            answer,
            Err(format!(
                "INVALID_ARGUMENT: malformed body of nothing_req (6): {expected}"
            ))
        );
    }
    let missing =
        "INVALID_ARGUMENT: the body does not contain nothing_req (6), which its header names";
    for (is_json, body) in [
        (true, &b"{}"[..]),
        (true, br#"{"chainReq":{}}"#),
        (false, b"\x80"),
    ] {
        let caller = if is_json { &mut json } else { &mut msgpack };
        assert_eq!(caller.ask(NOTHING, body).await, Err(missing.to_owned()));
    }
    for caller in [&mut protobuf, &mut json] {
        let answer = caller.ask(99, b"{}").await;
        assert_eq!(answer, Err("UNIMPLEMENTED: unknown variant 99".to_owned()));
    }
    let compressed = json.frame(NOTHING, Flags::COMPRESSED, text).await;
    assert_eq!(
        raw::text(&compressed.payload),
        "INVALID_ARGUMENT: a compressed body, and no compression was agreed"
    );
    let long = format!(r#"{{"kindsReq":{{"anInt32":"{}"}}}}"#, "x".repeat(100_000));
    let answer = json
        .ask(KINDS, long.as_bytes())
        .await
        .expect_err("no number");
    assert!(answer.len() <= 256, "{} bytes", answer.len());
    assert_eq!(
        json.ask(NOTHING, text).await.as_deref(),
        Ok(&br#"{"nothingRsp":{}}"#[..]),
        "goes on"
    );
}

#[tokio::test]
async fn nesting_stops_at_a_hundred_levels() {
    let url = Echo::start("mem://nesting").await;
    let mut json = Caller::new(&url, Codec::Json).await;
    let mut msgpack = Caller::new(&url, Codec::MessagePack).await;
    let too_deep = "INVALID_ARGUMENT: malformed body of chain_req (3): ";
    for depth in [1, 98, 99, 10_000, 200_000] {
        let text = format!(
            r#"{{"chainReq":{}{{}}{}}}"#,
            r#"{"next":"#.repeat(depth - 1),
            "}".repeat(depth - 1)
        );
        let packed = [
            &b"\x81\xa8chainReq"[..],
            &b"\x81\xa4next".repeat(depth - 1),
            b"\x80",
        ]
        .concat();
        for (caller, body) in [(&mut json, text.into_bytes()), (&mut msgpack, packed)] {
            let answer = caller.ask(CHAIN, &body).await;
            if depth < 100 {
                let expected: Vec<u8> = body
                    .iter()
                    .map(|byte| if *byte == b'q' { b'p' } else { *byte })
                    .collect();
                let answer = answer.expect("within the limit");
                assert_eq!(answer.len(), expected.len(), "{depth}");
            } else {
                let text = answer.expect_err("too deep");
                assert!(text.starts_with(too_deep), "{text}");
                assert!(text.ends_with("nested deeper than 100 levels"), "{text}");
            }
        }
    }
    // What is skipped counts as well.
    let skipped = format!(
        r#"{{"chainReq":{{"newer":{}{}}}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let text = json
        .ask(CHAIN, skipped.as_bytes())
        .await
        .expect_err("too deep");
    assert!(text.ends_with("nested deeper than 100 levels"), "{text}");
}

#[tokio::test]
async fn messagepack_has_the_tree_of_json_with_numbers_and_bytes_as_they_are() {
    let url = Echo::start("mem://msgpack-bodies").await;
    let mut caller = Caller::new(&url, Codec::MessagePack).await;
    let cases: [(&[u8], &[u8]); 6] = [
        // A 64-bit integer, of whatever length it came in.
        (b"\xa7anInt64\xd3\0\0\0\0\0\0\0\x07", b"\xa7anInt64\x07"),
        (
            b"\xa9someBytes\xc5\0\x02\x01\x02",
            b"\xa9someBytes\xc4\x02\x01\x02",
        ),
        (
            b"\xa7aDouble\xca\x3f\xc0\0\0",
            b"\xa7aDouble\xcb\x3f\xf8\0\0\0\0\0\0",
        ),
        (
            b"\xa6aFloat\xcb\x7f\xf0\0\0\0\0\0\0",
            b"\xa6aFloat\xca\x7f\x80\0\0",
        ),
        // The keys of a map are texts; integers are taken, too.
        (b"\xa7byInt32\x81\x05\xa1x", b"\xa7byInt32\x81\xa15\xa1x"),
        (b"\xa6aColor\x01", b"\xa6aColor\xa9COLOR_RED"),
    ];
    for (field, expected) in cases {
        let body = [&b"\x81\xa8kindsReq\x81"[..], field].concat();
        let expected = [&b"\x81\xa8kindsRsp\x81"[..], expected].concat();
        let answer = caller.ask(KINDS, &body).await;
        assert_eq!(answer, Ok(expected), "{}", field.escape_ascii());
    }
    let time = b"\x81\xacwellKnownReq\x81\xa4time\xb41970-01-01T00:00:00Z";
    let answer = caller.ask(WELL_KNOWN, time).await.expect("taken");
    assert!(
        answer.ends_with(b"\x81\xa4time\xb41970-01-01T00:00:00Z"),
        "{}",
        answer.escape_ascii()
    );
    for (field, expected) in [
        (
            &b"\xa9someBytes\xa4AAEC"[..],
            "kindsReq.someBytes: expected bytes, found \"AAEC\"",
        ),
        (
            b"\xa7aString\xc4\x01x",
            "kindsReq.aString: expected text, found 1 bytes",
        ),
    ] {
        let body = [&b"\x81\xa8kindsReq\x81"[..], field].concat();
        let answer = caller.ask(KINDS, &body).await;
        assert_eq!(
            answer,
            Err(format!(
                "INVALID_ARGUMENT: malformed body of kinds_req (1): {expected}"
            ))
        );
    }
}
