//! A tree to protobuf bytes. The tree is a peer's.

use std::borrow::Cow;

use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint},
};

use super::{Node, TreeError, TreeReader, names};
use crate::body::shape::{Cardinality, Field, Kind, MessageId, Shape, Shapes, Special};
use msip_session::wire::Escaped;

/// How many `Any` may stand inside each other. Each is looked through for its type before it is read.
const MAX_ANY: usize = 4;

/// Reads a tree of `body_len` bytes as the message `id`, and returns it in protobuf, of which at most about `max_len` bytes are made.
///
/// # Errors
///
/// The bytes are not a tree, or the tree is not such a message.
pub(in crate::body) fn read_tree<'a, R: TreeReader<'a>>(
    shapes: &Shapes,
    id: MessageId,
    reader: R,
    body_len: usize,
    max_len: usize,
) -> Result<Vec<u8>, TreeError> {
    let mut build = Build {
        shapes,
        reader,
        // It seldom becomes larger than it is with names.
        out: Vec::with_capacity(body_len.min(max_len)),
        seen: Vec::with_capacity(16),
        any_depth: 0,
        max_len,
    };
    let node = build.reader.value()?;
    build.message(id, &node)?;
    build.reader.finish()?;
    Ok(build.out)
}

/// The message that the address in an `Any` names.
pub(super) fn type_of_url(shapes: &Shapes, url: &str) -> Result<MessageId, TreeError> {
    let name = url.rsplit_once('/').map(|(_, name)| name);
    name.and_then(|name| shapes.find(name)).ok_or_else(|| {
        let url = Escaped::with_max_len(url, 96);
        TreeError::new(format!(
            "an Any of the type \"{url}\", which the schema does not have"
        ))
    })
}

struct Build<'s, R> {
    shapes: &'s Shapes,
    reader: R,
    out: Vec<u8>,
    /// What each message that is being read has had already, the innermost last.
    seen: Vec<Seen>,
    any_depth: usize,
    max_len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Field(usize),
    Oneof(usize),
}

/// Where a length is to be filled in.
struct Mark(usize);

/// The bytes kept free for a length: enough for 32 GiB.
const LEN_ROOM: usize = 5;

impl<'s, 'a, R: TreeReader<'a>> Build<'s, R> {
    /// The fields of a message whose first node has been read.
    fn message(&mut self, id: MessageId, node: &Node<'a>) -> Result<(), TreeError> {
        let shape = self.shapes.message(id);
        if let Some(special) = shape.special {
            return self.special(special, shape, node);
        }
        match node {
            Node::Map => self.fields(shape, false),
            node => Err(TreeError::new(format!("{node} where an object belongs"))),
        }
    }

    fn fields(&mut self, shape: &'s Shape, is_any: bool) -> Result<(), TreeError> {
        let base = self.seen.len();
        let mut hint = 0;
        while let Some(key) = self.reader.key()? {
            let index = shape.by_name(&key, hint);
            let Some((index, field)) =
                index.and_then(|index| Some((index, shape.fields.get(index)?)))
            else {
                // A newer peer may have it. (`@type` has been read before.)
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
            if self.out.len() > self.max_len {
                return Err(TreeError::new(format!(
                    "more than {} bytes in protobuf",
                    self.max_len
                )));
            }
        }
        self.seen.truncate(base);
        Ok(())
    }

    fn field(
        &mut self,
        base: usize,
        index: usize,
        field: &Field,
        node: &Node<'a>,
    ) -> Result<(), TreeError> {
        let is_singular = field.cardinality == Cardinality::Singular;
        if *node == Node::Null && !(is_singular && self.shapes.takes_null(field.kind)) {
            return Ok(());
        }
        self.see(base, Seen::Field(index), "given twice")?;
        if let Some(oneof) = field.oneof {
            self.see(
                base,
                Seen::Oneof(oneof),
                "beside another member of its oneof",
            )?;
        }
        match (field.cardinality, node) {
            (Cardinality::Singular, node) => self.tagged(field.number, field.kind, node),
            (Cardinality::Repeated, Node::Array) => self.elements(field.number, field.kind),
            (Cardinality::Repeated, node) => {
                Err(TreeError::new(format!("{node} where an array belongs")))
            }
            (Cardinality::Map { key }, Node::Map) => self.entries(field.number, key, field.kind),
            (Cardinality::Map { .. }, node) => {
                Err(TreeError::new(format!("{node} where an object belongs")))
            }
        }
    }

    fn see(&mut self, base: usize, seen: Seen, problem: &str) -> Result<(), TreeError> {
        if self.seen.get(base..).unwrap_or_default().contains(&seen) {
            return Err(TreeError::new(problem));
        }
        self.seen.push(seen);
        Ok(())
    }

    /// A value with its key; nothing for an enum value that has no number here.
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
            Some(self.begin())
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
            if self.out.len() > self.max_len {
                return Err(TreeError::new(format!(
                    "more than {} bytes in protobuf",
                    self.max_len
                )));
            }
        }
        if let Some(mark) = packed {
            self.end(mark);
        }
        Ok(())
    }

    fn entries(&mut self, number: u32, key_kind: Kind, kind: Kind) -> Result<(), TreeError> {
        while let Some(key) = self.reader.key()? {
            let start = self.out.len();
            encode_key(number, WireType::LengthDelimited, &mut self.out);
            let mark = self.begin();
            let result = self.entry(key_kind, kind, &key);
            if result.map_err(|error| error.within(&key))? {
                self.end(mark);
            } else {
                self.out.truncate(start);
            }
            if self.out.len() > self.max_len {
                return Err(TreeError::new(format!(
                    "more than {} bytes in protobuf",
                    self.max_len
                )));
            }
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

    fn check_present(&self, kind: Kind, node: &Node<'_>) -> Result<(), TreeError> {
        if *node == Node::Null && !self.shapes.takes_null(kind) {
            return Err(TreeError::new("null where a value belongs"));
        }
        Ok(())
    }

    /// A value behind its key. `false` where it is an enum value that has no number here: one may be newer.
    fn value(&mut self, kind: Kind, node: &Node<'a>) -> Result<bool, TreeError> {
        match kind {
            Kind::Message(id) => {
                let mark = self.begin();
                self.message(id, node)?;
                self.end(mark);
            }
            Kind::Bytes => {
                let bytes = R::bytes_of(node)?;
                encode_varint(bytes.len() as u64, &mut self.out);
                self.out.extend_from_slice(&bytes);
            }
            Kind::Enum(id) => {
                let item = self.shapes.enumeration(id);
                let number = match node {
                    Node::Null if item.is_null => 0,
                    Node::Text(name) => match item.number(name) {
                        Some(number) => number,
                        None => return Ok(false),
                    },
                    node => integer(node)?,
                };
                encode_varint(i64::from(number).cast_unsigned(), &mut self.out);
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
                node => return Err(TreeError::new(format!("{node} where text belongs"))),
            },
            Kind::Bool => match node {
                Node::Bool(value) => out.push(u8::from(*value)),
                node => {
                    return Err(TreeError::new(format!(
                        "{node} where true or false belongs"
                    )));
                }
            },
            Kind::Double => out.extend_from_slice(&double(node)?.to_le_bytes()),
            Kind::Float => out.extend_from_slice(&float(node)?.to_le_bytes()),
            Kind::Int32 => encode_varint(i64::from(integer::<i32>(node)?).cast_unsigned(), out),
            Kind::Int64 => encode_varint(integer::<i64>(node)?.cast_unsigned(), out),
            Kind::Uint32 => encode_varint(integer::<u32>(node)?.into(), out),
            Kind::Uint64 => encode_varint(integer(node)?, out),
            Kind::Sint32 => encode_varint(zigzag(integer::<i32>(node)?.into()), out),
            Kind::Sint64 => encode_varint(zigzag(integer(node)?), out),
            Kind::Fixed32 => out.extend_from_slice(&integer::<u32>(node)?.to_le_bytes()),
            Kind::Fixed64 => out.extend_from_slice(&integer::<u64>(node)?.to_le_bytes()),
            Kind::Sfixed32 => out.extend_from_slice(&integer::<i32>(node)?.to_le_bytes()),
            Kind::Sfixed64 => out.extend_from_slice(&integer::<i64>(node)?.to_le_bytes()),
            // Their lengths are not known here.
            Kind::Bytes | Kind::Enum(_) | Kind::Message(_) => {
                debug_assert!(false, "no scalar");
            }
        }
        Ok(())
    }

    fn special(
        &mut self,
        special: Special,
        shape: &'s Shape,
        node: &Node<'a>,
    ) -> Result<(), TreeError> {
        let Some(first) = shape.fields.first() else {
            return Ok(());
        };
        match (special, node) {
            (Special::Timestamp, Node::Text(text)) => match names::parse_timestamp(text) {
                Some(timestamp) => timestamp.encode_raw(&mut self.out),
                None => {
                    return Err(TreeError::new(format!(
                        "{node} is no time as RFC 3339 writes it"
                    )));
                }
            },
            (Special::Duration, Node::Text(text)) => match names::parse_duration(text) {
                Some(duration) => duration.encode_raw(&mut self.out),
                None => {
                    return Err(TreeError::new(format!(
                        "{node} is no duration such as \"1.5s\""
                    )));
                }
            },
            (Special::FieldMask, Node::Text(text)) => match names::parse_field_mask(text) {
                Some(paths) => prost_types::FieldMask { paths }.encode_raw(&mut self.out),
                None => {
                    return Err(TreeError::new(format!(
                        "{node} is no list of paths in camel case"
                    )));
                }
            },
            (Special::Timestamp | Special::Duration | Special::FieldMask, node) => {
                return Err(TreeError::new(format!("{node} where text belongs")));
            }
            (Special::Any, Node::Map) => return self.any(shape),
            (Special::Any, node) => {
                return Err(TreeError::new(format!("{node} where an object belongs")));
            }
            (Special::Value, node) => return self.dynamic(shape, node),
            (Special::Struct | Special::ListValue | Special::Wrapper, node) => {
                let base = self.seen.len();
                self.field(base, 0, first, node)?;
                self.seen.truncate(base);
            }
        }
        Ok(())
    }

    /// A `google.protobuf.Value`, which may be anything.
    fn dynamic(&mut self, shape: &'s Shape, node: &Node<'a>) -> Result<(), TreeError> {
        let number = match node {
            Node::Null => 1,
            Node::Int(_) | Node::Uint(_) | Node::Float(_) => 2,
            Node::Text(_) => 3,
            Node::Bool(_) => 4,
            Node::Map => 5,
            Node::Array => 6,
            Node::Bytes(_) => return Err(TreeError::new("bytes where a Value belongs")),
        };
        if let Node::Float(value) = node
            && !value.is_finite()
        {
            return Err(TreeError::new("a Value that is not finite"));
        }
        match shape.fields.iter().find(|field| field.number == number) {
            Some(field) => self.tagged(number, field.kind, node),
            None => Ok(()),
        }
    }

    /// A message of any type, whose name may stand behind its fields.
    fn any(&mut self, shape: &'s Shape) -> Result<(), TreeError> {
        self.any_depth += 1;
        if self.any_depth > MAX_ANY {
            return Err(TreeError::new(format!(
                "more than {MAX_ANY} Any inside each other"
            )));
        }
        let Some(url) = self.find_type()? else {
            // An Any of nothing is an empty object.
            while self.reader.key()?.is_some() {
                let node = self.reader.value()?;
                self.skip(&node)?;
            }
            self.any_depth -= 1;
            return Ok(());
        };
        let id = type_of_url(self.shapes, &url)?;
        let kind_of = |number| {
            shape
                .fields
                .iter()
                .find(|field| field.number == number)
                .map(|field| field.kind)
        };
        if kind_of(1) != Some(Kind::String) || kind_of(2) != Some(Kind::Bytes) {
            return Err(TreeError::new("an Any that is none in the schema"));
        }
        encode_key(1, WireType::LengthDelimited, &mut self.out);
        self.scalar(Kind::String, &Node::Text(url))?;
        encode_key(2, WireType::LengthDelimited, &mut self.out);
        let mark = self.begin();
        let inner = self.shapes.message(id);
        if inner.special.is_some() {
            let mut is_given = false;
            while let Some(key) = self.reader.key()? {
                let node = self.reader.value()?;
                if key == "value" && !std::mem::replace(&mut is_given, true) {
                    self.message(id, &node)?;
                } else {
                    self.skip(&node)?;
                }
            }
            if !is_given {
                return Err(TreeError::new("an Any without its `value`"));
            }
        } else {
            self.fields(inner, true)?;
        }
        self.end(mark);
        self.any_depth -= 1;
        Ok(())
    }

    /// Looks ahead in an `Any` for the address of its type.
    fn find_type(&mut self) -> Result<Option<Cow<'a, str>>, TreeError> {
        let here = self.reader.clone();
        let mut found = None;
        while let Some(key) = self.reader.key()? {
            let node = self.reader.value()?;
            if key == "@type" {
                let Node::Text(url) = node else {
                    return Err(TreeError::new(format!(
                        "{node} where the type of an Any belongs"
                    )));
                };
                found = Some(url);
                break;
            }
            self.skip(&node)?;
        }
        self.reader = here;
        Ok(found)
    }

    /// Reads over the rest of a value.
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

    fn begin(&mut self) -> Mark {
        self.out.extend_from_slice(&[0; LEN_ROOM]);
        Mark(self.out.len())
    }

    /// Fills a length in. A short one is moved together; a long one keeps its room, as protobuf allows, since to move
    /// it would cost the more the deeper it is nested.
    fn end(&mut self, mark: Mark) {
        let Mark(content) = mark;
        let len = self.out.len().saturating_sub(content);
        let room = content.saturating_sub(LEN_ROOM);
        if let Ok(short @ 0..0x80) = u8::try_from(len) {
            if let Some(first) = self.out.get_mut(room) {
                *first = short;
            }
            self.out.copy_within(content.., room + 1);
            self.out.truncate(room + 1 + len);
            return;
        }
        let mut rest = len;
        for (index, byte) in self.out.iter_mut().skip(room).take(LEN_ROOM).enumerate() {
            let more = if index + 1 < LEN_ROOM { 0x80 } else { 0 };
            *byte = u8::try_from(rest & 0x7f).unwrap_or(0) | more;
            rest >>= 7;
        }
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// A whole number, also as text, or with a fraction of nothing.
fn integer<T: TryFrom<i128>>(node: &Node<'_>) -> Result<T, TreeError> {
    let number = match node {
        Node::Int(value) => Some(i128::from(*value)),
        Node::Uint(value) => Some(i128::from(*value)),
        Node::Float(value) => whole(*value),
        Node::Text(text) => match number_of_text(text) {
            Some(Node::Int(value)) => Some(value.into()),
            Some(Node::Uint(value)) => Some(value.into()),
            Some(Node::Float(value)) => whole(value),
            _ => None,
        },
        _ => None,
    };
    let Some(number) = number else {
        return Err(TreeError::new(format!(
            "{node} where a whole number belongs"
        )));
    };
    T::try_from(number).map_err(|_| TreeError::new(format!("{node} is out of the field's range")))
}

fn whole(value: f64) -> Option<i128> {
    const MAX: f64 = 2e19;
    // Between these bounds, and whole, it is exact.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is whole and within the range"
    )]
    (value.fract() == 0.0 && value.abs() < MAX).then_some(value as i128)
}

fn double(node: &Node<'_>) -> Result<f64, TreeError> {
    let from_number = |node: &Node<'_>| match node {
        Node::Float(value) => Some(*value),
        // To the nearest that a double has, as everywhere in JSON.
        #[expect(clippy::cast_precision_loss, reason = "the nearest is what is wanted")]
        Node::Int(value) => Some(*value as f64),
        #[expect(clippy::cast_precision_loss, reason = "the nearest is what is wanted")]
        Node::Uint(value) => Some(*value as f64),
        _ => None,
    };
    let value = match node {
        Node::Text(text) => match &**text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => number_of_text(text).as_ref().and_then(from_number),
        },
        node => from_number(node),
    };
    value.ok_or_else(|| TreeError::new(format!("{node} where a number belongs")))
}

fn float(node: &Node<'_>) -> Result<f32, TreeError> {
    let value = double(node)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "to the nearest; what is too large is seen below"
    )]
    let single = value as f32;
    if value.is_finite() && single.is_infinite() {
        return Err(TreeError::new(format!(
            "{node} is out of the field's range"
        )));
    }
    Ok(single)
}

/// A number as JSON writes it; `None` where the text is none, or is beyond a double.
pub(in crate::body) fn number_of_text<'a>(text: &str) -> Option<Node<'a>> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let count = |bytes: &[u8]| {
        bytes
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let whole = count(digits);
    let has_leading_zero = whole > 1 && digits.first() == Some(&b'0');
    if whole == 0 || has_leading_zero {
        return None;
    }
    let mut rest = digits.get(whole..)?;
    if rest.is_empty() {
        if let Ok(value) = text.parse() {
            return Some(Node::Int(value));
        }
        if let Ok(value) = text.parse() {
            return Some(Node::Uint(value));
        }
    }
    if let [b'.', fraction @ ..] = rest {
        let len = count(fraction);
        if len == 0 {
            return None;
        }
        rest = fraction.get(len..)?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', digits @ ..] => digits,
            digits => digits,
        };
        let len = count(exponent);
        if len == 0 {
            return None;
        }
        rest = exponent.get(len..)?;
    }
    if !rest.is_empty() {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    value.is_finite().then_some(Node::Float(value))
}
