//! Length prefixes that are filled in after what they count.

/// The bytes reserved for a length: enough for 32 GiB.
const RESERVED: usize = 5;

/// A length that is filled in later, by the offset of what it counts.
pub(super) struct LengthPrefix(usize);

impl LengthPrefix {
    /// Reserves space for a length at the end of `out`.
    pub(super) fn begin(out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(&[0; RESERVED]);
        Self(out.len())
    }

    /// Fills in the length of what was appended to `out` since. A short message is moved up to its length; a long one
    /// keeps all reserved bytes, which protobuf allows, since moving it would cost more with every level of nesting.
    pub(super) fn end(self, out: &mut Vec<u8>) {
        let Self(content) = self;
        let len = out.len().saturating_sub(content);
        let prefix = content.saturating_sub(RESERVED);
        if let Ok(short @ 0..0x80) = u8::try_from(len) {
            if let Some(first) = out.get_mut(prefix) {
                *first = short;
            }
            out.copy_within(content.., prefix + 1);
            out.truncate(prefix + 1 + len);
            return;
        }
        let mut rest = len;
        for (index, byte) in out.iter_mut().skip(prefix).take(RESERVED).enumerate() {
            let more = if index + 1 < RESERVED { 0x80 } else { 0 };
            *byte = u8::try_from(rest & 0x7f).unwrap_or(0) | more;
            rest >>= 7;
        }
    }
}
