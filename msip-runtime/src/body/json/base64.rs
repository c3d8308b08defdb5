//! Base64 for bytes in JSON: written with the standard alphabet and padding, read in either alphabet.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The value of each letter, or [`NONE`].
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut index = 0;
    while index < 64 {
        values[ALPHABET[index] as usize] = index as u8;
        index += 1;
    }
    values[b'-' as usize] = 62;
    values[b'_' as usize] = 63;
    values
};

const NONE: u8 = 0xff;

/// Appends `bytes` in base64.
pub(super) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let letter = |bits: u32| {
        ALPHABET
            .get((bits & 0x3f) as usize)
            .copied()
            .unwrap_or(b'A')
    };
    out.reserve(bytes.len().div_ceil(3).saturating_mul(4));
    let mut chunks = bytes.chunks_exact(3);
    for chunk in &mut chunks {
        if let &[a, b, c] = chunk {
            let bits = u32::from_be_bytes([0, a, b, c]);
            out.extend_from_slice(&[
                letter(bits >> 18),
                letter(bits >> 12),
                letter(bits >> 6),
                letter(bits),
            ]);
        }
    }
    match *chunks.remainder() {
        [a] => {
            let bits = u32::from(a) << 16;
            out.extend_from_slice(&[letter(bits >> 18), letter(bits >> 12), b'=', b'=']);
        }
        [a, b] => {
            let bits = u32::from_be_bytes([0, a, b, 0]);
            out.extend_from_slice(&[
                letter(bits >> 18),
                letter(bits >> 12),
                letter(bits >> 6),
                b'=',
            ]);
        }
        _ => {}
    }
}

/// Decodes base64, padded or not. `None` if it is malformed.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let text = match text {
        [text @ .., b'=', b'='] if text.len() % 4 == 2 => text,
        [text @ .., b'='] if text.len() % 4 == 3 => text,
        text => text,
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let value = |letter: u8| match VALUES.get(usize::from(letter)).copied() {
        None | Some(NONE) => None,
        Some(value) => Some(u32::from(value)),
    };
    for chunk in text.chunks(4) {
        let mut bits = 0;
        for letter in chunk {
            bits = bits << 6 | value(*letter)?;
        }
        bits <<= 6 * (4 - chunk.len());
        let [_, a, b, c] = bits.to_be_bytes();
        match chunk.len() {
            4 => bytes.extend_from_slice(&[a, b, c]),
            3 => bytes.extend_from_slice(&[a, b]),
            2 => bytes.push(a),
            _ => return None,
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in cases {
            let mut out = Vec::new();
            encode(bytes.as_bytes(), &mut out);
            assert_eq!(out, text.as_bytes());
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes.as_bytes()));
            assert_eq!(
                decode(text.trim_end_matches('=').as_bytes()).as_deref(),
                Some(bytes.as_bytes())
            );
        }
    }

    #[test]
    fn both_alphabets_are_read_and_nothing_else() {
        assert_eq!(decode(b"-_+/"), decode(b"+/-_"));
        for bad in [
            "Z", "Zg=", "Zg===", "Z===", "====", "=", "Zm9v=", "Zm 9v", "Zm9v\n", "Zg=a", "Zé",
        ] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
    }
}
