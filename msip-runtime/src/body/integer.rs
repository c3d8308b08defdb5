//! Integer encodings of protobuf: zigzag, sign extension and truncation.

/// The varint of a `sint32`.
#[inline]
pub(crate) fn zigzag32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)).cast_unsigned()
}

/// Decodes [`zigzag32`].
#[inline]
pub(crate) fn unzigzag32(value: u32) -> i32 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// The varint of a `sint64`.
#[inline]
pub(crate) fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Decodes [`zigzag64`].
#[inline]
pub(crate) fn unzigzag64(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// The varint of an `int32`: sign-extended to 64 bits, so that a negative number takes ten bytes.
#[inline]
pub(crate) fn sign_extended(value: i32) -> u64 {
    i64::from(value).cast_unsigned()
}

/// The low 32 bits of a varint, which are all that a 32-bit field reads.
#[inline]
pub(crate) fn low_32(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
