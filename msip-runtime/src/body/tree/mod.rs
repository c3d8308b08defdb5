//! The data model of JSON and MessagePack bodies: a tree of named values.
//!
//! A message is a map from field names to values, as in the canonical JSON mapping of proto3. The two formats differ only
//! in how their [`TreeWriter`] and [`TreeReader`] handle numbers, strings and bytes. Messages are converted to trees and
//! back through their protobuf bytes and the descriptor pool of their schema, in one pass, so neither generated code nor
//! the user's types are involved.

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
pub(super) use to_protobuf::{Unknown, read_tree};

/// How deep maps and arrays may be nested (docs/protocol.md, "Limits").
pub(super) const MAX_DEPTH: usize = super::depth::MAX;

/// Writes a tree. The caller keeps the order: a key before each value of a map, and as many entries as announced.
pub(super) trait TreeWriter {
    fn null(&mut self);
    fn boolean(&mut self, value: bool);
    /// A 32-bit integer, signed or unsigned.
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

/// One value of a tree. The contents of a map or an array are read from the reader that returned it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer that is too large for `Int`.
    Uint(u64),
    Float(f64),
    Text(Cow<'a, str>),
    #[cfg_attr(
        not(feature = "msgpack"),
        expect(dead_code, reason = "JSON has no bytes, only strings")
    )]
    Bytes(&'a [u8]),
    Map,
    Array,
}

/// Reads a tree, in order. It refuses more than [`MAX_DEPTH`] levels, and allocates nothing for a declared length.
///
/// A clone continues from the same position, independently.
pub(super) trait TreeReader<'a>: Clone {
    /// The next value. For a map or an array this reads only the start: call [`key`](Self::key) or
    /// [`element`](Self::element) until they report the end.
    fn value(&mut self) -> Result<Node<'a>, TreeError>;

    /// The next key of the innermost map, whose value must be read next; `None` at its end.
    fn key(&mut self) -> Result<Option<Cow<'a, str>>, TreeError>;

    /// Whether the innermost array has another element, which must be read next.
    fn element(&mut self) -> Result<bool, TreeError>;

    /// The bytes of a node: decoded from base64, or as they are, depending on the format.
    fn bytes_of<'n>(node: &'n Node<'a>) -> Result<Cow<'n, [u8]>, TreeError>;

    /// Fails if anything is left.
    fn finish(self) -> Result<(), TreeError>;
}

/// The bytes are not a tree, the tree is not the message, or the message has no tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TreeError {
    /// The field that it happened in and those around it, innermost first.
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

    /// Another kind of value belongs here.
    pub(super) fn expected(what: &str, found: &Node<'_>) -> Self {
        Self::new(format!("expected {what}, found {found}"))
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
        // A longer path would not be shown in full.
        if self.path.len() < 8 {
            self.path.push(field.to_owned());
        }
        self
    }
}

/// `outer.inner: reason`, escaped for display.
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

/// A node in the text of an error.
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
