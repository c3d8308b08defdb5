//! Protobuf bytes to a tree. The bytes are those of this side's own encoder.

use prost::{
    Message as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use prost_types::{Duration, FieldMask, Timestamp};

use super::{MAX_DEPTH, TreeError, TreeWriter, names};
use crate::body::shape::{Cardinality, Field, Kind, MessageId, Shape, Shapes, Special};

/// Writes the message `id`, encoded as `body`, as a tree.
///
/// # Errors
///
/// The message has no tree: it is nested too deep, or a well-known type in it is outside of its range.
pub(in crate::body) fn write_tree<W: TreeWriter>(
    shapes: &Shapes,
    id: MessageId,
    body: &[u8],
    writer: &mut W,
) -> Result<(), TreeError> {
    Walk {
        shapes,
        writer,
        found: Vec::with_capacity(16),
        depth: 0,
    }
    .message(id, body)
}

/// A field's value as it stands in the bytes.
#[derive(Debug, Clone, Copy)]
enum Raw<'a> {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    Len(&'a [u8]),
}

struct Walk<'s, 'a, W> {
    shapes: &'s Shapes,
    writer: &'s mut W,
    /// The fields of the messages that are being walked, the innermost last.
    found: Vec<(usize, Raw<'a>)>,
    depth: usize,
}

/// A run in [`Walk::found`].
type Run = std::ops::Range<usize>;

impl<'s, 'a, W: TreeWriter> Walk<'s, 'a, W> {
    fn message(&mut self, id: MessageId, bytes: &'a [u8]) -> Result<(), TreeError> {
        let shape = self.shapes.message(id);
        if let Some(special) = shape.special {
            return self.special(special, shape, bytes);
        }
        let run = self.scan(shape, bytes)?;
        self.enter()?;
        self.writer.begin_map(self.count_fields(run.clone()));
        self.fields(shape, run.clone())?;
        self.writer.end_map();
        self.leave(run);
        Ok(())
    }

    fn enter(&mut self) -> Result<(), TreeError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            Err(TreeError::too_deep())
        } else {
            Ok(())
        }
    }

    /// Forgets what [`scan`](Self::scan) found.
    fn leave(&mut self, run: Run) {
        self.depth -= 1;
        self.found.truncate(run.start);
    }

    /// Finds the fields of a message, those of one number next to each other.
    fn scan(&mut self, shape: &'s Shape, mut bytes: &'a [u8]) -> Result<Run, TreeError> {
        let start = self.found.len();
        let mut last = 0;
        let mut is_sorted = true;
        while !bytes.is_empty() {
            let (number, wire_type) = decode_key(&mut bytes).map_err(malformed)?;
            let Some(index) = shape.by_number(number, last) else {
                // Without a name there is no place for it in the tree.
                skip_field(wire_type, number, &mut bytes, DecodeContext::default())
                    .map_err(malformed)?;
                continue;
            };
            let raw = take(wire_type, &mut bytes)?;
            self.found.push((index, raw));
            is_sorted &= index >= last;
            last = index;
        }
        if !is_sorted && let Some(run) = self.found.get_mut(start..) {
            run.sort_by_key(|(index, _)| *index);
        }
        Ok(start..self.found.len())
    }

    fn count_fields(&self, run: Run) -> usize {
        let run = self.found.get(run).unwrap_or_default();
        run.chunk_by(|(a, _), (b, _)| a == b).count()
    }

    /// Writes keys and values of the fields that were found.
    fn fields(&mut self, shape: &'s Shape, mut run: Run) -> Result<(), TreeError> {
        while let Some(&(index, _)) = self.found.get(run.start) {
            if run.is_empty() {
                break;
            }
            let rest = self.found.get(run.clone()).unwrap_or_default();
            let len = rest.iter().take_while(|(other, _)| *other == index).count();
            let end = run.start + len;
            if let Some(field) = shape.fields.get(index) {
                self.writer.key(&field.name);
                self.field(field, run.start..end)
                    .map_err(|error| error.within(&field.name))?;
            }
            run.start = end;
        }
        Ok(())
    }

    fn field(&mut self, field: &Field, run: Run) -> Result<(), TreeError> {
        match field.cardinality {
            Cardinality::Singular => self.singular(field.kind, run),
            Cardinality::Repeated => self.array(field.kind, run),
            Cardinality::Map { key } => self.map(key, field.kind, run),
        }
    }

    fn singular(&mut self, kind: Kind, run: Run) -> Result<(), TreeError> {
        let found = self.found.get(run).unwrap_or_default();
        if let (Kind::Message(id), [_, _, ..]) = (kind, found) {
            // A message in parts is their merger, which is the parts one behind the other.
            let parts = found.iter().filter_map(|(_, raw)| {
                if let Raw::Len(part) = raw {
                    Some(*part)
                } else {
                    None
                }
            });
            let whole: Vec<u8> = parts.flatten().copied().collect();
            let mut walk = Walk {
                shapes: self.shapes,
                writer: &mut *self.writer,
                found: Vec::new(),
                depth: self.depth,
            };
            return walk.message(id, &whole);
        }
        match found.last() {
            Some(&(_, raw)) => self.value(kind, raw),
            None => self.absent(kind),
        }
    }

    fn array(&mut self, kind: Kind, run: Run) -> Result<(), TreeError> {
        let found = self.found.get(run.clone()).unwrap_or_default();
        let mut len = 0;
        for (_, raw) in found {
            len += match raw {
                Raw::Len(packed) if kind.is_packed() => count_packed(kind, packed),
                _ => 1,
            };
        }
        self.enter()?;
        self.writer.begin_array(len);
        for index in run {
            let Some(&(_, raw)) = self.found.get(index) else {
                break;
            };
            match raw {
                Raw::Len(mut packed) if kind.is_packed() => {
                    while !packed.is_empty() {
                        let element = take(kind.wire_type(), &mut packed)?;
                        self.value(kind, element)?;
                    }
                }
                raw => self.value(kind, raw)?,
            }
        }
        self.writer.end_array();
        self.depth -= 1;
        Ok(())
    }

    fn map(&mut self, key: Kind, value: Kind, run: Run) -> Result<(), TreeError> {
        self.enter()?;
        self.writer.begin_map(run.len());
        for index in run {
            let Some(&(_, Raw::Len(mut entry))) = self.found.get(index) else {
                return Err(TreeError::new("a map entry that is no message"));
            };
            let (mut key_found, mut value_found) = (None, None);
            while !entry.is_empty() {
                let (number, wire_type) = decode_key(&mut entry).map_err(malformed)?;
                let raw = take(wire_type, &mut entry)?;
                match number {
                    1 => key_found = Some(raw),
                    2 => value_found = Some(raw),
                    _ => {}
                }
            }
            self.map_key(key, key_found)?;
            match value_found {
                Some(raw) => self.value(value, raw)?,
                None => self.absent(value)?,
            }
        }
        self.writer.end_map();
        self.depth -= 1;
        Ok(())
    }

    fn map_key(&mut self, kind: Kind, raw: Option<Raw<'a>>) -> Result<(), TreeError> {
        let number = raw.unwrap_or(Raw::Varint(0));
        match kind {
            Kind::String => match raw {
                Some(Raw::Len(bytes)) => self.writer.key(utf8(bytes)?),
                _ => self.writer.key(""),
            },
            Kind::Bool => self.writer.key(if unsigned(number) == 0 {
                "false"
            } else {
                "true"
            }),
            Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64 => {
                self.writer.key(&unsigned(number).to_string());
            }
            kind => self.writer.key(&signed(kind, number).to_string()),
        }
        Ok(())
    }

    fn value(&mut self, kind: Kind, raw: Raw<'a>) -> Result<(), TreeError> {
        match (kind, raw) {
            (Kind::Message(id), Raw::Len(bytes)) => return self.message(id, bytes),
            (Kind::String, Raw::Len(bytes)) => self.writer.text(utf8(bytes)?),
            (Kind::Bytes, Raw::Len(bytes)) => self.writer.bytes(bytes),
            (Kind::Double, Raw::Fixed64(bytes)) => self.writer.double(f64::from_le_bytes(bytes)),
            (Kind::Float, Raw::Fixed32(bytes)) => self.writer.float(f32::from_le_bytes(bytes)),
            (Kind::Bool, Raw::Varint(value)) => self.writer.boolean(value != 0),
            (Kind::Enum(id), Raw::Varint(_)) => {
                let item = self.shapes.enumeration(id);
                let number = signed(kind, raw);
                match i32::try_from(number)
                    .ok()
                    .and_then(|number| item.name(number))
                {
                    _ if item.is_null => self.writer.null(),
                    Some(name) => self.writer.text(name),
                    None => self.writer.int(number),
                }
            }
            (Kind::Uint32, Raw::Varint(value)) => self.writer.int(i64::from(low_32(value))),
            (Kind::Fixed32, Raw::Fixed32(bytes)) => {
                self.writer.int(i64::from(u32::from_le_bytes(bytes)))
            }
            (Kind::Uint64, Raw::Varint(_)) | (Kind::Fixed64, Raw::Fixed64(_)) => {
                self.writer.uint64(unsigned(raw))
            }
            (Kind::Int64 | Kind::Sint64, Raw::Varint(_)) | (Kind::Sfixed64, Raw::Fixed64(_)) => {
                self.writer.int64(signed(kind, raw));
            }
            (Kind::Int32 | Kind::Sint32, Raw::Varint(_)) | (Kind::Sfixed32, Raw::Fixed32(_)) => {
                self.writer.int(signed(kind, raw));
            }
            _ => return Err(TreeError::new("a wire type that is not the field's")),
        }
        Ok(())
    }

    /// What stands for a value that the bytes leave out where the tree needs one.
    fn absent(&mut self, kind: Kind) -> Result<(), TreeError> {
        let raw = match kind {
            Kind::String | Kind::Bytes | Kind::Message(_) => Raw::Len(&[]),
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => Raw::Fixed64([0; 8]),
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => Raw::Fixed32([0; 4]),
            _ => Raw::Varint(0),
        };
        self.value(kind, raw)
    }

    fn special(
        &mut self,
        special: Special,
        shape: &'s Shape,
        bytes: &'a [u8],
    ) -> Result<(), TreeError> {
        let text = match special {
            Special::Timestamp => {
                let timestamp = Timestamp::decode(bytes).map_err(malformed)?;
                names::timestamp_text(&timestamp)
                    .ok_or_else(|| TreeError::new("a Timestamp outside of the years 1 to 9999"))?
            }
            Special::Duration => {
                let duration = Duration::decode(bytes).map_err(malformed)?;
                names::duration_text(&duration).ok_or_else(|| {
                    TreeError::new("a Duration outside of 10,000 years, or with two signs")
                })?
            }
            Special::FieldMask => {
                let mask = FieldMask::decode(bytes).map_err(malformed)?;
                names::field_mask_text(&mask.paths).ok_or_else(|| {
                    TreeError::new("a FieldMask with a path that camel case cannot spell")
                })?
            }
            Special::Any => return self.any(shape, bytes),
            Special::Struct | Special::ListValue | Special::Value | Special::Wrapper => {
                let run = self.scan(shape, bytes)?;
                let start = run.start;
                self.dynamic(special, shape, run)?;
                self.found.truncate(start);
                return Ok(());
            }
        };
        self.writer.text(&text);
        Ok(())
    }

    /// The types that stand for JSON's own, and the wrappers of scalars.
    fn dynamic(&mut self, special: Special, shape: &'s Shape, run: Run) -> Result<(), TreeError> {
        if special != Special::Value {
            return match shape.fields.first() {
                Some(field) => self.field(field, run),
                None => Ok(()),
            };
        }
        let found = self.found.get(run).and_then(<[_]>::last);
        let Some((field, raw)) =
            found.and_then(|&(index, raw)| Some((shape.fields.get(index)?, raw)))
        else {
            return Err(TreeError::new("a Value without a value"));
        };
        if let Raw::Fixed64(bytes) = raw
            && !f64::from_le_bytes(bytes).is_finite()
        {
            return Err(TreeError::new("a Value that is not finite"));
        }
        self.value(field.kind, raw)
    }

    /// A message of any type: beside its own fields, the name of its type.
    fn any(&mut self, shape: &'s Shape, bytes: &'a [u8]) -> Result<(), TreeError> {
        let outer = self.scan(shape, bytes)?;
        let (mut url, mut value): (&str, &[u8]) = ("", &[]);
        for &(index, raw) in self.found.get(outer.clone()).unwrap_or_default() {
            match (shape.fields.get(index).map(|field| field.number), raw) {
                (Some(1), Raw::Len(bytes)) => url = utf8(bytes)?,
                (Some(2), Raw::Len(bytes)) => value = bytes,
                _ => {}
            }
        }
        self.found.truncate(outer.start);
        self.enter()?;
        if url.is_empty() && value.is_empty() {
            self.writer.begin_map(0);
            self.writer.end_map();
            self.depth -= 1;
            return Ok(());
        }
        let id = super::to_protobuf::type_of_url(self.shapes, url)?;
        let inner = self.shapes.message(id);
        if inner.special.is_some() {
            self.writer.begin_map(2);
            self.writer.key("@type");
            self.writer.text(url);
            self.writer.key("value");
            self.message(id, value)?;
            self.writer.end_map();
            self.depth -= 1;
            return Ok(());
        }
        let run = self.scan(inner, value)?;
        self.writer.begin_map(1 + self.count_fields(run.clone()));
        self.writer.key("@type");
        self.writer.text(url);
        self.fields(inner, run.clone())?;
        self.writer.end_map();
        self.leave(run);
        Ok(())
    }
}

/// Takes one value off the front of `bytes`.
fn take<'a>(wire_type: WireType, bytes: &mut &'a [u8]) -> Result<Raw<'a>, TreeError> {
    let truncated = || TreeError::new("a value beyond the end of its message");
    Ok(match wire_type {
        WireType::Varint => Raw::Varint(decode_varint(bytes).map_err(malformed)?),
        WireType::ThirtyTwoBit => {
            let (value, rest) = bytes.split_first_chunk().ok_or_else(truncated)?;
            *bytes = rest;
            Raw::Fixed32(*value)
        }
        WireType::SixtyFourBit => {
            let (value, rest) = bytes.split_first_chunk().ok_or_else(truncated)?;
            *bytes = rest;
            Raw::Fixed64(*value)
        }
        WireType::LengthDelimited => {
            let len = decode_varint(bytes).map_err(malformed)?;
            let len = usize::try_from(len).map_err(|_| truncated())?;
            let (value, rest) = bytes.split_at_checked(len).ok_or_else(truncated)?;
            *bytes = rest;
            Raw::Len(value)
        }
        WireType::StartGroup | WireType::EndGroup => return Err(TreeError::new("a group")),
    })
}

fn count_packed(kind: Kind, packed: &[u8]) -> usize {
    match kind.wire_type() {
        WireType::SixtyFourBit => packed.len() / 8,
        WireType::ThirtyTwoBit => packed.len() / 4,
        // The last byte of each number has no high bit.
        _ => packed.iter().filter(|byte| **byte < 0x80).count(),
    }
}

/// A varint's low 32 bits, as those are all that a 32-bit field has.
fn low_32(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn unsigned(raw: Raw<'_>) -> u64 {
    match raw {
        Raw::Varint(value) => value,
        Raw::Fixed32(bytes) => u32::from_le_bytes(bytes).into(),
        Raw::Fixed64(bytes) => u64::from_le_bytes(bytes),
        Raw::Len(_) => 0,
    }
}

fn signed(kind: Kind, raw: Raw<'_>) -> i64 {
    match (kind, raw) {
        (_, Raw::Fixed32(bytes)) => i32::from_le_bytes(bytes).into(),
        (_, Raw::Fixed64(bytes)) => i64::from_le_bytes(bytes),
        (Kind::Sint32 | Kind::Sint64, Raw::Varint(value)) => {
            (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
        }
        (Kind::Int64, Raw::Varint(value)) => value.cast_signed(),
        (_, Raw::Varint(value)) => low_32(value).cast_signed().into(),
        (_, Raw::Len(_)) => 0,
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, TreeError> {
    std::str::from_utf8(bytes).map_err(|error| TreeError::new(error.to_string()))
}

fn malformed(error: prost::DecodeError) -> TreeError {
    TreeError::new(error.to_string())
}
