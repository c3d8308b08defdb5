//! Conversion of a tree to protobuf bytes. The tree comes from a peer.

mod well_known;

use std::borrow::Cow;

use prost::encoding::{WireType, encode_key, encode_varint};

use crate::body::{
    descriptor_pool::{
        Cardinality, DescriptorPool, FieldDescriptor, Kind, MessageDescriptor, MessageId,
    },
    integer::{sign_extended, zigzag32, zigzag64},
    tree::{
        Node, TreeError, TreeReader,
        length_prefix::LengthPrefix,
        number::{double, float, integer},
    },
};

/// What a tree may have that the schema does not know: a field, or the name of an enum's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::body) enum Unknown {
    /// It is skipped: a newer peer may know it.
    Skip,
    /// It is an error.
    Refuse,
}

/// Reads a tree of `body_len` bytes as the message `id`, and returns it in protobuf. Stops soon after `max_len` bytes of
/// output.
///
/// # Errors
///
/// The bytes are not a tree, or the tree is not such a message.
pub(in crate::body) fn read_tree<'a, R: TreeReader<'a>>(
    pool: &DescriptorPool,
    id: MessageId,
    reader: R,
    body_len: usize,
    max_len: usize,
    unknown: Unknown,
) -> Result<Vec<u8>, TreeError> {
    let mut build = Encoder {
        pool,
        reader,
        // Protobuf is seldom larger than the form with names.
        out: Vec::with_capacity(body_len.min(max_len)),
        seen: Vec::with_capacity(16),
        any_depth: 0,
        max_len,
        unknown,
    };
    let node = build.reader.value()?;
    build.message(id, &node)?;
    build.reader.finish()?;
    Ok(build.out)
}

struct Encoder<'s, R> {
    pool: &'s DescriptorPool,
    reader: R,
    out: Vec<u8>,
    /// The fields and oneofs that the messages being read have had so far, the innermost last.
    seen: Vec<Seen>,
    any_depth: usize,
    max_len: usize,
    unknown: Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Field(usize),
    Oneof(usize),
}

impl<'s, 'a, R: TreeReader<'a>> Encoder<'s, R> {
    /// The fields of a message whose first node has been read.
    fn message(&mut self, id: MessageId, node: &Node<'a>) -> Result<(), TreeError> {
        let message = self.pool.message(id);
        if let Some(well_known) = message.well_known {
            return self.well_known(well_known, message, node);
        }
        match node {
            Node::Map => self.fields(message, false),
            node => Err(TreeError::expected("an object", node)),
        }
    }

    fn fields(&mut self, message: &'s MessageDescriptor, is_any: bool) -> Result<(), TreeError> {
        let base = self.seen.len();
        let mut hint = 0;
        while let Some(key) = self.reader.key()? {
            let index = message.by_name(&key, hint);
            let Some((index, field)) =
                index.and_then(|index| Some((index, message.fields.get(index)?)))
            else {
                // (`@type` has been read before.)
                let is_type = is_any && key == "@type";
                if self.unknown == Unknown::Refuse && !is_type {
                    return Err(TreeError::new("no such field").within(&key));
                }
                let node = self.reader.value()?;
                self.skip(&node)?;
                continue;
            };
            debug_assert!(!is_any || key != "@type");
            hint = index + 1;
            let node = self
                .reader
                .value()
                .map_err(|error| error.within(&field.name))?;
            self.field(base, index, field, &node)
                .map_err(|error| error.within(&field.name))?;
            self.check_len()?;
        }
        self.seen.truncate(base);
        Ok(())
    }

    fn field(
        &mut self,
        base: usize,
        index: usize,
        field: &FieldDescriptor,
        node: &Node<'a>,
    ) -> Result<(), TreeError> {
        let is_singular = field.cardinality == Cardinality::Singular;
        if *node == Node::Null && !(is_singular && self.pool.takes_null(field.kind)) {
            return Ok(());
        }
        self.see(base, Seen::Field(index), "occurs twice")?;
        if let Some(oneof) = field.oneof {
            self.see(
                base,
                Seen::Oneof(oneof),
                "set together with another member of its oneof",
            )?;
        }
        match (field.cardinality, node) {
            (Cardinality::Singular, node) => self.tagged(field.number, field.kind, node),
            (Cardinality::Repeated, Node::Array) => self.elements(field.number, field.kind),
            (Cardinality::Repeated, node) => Err(TreeError::expected("an array", node)),
            (Cardinality::Map { key }, Node::Map) => self.entries(field.number, key, field.kind),
            (Cardinality::Map { .. }, node) => Err(TreeError::expected("an object", node)),
        }
    }

    fn see(&mut self, base: usize, seen: Seen, problem: &str) -> Result<(), TreeError> {
        if self.seen.get(base..).unwrap_or_default().contains(&seen) {
            return Err(TreeError::new(problem));
        }
        self.seen.push(seen);
        Ok(())
    }

    /// A value with its key; nothing for an enum value that is unknown here.
    fn tagged(&mut self, number: u32, kind: Kind, node: &Node<'a>) -> Result<(), TreeError> {
        let start = self.out.len();
        encode_key(number, kind.wire_type(), &mut self.out);
        if !self.value(kind, node)? {
            self.out.truncate(start);
        }
        Ok(())
    }

    fn elements(&mut self, number: u32, kind: Kind) -> Result<(), TreeError> {
        let packed = if kind.is_packed() {
            encode_key(number, WireType::LengthDelimited, &mut self.out);
            Some(LengthPrefix::begin(&mut self.out))
        } else {
            None
        };
        while self.reader.element()? {
            let node = self.reader.value()?;
            self.check_present(kind, &node)?;
            if packed.is_some() {
                self.value(kind, &node)?;
            } else {
                self.tagged(number, kind, &node)?;
            }
            self.check_len()?;
        }
        if let Some(mark) = packed {
            mark.end(&mut self.out);
        }
        Ok(())
    }

    fn entries(&mut self, number: u32, key_kind: Kind, kind: Kind) -> Result<(), TreeError> {
        while let Some(key) = self.reader.key()? {
            let start = self.out.len();
            encode_key(number, WireType::LengthDelimited, &mut self.out);
            let mark = LengthPrefix::begin(&mut self.out);
            let result = self.entry(key_kind, kind, &key);
            if result.map_err(|error| error.within(&key))? {
                mark.end(&mut self.out);
            } else {
                self.out.truncate(start);
            }
            self.check_len()?;
        }
        Ok(())
    }

    fn entry(&mut self, key_kind: Kind, kind: Kind, key: &str) -> Result<bool, TreeError> {
        let key = match (key_kind, key) {
            (Kind::Bool, "true") => Node::Bool(true),
            (Kind::Bool, "false") => Node::Bool(false),
            _ => Node::Text(Cow::Borrowed(key)),
        };
        encode_key(1, key_kind.wire_type(), &mut self.out);
        self.scalar(key_kind, &key)?;
        let node = self.reader.value()?;
        self.check_present(kind, &node)?;
        encode_key(2, kind.wire_type(), &mut self.out);
        self.value(kind, &node)
    }

    /// Stops once the output is longer than allowed.
    fn check_len(&self) -> Result<(), TreeError> {
        if self.out.len() > self.max_len {
            return Err(TreeError::new(format!(
                "more than {} bytes in protobuf",
                self.max_len
            )));
        }
        Ok(())
    }

    fn check_present(&self, kind: Kind, node: &Node<'_>) -> Result<(), TreeError> {
        if *node == Node::Null && !self.pool.takes_null(kind) {
            return Err(TreeError::expected("a value", node));
        }
        Ok(())
    }

    /// A value after its key. `false` for an enum value that is unknown here, which a newer peer may send.
    fn value(&mut self, kind: Kind, node: &Node<'a>) -> Result<bool, TreeError> {
        match kind {
            Kind::Message(id) => {
                let mark = LengthPrefix::begin(&mut self.out);
                self.message(id, node)?;
                mark.end(&mut self.out);
            }
            Kind::Bytes => {
                let bytes = R::bytes_of(node)?;
                encode_varint(bytes.len() as u64, &mut self.out);
                self.out.extend_from_slice(&bytes);
            }
            Kind::Enum(id) => {
                let item = self.pool.enumeration(id);
                let number = match node {
                    Node::Null if item.is_null => 0,
                    Node::Text(name) => match item.number(name) {
                        Some(number) => number,
                        None if self.unknown == Unknown::Refuse => {
                            return Err(TreeError::expected("a value of its enum", node));
                        }
                        None => return Ok(false),
                    },
                    node => integer(node)?,
                };
                encode_varint(sign_extended(number), &mut self.out);
            }
            kind => self.scalar(kind, node)?,
        }
        Ok(true)
    }

    fn scalar(&mut self, kind: Kind, node: &Node<'_>) -> Result<(), TreeError> {
        let out = &mut self.out;
        match kind {
            Kind::String => match node {
                Node::Text(text) => {
                    encode_varint(text.len() as u64, out);
                    out.extend_from_slice(text.as_bytes());
                }
                node => return Err(TreeError::expected("text", node)),
            },
            Kind::Bool => match node {
                Node::Bool(value) => out.push(u8::from(*value)),
                node => {
                    return Err(TreeError::expected("true or false", node));
                }
            },
            Kind::Double => out.extend_from_slice(&double(node)?.to_le_bytes()),
            Kind::Float => out.extend_from_slice(&float(node)?.to_le_bytes()),
            Kind::Int32 => encode_varint(sign_extended(integer(node)?), out),
            Kind::Int64 => encode_varint(integer::<i64>(node)?.cast_unsigned(), out),
            Kind::Uint32 => encode_varint(integer::<u32>(node)?.into(), out),
            Kind::Uint64 => encode_varint(integer(node)?, out),
            Kind::Sint32 => encode_varint(zigzag32(integer(node)?).into(), out),
            Kind::Sint64 => encode_varint(zigzag64(integer(node)?), out),
            Kind::Fixed32 => out.extend_from_slice(&integer::<u32>(node)?.to_le_bytes()),
            Kind::Fixed64 => out.extend_from_slice(&integer::<u64>(node)?.to_le_bytes()),
            Kind::Sfixed32 => out.extend_from_slice(&integer::<i32>(node)?.to_le_bytes()),
            Kind::Sfixed64 => out.extend_from_slice(&integer::<i64>(node)?.to_le_bytes()),
            // Written by `value`.
            Kind::Bytes | Kind::Enum(_) | Kind::Message(_) => {
                debug_assert!(false, "not a scalar");
            }
        }
        Ok(())
    }

    /// Skips the rest of a value.
    fn skip(&mut self, node: &Node<'a>) -> Result<(), TreeError> {
        match node {
            Node::Map => {
                while self.reader.key()?.is_some() {
                    let node = self.reader.value()?;
                    self.skip(&node)?;
                }
            }
            Node::Array => {
                while self.reader.element()? {
                    let node = self.reader.value()?;
                    self.skip(&node)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
