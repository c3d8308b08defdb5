//! The MessagePack writer: each value in its shortest form.

use crate::body::tree::TreeWriter;

/// Appends MessagePack to a buffer.
#[derive(Debug)]
pub(in crate::body) struct MsgpackWriter<'a> {
    out: &'a mut Vec<u8>,
}

/// The forms of a length: in the first byte if it is small, else in one, two or four bytes.
struct Lengths {
    small: Option<(u8, u8)>,
    one: Option<u8>,
    two: u8,
    four: u8,
}

const TEXT: Lengths = Lengths {
    small: Some((0xa0, 31)),
    one: Some(0xd9),
    two: 0xda,
    four: 0xdb,
};
const BYTES: Lengths = Lengths {
    small: None,
    one: Some(0xc4),
    two: 0xc5,
    four: 0xc6,
};
const ARRAY: Lengths = Lengths {
    small: Some((0x90, 15)),
    one: None,
    two: 0xdc,
    four: 0xdd,
};
const MAP: Lengths = Lengths {
    small: Some((0x80, 15)),
    one: None,
    two: 0xde,
    four: 0xdf,
};

impl<'a> MsgpackWriter<'a> {
    pub(in crate::body) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    fn len(&mut self, lengths: &Lengths, len: usize) {
        if let (Some((first, max)), Ok(len)) = (lengths.small, u8::try_from(len))
            && len <= max
        {
            self.out.push(first | len);
        } else if let (Some(first), Ok(len)) = (lengths.one, u8::try_from(len)) {
            self.out.extend_from_slice(&[first, len]);
        } else if let Ok(len) = u16::try_from(len) {
            self.out.push(lengths.two);
            self.out.extend_from_slice(&len.to_be_bytes());
        } else {
            // Bodies are at most 1 GiB, and so are their parts.
            debug_assert!(u32::try_from(len).is_ok(), "a length of 4 GiB");
            self.out.push(lengths.four);
            self.out
                .extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
}

impl TreeWriter for MsgpackWriter<'_> {
    fn null(&mut self) {
        self.out.push(0xc0);
    }

    fn boolean(&mut self, value: bool) {
        self.out.push(if value { 0xc3 } else { 0xc2 });
    }

    fn int(&mut self, value: i64) {
        self.int64(value);
    }

    fn int64(&mut self, value: i64) {
        if let Ok(value) = u64::try_from(value) {
            return self.uint64(value);
        }
        if let Ok(value) = i8::try_from(value) {
            if value < -32 {
                self.out.push(0xd0);
            }
            self.out.push(value.cast_unsigned());
        } else if let Ok(value) = i16::try_from(value) {
            self.out.push(0xd1);
            self.out.extend_from_slice(&value.to_be_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.out.push(0xd2);
            self.out.extend_from_slice(&value.to_be_bytes());
        } else {
            self.out.push(0xd3);
            self.out.extend_from_slice(&value.to_be_bytes());
        }
    }

    fn uint64(&mut self, value: u64) {
        if let Ok(value) = u8::try_from(value) {
            if value > 0x7f {
                self.out.push(0xcc);
            }
            self.out.push(value);
        } else if let Ok(value) = u16::try_from(value) {
            self.out.push(0xcd);
            self.out.extend_from_slice(&value.to_be_bytes());
        } else if let Ok(value) = u32::try_from(value) {
            self.out.push(0xce);
            self.out.extend_from_slice(&value.to_be_bytes());
        } else {
            self.out.push(0xcf);
            self.out.extend_from_slice(&value.to_be_bytes());
        }
    }

    fn float(&mut self, value: f32) {
        self.out.push(0xca);
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    fn double(&mut self, value: f64) {
        self.out.push(0xcb);
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    fn text(&mut self, value: &str) {
        self.len(&TEXT, value.len());
        self.out.extend_from_slice(value.as_bytes());
    }

    fn bytes(&mut self, value: &[u8]) {
        self.len(&BYTES, value.len());
        self.out.extend_from_slice(value);
    }

    fn begin_map(&mut self, len: usize) {
        self.len(&MAP, len);
    }

    fn key(&mut self, key: &str) {
        self.text(key);
    }

    fn end_map(&mut self) {}

    fn begin_array(&mut self, len: usize) {
        self.len(&ARRAY, len);
    }

    fn end_array(&mut self) {}
}
