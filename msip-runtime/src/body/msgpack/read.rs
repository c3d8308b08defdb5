//! The MessagePack reader.

use std::borrow::Cow;

use crate::body::tree::{MAX_DEPTH, Node, TreeError, TreeReader};

/// Reads MessagePack from a body. Nothing is copied, and nothing is allocated for a declared length.
#[derive(Debug, Clone)]
pub(in crate::body) struct MsgpackReader<'a> {
    rest: &'a [u8],
    len: usize,
    /// The number of elements or entries left in each open map and array, the innermost last.
    open: Vec<u32>,
}

/// This number as an `f64`. A NaN keeps its payload: a conversion would make a signaling NaN a quiet one.
fn widened(value: f32) -> f64 {
    if !value.is_nan() {
        return value.into();
    }
    let sign = if value.is_sign_negative() { 1 << 63 } else { 0 };
    let payload = u64::from(value.to_bits() & 0x7f_ffff) << 29;
    f64::from_bits(sign | 0x7ff0_0000_0000_0000 | payload)
}

impl<'a> MsgpackReader<'a> {
    pub(in crate::body) fn new(body: &'a [u8]) -> Self {
        Self {
            rest: body,
            len: body.len(),
            open: Vec::new(),
        }
    }

    /// What was not read.
    #[cfg(feature = "flyrpc")]
    pub(in crate::body) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn error(&self, problem: &str) -> TreeError {
        let at = self.len.saturating_sub(self.rest.len());
        TreeError::new(format!("invalid MessagePack before byte {at}: {problem}"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TreeError> {
        let (value, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| self.error("truncated value"))?;
        self.rest = rest;
        Ok(*value)
    }

    fn u8(&mut self) -> Result<u8, TreeError> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, TreeError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, TreeError> {
        self.array().map(u32::from_be_bytes)
    }

    fn slice(&mut self, len: u32) -> Result<&'a [u8], TreeError> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let (value, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| self.error("a length beyond the end of the body"))?;
        self.rest = rest;
        Ok(value)
    }

    fn text(&mut self, len: u32) -> Result<Node<'a>, TreeError> {
        let bytes = self.slice(len)?;
        let text =
            std::str::from_utf8(bytes).map_err(|_| self.error("a string that is not UTF-8"))?;
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn bytes(&mut self, len: u32) -> Result<Node<'a>, TreeError> {
        self.slice(len).map(Node::Bytes)
    }

    fn begin(&mut self, node: Node<'a>, len: u32) -> Result<Node<'a>, TreeError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(TreeError::too_deep());
        }
        self.open.push(len);
        Ok(node)
    }

    /// Whether the innermost map or array has another element; counts it if so.
    fn has_next(&mut self) -> bool {
        match self.open.last_mut() {
            Some(left @ 1..) => {
                *left -= 1;
                true
            }
            _ => {
                self.open.pop();
                false
            }
        }
    }
}

impl<'a> TreeReader<'a> for MsgpackReader<'a> {
    fn value(&mut self) -> Result<Node<'a>, TreeError> {
        let first = self.u8()?;
        let small = |mask: u8| u32::from(first & mask);
        match first {
            0x00..=0x7f => Ok(Node::Int(first.into())),
            0x80..=0x8f => self.begin(Node::Map, small(0x0f)),
            0x90..=0x9f => self.begin(Node::Array, small(0x0f)),
            0xa0..=0xbf => self.text(small(0x1f)),
            0xc0 => Ok(Node::Null),
            0xc2 => Ok(Node::Bool(false)),
            0xc3 => Ok(Node::Bool(true)),
            0xc4 => self.u8().and_then(|len| self.bytes(len.into())),
            0xc5 => self.u16().and_then(|len| self.bytes(len.into())),
            0xc6 => self.u32().and_then(|len| self.bytes(len)),
            0xca => Ok(Node::Float(widened(f32::from_be_bytes(self.array()?)))),
            0xcb => Ok(Node::Float(f64::from_be_bytes(self.array()?))),
            0xcc => Ok(Node::Int(self.u8()?.into())),
            0xcd => Ok(Node::Int(self.u16()?.into())),
            0xce => Ok(Node::Int(self.u32()?.into())),
            0xcf => {
                let value = u64::from_be_bytes(self.array()?);
                Ok(i64::try_from(value).map_or(Node::Uint(value), Node::Int))
            }
            0xd0 => Ok(Node::Int(i8::from_be_bytes(self.array()?).into())),
            0xd1 => Ok(Node::Int(i16::from_be_bytes(self.array()?).into())),
            0xd2 => Ok(Node::Int(i32::from_be_bytes(self.array()?).into())),
            0xd3 => Ok(Node::Int(i64::from_be_bytes(self.array()?))),
            0xd9 => self.u8().and_then(|len| self.text(len.into())),
            0xda => self.u16().and_then(|len| self.text(len.into())),
            0xdb => self.u32().and_then(|len| self.text(len)),
            0xdc => self
                .u16()
                .and_then(|len| self.begin(Node::Array, len.into())),
            0xdd => self.u32().and_then(|len| self.begin(Node::Array, len)),
            0xde => self.u16().and_then(|len| self.begin(Node::Map, len.into())),
            0xdf => self.u32().and_then(|len| self.begin(Node::Map, len)),
            0xe0..=0xff => Ok(Node::Int(first.cast_signed().into())),
            0xc1 => Err(self.error("the unused type byte c1")),
            0xc7..=0xc9 | 0xd4..=0xd8 => Err(self.error("an extension type, which no field has")),
        }
    }

    fn key(&mut self) -> Result<Option<Cow<'a, str>>, TreeError> {
        if !self.has_next() {
            return Ok(None);
        }
        match self.value()? {
            Node::Text(key) => Ok(Some(key)),
            // We write such keys as strings, but many encoders write them as they are.
            key @ (Node::Int(_) | Node::Uint(_) | Node::Bool(_)) => {
                Ok(Some(key.to_string().into()))
            }
            key => Err(TreeError::expected("the name of a field", &key)),
        }
    }

    fn element(&mut self) -> Result<bool, TreeError> {
        Ok(self.has_next())
    }

    fn bytes_of<'n>(node: &'n Node<'a>) -> Result<Cow<'n, [u8]>, TreeError> {
        match node {
            Node::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
            node => Err(TreeError::expected("bytes", node)),
        }
    }

    fn finish(self) -> Result<(), TreeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(TreeError::new(format!(
                "invalid MessagePack: {} bytes after the value",
                self.rest.len()
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{msgpack::MsgpackWriter, tree::TreeWriter as _};

    #[test]
    fn every_number_comes_back_in_its_shortest_form() {
        let numbers: [(i64, usize); 14] = [
            (0, 1),
            (127, 1),
            (128, 2),
            (255, 2),
            (256, 3),
            (65_535, 3),
            (65_536, 5),
            (4_294_967_296, 9),
            (-1, 1),
            (-32, 1),
            (-33, 2),
            (-129, 3),
            (-32_769, 5),
            (i64::MIN, 9),
        ];
        for (number, len) in numbers {
            let mut out = Vec::new();
            MsgpackWriter::new(&mut out).int64(number);
            assert_eq!(out.len(), len, "{number}");
            assert_eq!(MsgpackReader::new(&out).value(), Ok(Node::Int(number)));
        }
        let mut out = Vec::new();
        MsgpackWriter::new(&mut out).uint64(u64::MAX);
        assert_eq!(MsgpackReader::new(&out).value(), Ok(Node::Uint(u64::MAX)));
    }

    #[test]
    fn lengths_come_back_in_their_shortest_form() {
        for (len, head) in [
            (0, 1),
            (31, 1),
            (32, 2),
            (255, 2),
            (256, 3),
            (65_535, 3),
            (65_536, 5),
        ] {
            let text = "x".repeat(len);
            let mut out = Vec::new();
            MsgpackWriter::new(&mut out).text(&text);
            assert_eq!(out.len(), head + len);
            assert_eq!(
                MsgpackReader::new(&out).value(),
                Ok(Node::Text(text.into()))
            );
        }
        for len in [0, 15, 16, 65_535, 65_536] {
            let mut out = Vec::new();
            MsgpackWriter::new(&mut out).begin_array(len);
            for _ in 0..len {
                MsgpackWriter::new(&mut out).null();
            }
            let mut reader = MsgpackReader::new(&out);
            assert_eq!(reader.value(), Ok(Node::Array));
            let mut count = 0;
            while reader.element().unwrap() {
                assert_eq!(reader.value(), Ok(Node::Null));
                count += 1;
            }
            assert_eq!(count, len);
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn declared_lengths_are_not_trusted() {
        for bytes in [
            &[0xc6, 0xff, 0xff, 0xff, 0xff][..],
            &[0xdb, 0xff, 0xff, 0xff, 0xff, b'a'],
            &[0xa2, b'a'],
            &[0xcf, 1],
        ] {
            let error = MsgpackReader::new(bytes)
                .value()
                .expect_err("cut off")
                .to_string();
            assert!(
                error.starts_with("invalid MessagePack before byte "),
                "{error}"
            );
        }
        let mut reader = MsgpackReader::new(&[0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0]);
        assert_eq!(reader.value(), Ok(Node::Array));
        assert!(reader.element().unwrap());
        assert_eq!(reader.value(), Ok(Node::Null));
        assert!(reader.element().unwrap());
        assert_eq!(
            reader.value().expect_err("nothing is there").to_string(),
            "invalid MessagePack before byte 6: truncated value"
        );
    }

    #[test]
    fn types_that_no_field_has_are_refused() {
        for bytes in [&[0xc1][..], &[0xd6, 0xff, 0, 0, 0, 0], &[0xc7, 1, 5, 0]] {
            assert!(MsgpackReader::new(bytes).value().is_err(), "{bytes:x?}");
        }
        assert!(
            MsgpackReader::new(&[0xa1, 0xff]).value().is_err(),
            "not UTF-8"
        );
        let mut reader = MsgpackReader::new(&[0x81, 0x90, 0xc0]);
        reader.value().unwrap();
        assert!(reader.key().is_err(), "an array as a key");
    }

    #[test]
    fn nesting_stops_at_the_limit() {
        for depth in [MAX_DEPTH, MAX_DEPTH + 1, 10_000] {
            let bytes = vec![0x91; depth];
            let mut reader = MsgpackReader::new(&bytes);
            let read = (0..depth)
                .try_for_each(|_| reader.value().and_then(|_| reader.element()).map(|_| ()));
            let expected = if depth > MAX_DEPTH {
                Err(TreeError::too_deep())
            } else {
                Ok(())
            };
            assert_eq!(read, expected, "{depth}");
        }
    }
}
