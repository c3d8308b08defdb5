//! Fuzz targets of body codecs and compression.

use std::sync::LazyLock;

use bytes::Bytes;

use super::kitchen::{ClientToServer, Kitchen};
use crate::{
    Codec, Compression, Envelope,
    body::ProtocolDescriptors,
    body::{Body, BodyFormat, Encoding, EncodingParams, Negotiable as _, compression},
};
use msip_session::wire::Side;

/// A small limit, so that inputs reach and exceed it.
const MAX_BODY: usize = 16 * 1024;

/// The first byte, or 0 for empty input, and the rest.
fn first_byte(data: &[u8]) -> (u8, &[u8]) {
    data.split_first()
        .map_or((0, data), |(first, rest)| (*first, rest))
}

/// Decompresses the bytes, which must not exceed the limit; then compresses them, which must round-trip.
pub fn decompress(data: &[u8]) {
    let (choice, rest) = first_byte(data);
    let algorithm = match choice % 3 {
        0 => Compression::Gzip,
        1 => Compression::Zstd,
        _ => Compression::Lz4,
    };
    let number = u8::try_from(algorithm.number()).unwrap_or_default();
    let body = [&[number], rest].concat();
    match compression::decompress(algorithm, &body, MAX_BODY) {
        Ok(decompressed) => assert!(decompressed.len() <= MAX_BODY),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Some(compressed) = compression::compress(algorithm, rest) {
        let again = compression::decompress(algorithm, &compressed, rest.len());
        assert_eq!(again.as_deref(), Ok(rest));
        let less = compression::decompress(algorithm, &compressed, rest.len() - 1);
        assert!(less.is_err(), "the limit is exceeded");
    }
}

/// One encoding of each side, for each codec.
static ENCODINGS: LazyLock<[[Encoding; 2]; 3]> = LazyLock::new(|| {
    let descriptors =
        ProtocolDescriptors::of::<Kitchen>().unwrap_or_else(|error| panic!("{error}"));
    [Codec::Protobuf, Codec::Json, Codec::MessagePack].map(|codec| {
        [Side::Connecting, Side::Accepting].map(|side| {
            let params = EncodingParams {
                format: descriptors
                    .transcoder(codec, side)
                    .map_or(BodyFormat::Protobuf, BodyFormat::Tree),
                compression: Compression::None,
                threshold: 1024,
                max_body: MAX_BODY,
            };
            Encoding::new(params, usize::MAX)
        })
    })
});

/// Decodes the bytes as a body in each codec. A message that can be decoded must round-trip in every codec.
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
    let mut protobuf = Vec::new();
    message.encode(&mut protobuf);
    let row = &ClientToServer::VARIANTS[message.index()];
    assert_eq!(row.number, variant);
    for [writer, reader] in &*ENCODINGS {
        let written = match writer.prepare(&message, row) {
            Ok(Some(prepared)) => prepared.bytes,
            Ok(None) => protobuf.clone(),
            // Some messages cannot be encoded in JSON.
            Err(_) => continue,
        };
        let again: ClientToServer =
            match reader.decode(variant, Body::from(&Bytes::from(written.clone()))) {
                Ok(again) => again,
                // The encoded body may be longer than the input.
                Err(_) if written.len() > MAX_BODY || protobuf.len() > MAX_BODY => continue,
                Err(error) => panic!("{error}: {:?}", String::from_utf8_lossy(&written)),
            };
        let text = String::from_utf8_lossy(&written);
        if writer.codec() == Codec::Json && text.contains(r#""NaN""#) {
            // JSON does not keep the bits of a NaN, so compare the JSON instead.
            let written_again = writer.prepare(&again, row).ok().flatten();
            let written_again = written_again.map(|prepared| prepared.bytes);
            assert_eq!(written_again.as_ref(), Some(&written));
            continue;
        }
        let mut protobuf_again = Vec::new();
        again.encode(&mut protobuf_again);
        assert_eq!(protobuf_again, protobuf, "{text:?}");
    }
}
