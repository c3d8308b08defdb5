//! The protobuf reader: keys, numbers and length-delimited bytes, with checks of bounds and nesting.

use std::fmt;

use bytes::Bytes;
use prost::encoding::WireType;

use super::stack_space::StackSpace;
use crate::body::{Body, MAX_DEPTH};

/// Reads one message.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// The buffer that `rest` is a part of, so that `Bytes` fields can share it.
    whole: &'a Bytes,
    /// The number of messages around this one.
    depth: usize,
    /// The stack space that reading has used.
    pub(super) stack: StackSpace,
}

/// The key of a field: its number and wire type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    number: u32,
    wire: WireType,
}

impl Key {
    /// The number of the field.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.number
    }

    /// The wire type of its value.
    #[must_use]
    pub const fn wire(self) -> WireType {
        self.wire
    }
}

/// The bytes are not a valid message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The fields around the error, the innermost first.
    path: Vec<&'static str>,
    reason: String,
}

impl Malformed {
    /// Creates an error with this reason, in lower case and without a final period.
    #[cold]
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            reason: reason.into(),
        }
    }

    /// The error for an enum without a known variant.
    #[cold]
    #[must_use]
    pub fn no_variant(name: &'static str) -> Self {
        Self::new(format!("no known variant of `{name}`"))
    }

    /// Adds the field that the error happened in.
    #[cold]
    #[must_use]
    pub fn inside(mut self, field: &'static str) -> Self {
        self.path.push(field);
        self
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, field) in self.path.iter().rev().enumerate() {
            let before = if index == 0 { "" } else { "." };
            write!(f, "{before}{field}")?;
        }
        let between = if self.path.is_empty() { "" } else { ": " };
        write!(f, "{between}{}", self.reason)
    }
}

impl std::error::Error for Malformed {}

impl<'a> Reader<'a> {
    /// Reads a body as an outermost message.
    #[must_use]
    pub fn new(body: Body<'a>) -> Self {
        Self {
            rest: body.rest(),
            whole: body.memory(),
            depth: 0,
            stack: StackSpace::begin(),
        }
    }

    /// A reader for a message inside this one.
    ///
    /// # Errors
    ///
    /// The message is nested too deep.
    pub(super) fn inner<'b>(
        &self,
        rest: &'b [u8],
        whole: &'b Bytes,
    ) -> Result<Reader<'b>, Malformed> {
        self.nested(rest, whole, MAX_DEPTH)
    }

    /// A reader for an absent message inside this one.
    ///
    /// # Errors
    ///
    /// The message always contains itself, so its default is infinite.
    pub(super) fn absent(&self) -> Result<Self, Malformed> {
        // Defaults may be nested deeper than what was received, but no schema is that deep.
        self.nested(&[], self.whole, 2 * MAX_DEPTH)
    }

    fn nested<'b>(
        &self,
        rest: &'b [u8],
        whole: &'b Bytes,
        max: usize,
    ) -> Result<Reader<'b>, Malformed> {
        if self.depth >= max {
            return Err(Malformed::new(format!("nested deeper than {max} messages")));
        }
        Ok(Reader {
            rest,
            whole,
            depth: self.depth + 1,
            stack: self.stack,
        })
    }

    /// The buffer that `Bytes` fields share.
    pub(super) fn whole(&self) -> &'a Bytes {
        self.whole
    }

    /// Whether the end is reached.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads the key of the next field; `None` at the end.
    ///
    /// # Errors
    ///
    /// The key is invalid.
    pub fn key(&mut self) -> Result<Option<Key>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?)
            .map_err(|_| Malformed::new("field number out of range"))?;
        let number = key >> 3;
        if number == 0 {
            return Err(Malformed::new("field number 0"));
        }
        let wire = WireType::try_from(u64::from(key & 7))
            .map_err(|_| Malformed::new(format!("unknown wire type {}", key & 7)))?;
        Ok(Some(Key { number, wire }))
    }

    /// Skips the value of an unknown field.
    ///
    /// # Errors
    ///
    /// The value is truncated, or is a group nested too deep.
    pub fn skip(&mut self, key: Key) -> Result<(), Malformed> {
        // The numbers of the open groups. A group ends with the number that it began with.
        let mut open: Vec<u32> = Vec::new();
        let mut key = key;
        loop {
            match key.wire {
                WireType::Varint => {
                    self.varint()?;
                }
                WireType::SixtyFourBit => {
                    self.take(8)?;
                }
                WireType::ThirtyTwoBit => {
                    self.take(4)?;
                }
                WireType::LengthDelimited => {
                    self.run()?;
                }
                WireType::StartGroup => {
                    if self.depth + open.len() >= MAX_DEPTH {
                        return Err(Malformed::new(format!(
                            "nested deeper than {MAX_DEPTH} messages"
                        )));
                    }
                    open.push(key.number);
                }
                WireType::EndGroup => {
                    if open.pop() != Some(key.number) {
                        return Err(Malformed::new("end of a group that is not open"));
                    }
                }
            }
            if open.is_empty() {
                return Ok(());
            }
            key = self
                .key()?
                .ok_or_else(|| Malformed::new("group without end"))?;
        }
    }

    /// Refuses bytes that are no message by themselves. Several of them in one are one only if each is, and no field of one
    /// goes on in the next.
    pub(super) fn check_whole(&self, part: &'a [u8]) -> Result<(), Malformed> {
        let mut reader = Self {
            rest: part,
            ..*self
        };
        while let Some(key) = reader.key()? {
            reader.skip(key)?;
        }
        Ok(())
    }

    /// Reads a varint: one to ten bytes.
    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Malformed> {
        if let [byte @ 0..=0x7f, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            // The tenth byte holds a single bit.
            if index == 9 && *byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(index + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(Malformed::new("unterminated varint"))
    }

    /// Reads this many bytes.
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(Malformed::new(format!(
                "length {len} exceeds the remaining {} bytes",
                self.rest.len()
            )));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// Reads a fixed number of bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(Malformed::new(format!(
                "expected {N} bytes, found {}",
                self.rest.len()
            )));
        };
        self.rest = rest;
        Ok(*taken)
    }

    /// Reads length-delimited bytes.
    pub(super) fn run(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.varint()?;
        self.take(usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// A reader for the values of a packed field.
    pub(super) fn packed(&mut self) -> Result<Self, Malformed> {
        Ok(Self {
            rest: self.run()?,
            ..*self
        })
    }
}

/// Refuses a value of the wrong wire type.
#[inline]
pub(super) fn expect(expected: WireType, found: WireType) -> Result<(), Malformed> {
    if expected == found {
        return Ok(());
    }
    Err(Malformed::new(format!(
        "expected wire type {expected:?}, found {found:?}"
    )))
}
