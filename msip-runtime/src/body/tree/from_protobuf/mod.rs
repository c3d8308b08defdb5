//! Conversion of protobuf bytes to a tree. The bytes come from this side's own encoder.

mod well_known;

use prost::encoding::{DecodeContext, decode_key, skip_field};

use crate::body::{
    descriptor_pool::{
        Cardinality, DescriptorPool, FieldDescriptor, Kind, MessageDescriptor, MessageId,
    },
    integer::low_32,
    tree::{
        MAX_DEPTH, TreeError, TreeWriter,
        wire_value::{WireValue, count_packed, malformed, signed, take, unsigned, utf8},
    },
};

/// Writes the message `id`, encoded as `body`, as a tree.
///
/// # Errors
///
/// The message has no tree: it is nested too deep, or a well-known type in it is out of range.
pub(in crate::body) fn write_tree<W: TreeWriter>(
    pool: &DescriptorPool,
    id: MessageId,
    body: &[u8],
    writer: &mut W,
) -> Result<(), TreeError> {
    Decoder {
        pool,
        writer,
        found: Vec::with_capacity(16),
        depth: 0,
    }
    .message(id, body)
}

struct Decoder<'s, 'a, W> {
    pool: &'s DescriptorPool,
    writer: &'s mut W,
    /// The fields of the messages that are being converted, the innermost last.
    found: Vec<(usize, WireValue<'a>)>,
    depth: usize,
}

/// A range of [`Decoder::found`].
type FieldRange = std::ops::Range<usize>;

impl<'s, 'a, W: TreeWriter> Decoder<'s, 'a, W> {
    fn message(&mut self, id: MessageId, bytes: &'a [u8]) -> Result<(), TreeError> {
        let message = self.pool.message(id);
        if let Some(well_known) = message.well_known {
            return self.well_known(well_known, message, bytes);
        }
        let run = self.scan(message, bytes)?;
        self.enter()?;
        self.writer.begin_map(self.count_fields(run.clone()));
        self.fields(message, run.clone())?;
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
    fn leave(&mut self, run: FieldRange) {
        self.depth -= 1;
        self.found.truncate(run.start);
    }

    /// Finds the fields of a message, those of one number next to each other.
    fn scan(
        &mut self,
        message: &'s MessageDescriptor,
        mut bytes: &'a [u8],
    ) -> Result<FieldRange, TreeError> {
        let start = self.found.len();
        let mut last = 0;
        let mut is_sorted = true;
        while !bytes.is_empty() {
            let (number, wire_type) = decode_key(&mut bytes).map_err(malformed)?;
            let Some(index) = message.by_number(number, last) else {
                // An unknown field has no name, so it cannot be in the tree.
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

    fn count_fields(&self, run: FieldRange) -> usize {
        let run = self.found.get(run).unwrap_or_default();
        run.chunk_by(|(a, _), (b, _)| a == b).count()
    }

    /// Writes keys and values of the fields that were found.
    fn fields(
        &mut self,
        message: &'s MessageDescriptor,
        mut run: FieldRange,
    ) -> Result<(), TreeError> {
        while let Some(&(index, _)) = self.found.get(run.start) {
            if run.is_empty() {
                break;
            }
            let rest = self.found.get(run.clone()).unwrap_or_default();
            let len = rest.iter().take_while(|(other, _)| *other == index).count();
            let end = run.start + len;
            if let Some(field) = message.fields.get(index) {
                self.writer.key(&field.name);
                self.field(field, run.start..end)
                    .map_err(|error| error.within(&field.name))?;
            }
            run.start = end;
        }
        Ok(())
    }

    fn field(&mut self, field: &FieldDescriptor, run: FieldRange) -> Result<(), TreeError> {
        match field.cardinality {
            Cardinality::Singular => self.singular(field.kind, run),
            Cardinality::Repeated => self.array(field.kind, run),
            Cardinality::Map { key } => self.map(key, field.kind, run),
        }
    }

    fn singular(&mut self, kind: Kind, run: FieldRange) -> Result<(), TreeError> {
        let found = self.found.get(run).unwrap_or_default();
        if let (Kind::Message(id), [_, _, ..]) = (kind, found) {
            // Protobuf merges repeated occurrences of a message, which for encoded messages means to concatenate them.
            let parts = found.iter().filter_map(|(_, raw)| {
                if let WireValue::Len(part) = raw {
                    Some(*part)
                } else {
                    None
                }
            });
            let whole: Vec<u8> = parts.flatten().copied().collect();
            let mut walk = Decoder {
                pool: self.pool,
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

    fn array(&mut self, kind: Kind, run: FieldRange) -> Result<(), TreeError> {
        let found = self.found.get(run.clone()).unwrap_or_default();
        let mut len = 0;
        for (_, raw) in found {
            len += match raw {
                WireValue::Len(packed) if kind.is_packed() => count_packed(kind, packed),
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
                WireValue::Len(mut packed) if kind.is_packed() => {
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

    fn map(&mut self, key: Kind, value: Kind, run: FieldRange) -> Result<(), TreeError> {
        self.enter()?;
        self.writer.begin_map(run.len());
        for index in run {
            let Some(&(_, WireValue::Len(mut entry))) = self.found.get(index) else {
                return Err(TreeError::new("a map entry that is not a message"));
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

    fn map_key(&mut self, kind: Kind, raw: Option<WireValue<'a>>) -> Result<(), TreeError> {
        let number = raw.unwrap_or(WireValue::Varint(0));
        match kind {
            Kind::String => match raw {
                Some(WireValue::Len(bytes)) => self.writer.key(utf8(bytes)?),
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

    fn value(&mut self, kind: Kind, raw: WireValue<'a>) -> Result<(), TreeError> {
        match (kind, raw) {
            (Kind::Message(id), WireValue::Len(bytes)) => return self.message(id, bytes),
            (Kind::String, WireValue::Len(bytes)) => self.writer.text(utf8(bytes)?),
            (Kind::Bytes, WireValue::Len(bytes)) => self.writer.bytes(bytes),
            (Kind::Double, WireValue::Fixed64(bytes)) => {
                self.writer.double(f64::from_le_bytes(bytes))
            }
            (Kind::Float, WireValue::Fixed32(bytes)) => {
                self.writer.float(f32::from_le_bytes(bytes))
            }
            (Kind::Bool, WireValue::Varint(value)) => self.writer.boolean(value != 0),
            (Kind::Enum(id), WireValue::Varint(_)) => {
                let item = self.pool.enumeration(id);
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
            (Kind::Uint32, WireValue::Varint(value)) => self.writer.int(i64::from(low_32(value))),
            (Kind::Fixed32, WireValue::Fixed32(bytes)) => {
                self.writer.int(i64::from(u32::from_le_bytes(bytes)))
            }
            (Kind::Uint64, WireValue::Varint(_)) | (Kind::Fixed64, WireValue::Fixed64(_)) => {
                self.writer.uint64(unsigned(raw))
            }
            (Kind::Int64 | Kind::Sint64, WireValue::Varint(_))
            | (Kind::Sfixed64, WireValue::Fixed64(_)) => {
                self.writer.int64(signed(kind, raw));
            }
            (Kind::Int32 | Kind::Sint32, WireValue::Varint(_))
            | (Kind::Sfixed32, WireValue::Fixed32(_)) => {
                self.writer.int(signed(kind, raw));
            }
            _ => return Err(TreeError::new("a wire type that does not match the field")),
        }
        Ok(())
    }

    /// Writes the default for a value that the bytes omit and the tree needs.
    fn absent(&mut self, kind: Kind) -> Result<(), TreeError> {
        let raw = match kind {
            Kind::String | Kind::Bytes | Kind::Message(_) => WireValue::Len(&[]),
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireValue::Fixed64([0; 8]),
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireValue::Fixed32([0; 4]),
            _ => WireValue::Varint(0),
        };
        self.value(kind, raw)
    }
}
