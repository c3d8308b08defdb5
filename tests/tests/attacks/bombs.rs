//! Bodies of 10 MiB that would become gigabytes cost no more than the limit.

use flate2::{Compress, FlushCompress};
use msip_runtime::wire::{Compression, FrameType, Hello};
use msip_tests::{
    attack::{AttackOnServer, Bounds, MIB, RawMessage, Served},
    raw,
};

const CHAIN_REQ: u16 = 3;
const TOO_LARGE: &str =
    "RESOURCE_EXHAUSTED: decompressed body of chain_req (3) exceeds 16777216 bytes (max_body)";

/// How large a body is on the wire.
const LEN: usize = 10 << 20;

/// The limit of a body, `max_body=16MiB`.
const MAX_BODY: u32 = 16 << 20;

/// A call with this body, which is answered with this text.
fn answered(name: &'static str, compression: Compression, bomb: Vec<u8>, expected: &'static str) {
    AttackOnServer::new(name)
        .served(Served::Sampler)
        .settings("max_body=16MiB")
        .within(Bounds {
            // The frame while it is read, twice where its buffer grows, and what is inflated.
            memory: 44 * MIB,
            ..Bounds::default()
        })
        .run(async move |target| {
            let hello = Hello {
                compressions: vec![compression.into()],
                ..target.hello()
            };
            let mut attacker = target.enter_with(&hello).await;
            let call = attacker.frame(&RawMessage::call(CHAIN_REQ, "").compressed(bomb.clone()));
            attacker.send(&call).await;
            let answer = attacker.hear_type(FrameType::Error).await;
            let text = raw::text(&answer.payload);
            assert!(text.starts_with(expected), "{text}");
            attacker
        });
}

#[test]
fn ten_gigabytes_of_gzip() {
    // A megabyte, deflated by itself, over and over.
    let mut deflate = Compress::new(flate2::Compression::best(), false);
    let mut block = Vec::with_capacity(64 * 1024);
    deflate
        .compress_vec(&vec![0; 1 << 20], &mut block, FlushCompress::Full)
        .expect("deflates");
    let mut bomb = vec![1, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    bomb.extend_from_slice(&block.repeat(LEN / block.len()));
    assert!(
        bomb.len() / block.len() > 9 << 10,
        "a block of {} bytes",
        block.len()
    );
    answered(
        "10 MiB of gzip that are 10 GiB",
        Compression::Gzip,
        bomb,
        TOO_LARGE,
    );
}

#[test]
fn three_hundred_gigabytes_of_zstd() {
    // 128 KiB of one byte, in four bytes, over and over; without a size, and with a window of 128 KiB.
    let block_header = (128 * 1024_u32) << 3 | 1 << 1;
    let [a, b, c, _] = block_header.to_le_bytes();
    let mut bomb = vec![2, 0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3];
    bomb.extend_from_slice(&[a, b, c, 0].repeat(LEN / 4));
    answered(
        "10 MiB of zstd that are 320 GiB",
        Compression::Zstd,
        bomb,
        TOO_LARGE,
    );
}

/// 10 MiB of lz4, which are 2.5 GiB, and say that they are so much.
fn lz4(said: u32) -> Vec<u8> {
    let mut bomb = vec![3];
    bomb.extend_from_slice(&said.to_le_bytes());
    // One byte, and then the byte before, for ever.
    bomb.extend_from_slice(&[0x1f, 0, 1, 0]);
    bomb.resize(LEN, 0xff);
    bomb
}

#[test]
fn two_gigabytes_of_lz4_that_lie() {
    let expected = "INVALID_ARGUMENT: cannot decompress body of chain_req (3): invalid lz4: ";
    answered(
        "10 MiB of lz4 that are 2.5 GiB and say 16 MiB",
        Compression::Lz4,
        lz4(MAX_BODY),
        expected,
    );
}

#[test]
fn lz4_that_says_it_is_too_large() {
    answered(
        "10 MiB of lz4 that say more than max_body",
        Compression::Lz4,
        lz4(MAX_BODY + 1),
        TOO_LARGE,
    );
}
