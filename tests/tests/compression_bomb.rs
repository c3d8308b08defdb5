//! A body of 10 MiB that would become 10 GiB, and worse, costs no more than the limit. One test, for it measures the
//! whole process.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]
#![cfg(target_os = "linux")]

use flate2::{Compress, FlushCompress};
use msip_runtime::{
    Client,
    wire::{Compression, Flags, Hello},
};
use msip_tests::{
    Echo, RawCaller, raw,
    sampler::{Sampler, SendClientToServer as _},
};

const MIB: usize = 1024 * 1024;

/// The most memory that this process ever had resident, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("has a line for it");
    let kib = line.split_whitespace().nth(1).expect("has a number");
    kib.parse::<usize>().expect("is a number") * 1024
}

/// 10 MiB of gzip, which are 10 GiB of nothing: a megabyte, deflated by itself, over and over.
fn gzip_bomb() -> Vec<u8> {
    let mut deflate = Compress::new(flate2::Compression::best(), false);
    let mut block = Vec::with_capacity(64 * 1024);
    deflate
        .compress_vec(&vec![0; MIB], &mut block, FlushCompress::Full)
        .expect("deflates");
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut bomb = vec![1];
    bomb.extend_from_slice(&header);
    bomb.extend_from_slice(&block.repeat(10 * MIB / block.len()));
    assert!(
        bomb.len() / block.len() * MIB > 9 << 30,
        "a block of {} bytes",
        block.len()
    );
    bomb
}

/// 10 MiB of zstd, which are 320 GiB: 128 KiB of one byte, in four bytes, over and over.
fn zstd_bomb() -> Vec<u8> {
    let block_header = (128 * 1024_u32) << 3 | 1 << 1;
    let [a, b, c, _] = block_header.to_le_bytes();
    // Without a size, and with a window of 128 KiB.
    let mut bomb = vec![2, 0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3];
    bomb.extend_from_slice(&[a, b, c, 0].repeat(10 * MIB / 4));
    bomb
}

/// 10 MiB of lz4, which are 2.5 GiB, and say that they are as much as the server takes.
fn lz4_bomb(max: usize) -> Vec<u8> {
    let mut bomb = vec![3];
    bomb.extend_from_slice(&u32::try_from(max).expect("less than 4 GiB").to_le_bytes());
    // One byte, and then the byte before, for ever.
    bomb.extend_from_slice(&[0x1f, 0, 1, 0]);
    bomb.resize(10 * MIB, 0xff);
    bomb
}

#[tokio::test]
async fn a_bomb_costs_no_more_than_the_limit() {
    const MAX: usize = 16 * MIB;
    let url = Echo::start("tcp://127.0.0.1:0?max_body=16MiB").await;
    let bystander = Client::<Sampler>::connect(url.to_string())
        .await
        .expect("connects");
    let too_large =
        "RESOURCE_EXHAUSTED: decompressed body of chain_req (3) exceeds 16777216 bytes (max_body)";
    let bombs = [
        (Compression::Gzip, gzip_bomb(), too_large),
        (Compression::Zstd, zstd_bomb(), too_large),
        (
            Compression::Lz4,
            lz4_bomb(MAX),
            "INVALID_ARGUMENT: cannot decompress body of chain_req (3): invalid lz4: ",
        ),
        (Compression::Lz4, lz4_bomb(MAX + 1), too_large),
    ];
    for (compression, bomb, expected) in &bombs {
        let hello = Hello {
            compressions: vec![(*compression).into()],
            ..raw::hello_of::<Sampler>()
        };
        let mut caller = RawCaller::new(&url, &hello).await;
        let frame = caller.request(3, Flags::COMPRESSED, bomb);

        let before = peak();
        let answer = caller.send(&frame).await;
        let grown = peak().saturating_sub(before);

        let text = raw::text(&answer.payload);
        assert!(text.starts_with(expected), "{compression:?}: {text}");
        // The frame while it is read, twice where its buffer grows, and what is inflated.
        assert!(
            grown < 2 * frame.len() + MAX + 8 * MIB,
            "{compression:?}: {grown} bytes"
        );
        bystander.nothing_req().await.expect("untouched");
    }
}
