//! Bodies that cost more than they look.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

/// A body compressed with gzip, with the byte that says so.
///
/// # Panics
///
/// Never: memory takes what is written.
#[must_use]
pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![1], Compression::best());
    match encoder.write_all(body).and_then(|()| encoder.finish()) {
        Ok(compressed) => compressed,
        Err(error) => panic!("{error}"),
    }
}

/// So many times the same byte, compressed with zstd to 4 bytes for each 128 KiB: as little as there can be.
#[must_use]
pub fn zstd_of_one_byte(byte: u8, len: u32) -> Vec<u8> {
    const BLOCK: u32 = 128 * 1024;
    const RLE: u32 = 1 << 1;
    // Without a size, and with a window of 128 KiB.
    let mut body = vec![2, 0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3];
    let mut rest = len;
    loop {
        let block = rest.min(BLOCK);
        rest -= block;
        let is_last = u32::from(rest == 0);
        let [a, b, c, _] = (block << 3 | RLE | is_last).to_le_bytes();
        body.extend_from_slice(&[a, b, c, byte]);
        if rest == 0 {
            return body;
        }
    }
}

/// A field with a length of its own: of bytes, a text or a message.
#[must_use]
pub fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut field = varint(u64::from(number << 3 | 2));
    field.extend(varint(content.len() as u64));
    field.extend_from_slice(content);
    field
}

/// A number as protobuf writes it.
#[must_use]
pub fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
