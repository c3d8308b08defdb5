//! Bodies with names: the tree that JSON and MessagePack write, each in its own bytes.
//!
//! A message is a map from field names to values, as the canonical JSON mapping of proto3 has it; the two formats
//! differ only in what a [`TreeWriter`] and a [`TreeReader`] of theirs do with numbers, texts and bytes. Messages
//! become trees and the reverse by way of their protobuf bytes and the [`DescriptorPool`] of their schema, in one pass, so
//! that neither generated code nor the user's types know of it.

mod from_protobuf;
mod length_prefix;
mod number;
mod text_form;
mod to_protobuf;
mod wire_value;

use std::{borrow::Cow, fmt};

use msip_session::wire::Escaped;

pub(super) use from_protobuf::write_tree;
#[cfg(feature = "json")]
pub(super) use number::number_of_text;
pub(super) use to_protobuf::read_tree;

/// How many maps and arrays may stand inside each other (docs/protocol.md, "Limits").
pub(super) const MAX_DEPTH: usize = super::depth::MAX;

/// Writes a tree. Whoever calls it keeps the order: a key before each value of a map, and as many as announced.
pub(super) trait TreeWriter {
    fn null(&mut self);
    fn boolean(&mut self, value: bool);
    /// An integer of 32 bits, signed or not.
    fn int(&mut self, value: i64);
    fn int64(&mut self, value: i64);
    fn uint64(&mut self, value: u64);
    fn float(&mut self, value: f32);
    fn double(&mut self, value: f64);
    fn text(&mut self, value: &str);
    fn bytes(&mut self, value: &[u8]);
    fn begin_map(&mut self, len: usize);
    fn key(&mut self, key: &str);
    fn end_map(&mut self);
    fn begin_array(&mut self, len: usize);
    fn end_array(&mut self);
}

/// What stands at a place of a tree. What is in a map or an array is read from the reader that said so.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// One that is too large for `Int`.
    Uint(u64),
    Float(f64),
    Text(Cow<'a, str>),
    #[cfg_attr(
        not(feature = "msgpack"),
        expect(dead_code, reason = "JSON has only texts")
    )]
    Bytes(&'a [u8]),
    Map,
    Array,
}

/// Reads a tree, in order. It refuses more than [`MAX_DEPTH`] levels, and allocates nothing on a declared length.
///
/// A clone goes on from the same place, on its own.
pub(super) trait TreeReader<'a>: Clone {
    /// The next value. Of a map or an array it reads the beginning: call [`key`](Self::key) or
    /// [`element`](Self::element) until they say that it has ended.
    fn value(&mut self) -> Result<Node<'a>, TreeError>;

    /// The next key of the innermost map, whose value must be read next; `None` at its end.
    fn key(&mut self) -> Result<Option<Cow<'a, str>>, TreeError>;

    /// Whether the innermost array has another element, which must be read next.
    fn element(&mut self) -> Result<bool, TreeError>;

    /// How bytes are written: in text as base64, or as they are.
    fn bytes_of<'n>(node: &'n Node<'a>) -> Result<Cow<'n, [u8]>, TreeError>;

    /// There must be nothing more.
    fn finish(self) -> Result<(), TreeError>;
}

/// Why bytes are not a tree, or a tree not the message, or a message has no tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TreeError {
    /// Where, from the innermost field outwards.
    path: Vec<String>,
    reason: String,
}

impl TreeError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            reason: reason.into(),
        }
    }

    pub(super) fn too_deep() -> Self {
        Self::new(format!("nested deeper than {MAX_DEPTH} levels"))
    }

    /// An `Any` names a type that the schema does not have.
    fn unknown_any(url: &str) -> Self {
        let url = Escaped::with_max_len(url, 96);
        Self::new(format!(
            "an Any of type \"{url}\", which is not in the schema"
        ))
    }

    /// Adds the field that it happened in.
    fn within(mut self, field: &str) -> Self {
        // More would not be shown anyway.
        if self.path.len() < 8 {
            self.path.push(field.to_owned());
        }
        self
    }
}

/// `field.of.field: what is wrong`, fit to be shown.
impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.path.iter().rev().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            write!(f, "{dot}{}", Escaped::with_max_len(name, 64))?;
        }
        if !self.path.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.reason)
    }
}

/// What a node is, in an error's words.
impl fmt::Display for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Uint(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Text(text) => write!(f, "\"{}\"", Escaped::with_max_len(text, 64)),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Map => f.write_str("an object"),
            Self::Array => f.write_str("an array"),
        }
    }
}
