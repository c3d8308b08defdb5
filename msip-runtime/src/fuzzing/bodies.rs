//! Bodies in every codec and compression.

use std::sync::LazyLock;

use bytes::Bytes;

use super::kitchen::{ClientToServer, Kitchen};
use crate::{
    Codec, Compression, Envelope,
    body::ProtocolShapes,
    body::{Agreed, Body, Choice as _, Encoding, Writing, compression},
};
use msip_session::wire::Side;

/// A small limit, so that bodies at it and over it are found.
const MAX_BODY: usize = 16 * 1024;

/// The first byte, 0 where there is none, and the rest.
fn first_byte(data: &[u8]) -> (u8, &[u8]) {
    data.split_first()
        .map_or((0, data), |(first, rest)| (*first, rest))
}

/// Inflates the bytes, which makes no more than the limit; and compresses them and inflates that.
pub fn decompress(data: &[u8]) {
    let (choice, rest) = first_byte(data);
    let algorithm = match choice % 3 {
        0 => Compression::Gzip,
        1 => Compression::Zstd,
        _ => Compression::Lz4,
    };
    let number = u8::try_from(algorithm.number()).unwrap_or_default();
    let body = [&[number], rest].concat();
    match compression::inflate(algorithm, &body, MAX_BODY) {
        Ok(inflated) => assert!(inflated.len() <= MAX_BODY),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Some(compressed) = compression::compress(algorithm, rest) {
        let again = compression::inflate(algorithm, &compressed, rest.len());
        assert_eq!(again.as_deref(), Ok(rest));
        let less = compression::inflate(algorithm, &compressed, rest.len() - 1);
        assert!(less.is_err(), "the limit is not kept");
    }
}

/// One encoding of each side, for each codec.
static ENCODINGS: LazyLock<[[Encoding; 2]; 3]> = LazyLock::new(|| {
    let shapes = ProtocolShapes::of::<Kitchen>().unwrap_or_else(|error| panic!("{error}"));
    [Codec::Protobuf, Codec::Json, Codec::MessagePack].map(|codec| {
        [Side::Connecting, Side::Accepting].map(|side| {
            Encoding::new(Agreed {
                writing: shapes
                    .transcoder(codec, side)
                    .map_or(Writing::Protobuf, Writing::Tree),
                compression: Compression::None,
                threshold: 1024,
                max_body: MAX_BODY,
            })
        })
    })
});

/// Reads the bytes as a body in each codec. What can be read can be written, in each codec, and is the same again.
pub fn body_codecs(data: &[u8]) {
    let (codec, rest) = first_byte(data);
    let (variant, rest) = first_byte(rest);
    let (codec, variant) = (codec % 3, u16::from(variant));
    let body = Bytes::copy_from_slice(rest);
    let [_, reader] = &ENCODINGS[usize::from(codec)];
    let message: ClientToServer = match reader.decode(variant, Body::from(&body)) {
        Ok(message) => message,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let mut plain = Vec::new();
    message.encode(&mut plain);
    let row = &ClientToServer::VARIANTS[message.index()];
    assert_eq!(row.number, variant);
    for [writer, reader] in &*ENCODINGS {
        let written = match writer.prepare(&message, row) {
            Ok(Some(prepared)) => prepared.bytes,
            Ok(None) => plain.clone(),
            // Not everything has a form in JSON.
            Err(_) => continue,
        };
        let again: ClientToServer =
            match reader.decode(variant, Body::from(&Bytes::from(written.clone()))) {
                Ok(again) => again,
                // What is written may be longer than what was read.
                Err(_) if written.len() > MAX_BODY || plain.len() > MAX_BODY => continue,
                Err(error) => panic!("{error}: {:?}", String::from_utf8_lossy(&written)),
            };
        let text = String::from_utf8_lossy(&written);
        if writer.codec() == Codec::Json && text.contains(r#""NaN""#) {
            // The bits of a NaN have no form in JSON, but each NaN is the same there.
            let written_again = writer.prepare(&again, row).ok().flatten();
            let written_again = written_again.map(|prepared| prepared.bytes);
            assert_eq!(written_again.as_ref(), Some(&written));
            continue;
        }
        let mut plain_again = Vec::new();
        again.encode(&mut plain_again);
        assert_eq!(plain_again, plain, "{text:?}");
    }
}
