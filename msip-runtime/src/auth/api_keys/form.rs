//! The text of a key, and the hash by which it is known: `msip_5d2c3f0a9b1e7c44_…`.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// What every key begins with, so that it is told from other credentials, and found where it should not be.
pub(super) const PREFIX: &str = "msip_";

/// The hexadecimal digits of an id, and of a secret.
const ID_DIGITS: usize = 16;
pub(super) const SECRET_DIGITS: usize = 64;

/// The id of a key that a client has sent; `None` where it does not have the form of one.
pub(super) fn id_of(key: &[u8]) -> Option<u64> {
    let key = std::str::from_utf8(key).ok()?.strip_prefix(PREFIX)?;
    let (id, secret) = key.split_once('_')?;
    let is_hex = |text: &str, digits| text.len() == digits && text.bytes().all(is_hex_digit);
    if !is_hex(secret, SECRET_DIGITS) {
        return None;
    }
    parse_id(id)
}

/// An id in hexadecimal digits.
pub(super) fn parse_id(text: &str) -> Option<u64> {
    let is_id = text.len() == ID_DIGITS && text.bytes().all(is_hex_digit);
    is_id.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// The hash by which a key is known. The key is random, so that a slow hash would protect nothing.
pub(super) fn hash(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// In lower case, as keys are written: each has one text.
fn is_hex_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}
