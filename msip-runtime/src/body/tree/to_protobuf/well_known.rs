//! Well-known types with a JSON form of their own, from a tree to protobuf.

use std::borrow::Cow;

use prost::{
    Message as _,
    encoding::{WireType, encode_key},
};

use super::Encoder;
use crate::body::{
    descriptor_pool::{Kind, MessageDescriptor, WellKnown},
    tree::{Node, TreeError, TreeReader, length_prefix::LengthPrefix, text_form},
};

/// How many `Any` may be nested. Each is searched for its type before it is read.
const MAX_ANY: usize = 4;

impl<'s, 'a, R: TreeReader<'a>> Encoder<'s, R> {
    pub(super) fn well_known(
        &mut self,
        well_known: WellKnown,
        message: &'s MessageDescriptor,
        node: &Node<'a>,
    ) -> Result<(), TreeError> {
        let Some(first) = message.fields.first() else {
            return Ok(());
        };
        match (well_known, node) {
            (WellKnown::Timestamp, Node::Text(text)) => match text_form::parse_timestamp(text) {
                Some(timestamp) => timestamp.encode_raw(&mut self.out),
                None => {
                    return Err(TreeError::new(format!(
                        "{node} is not an RFC 3339 timestamp"
                    )));
                }
            },
            (WellKnown::Duration, Node::Text(text)) => match text_form::parse_duration(text) {
                Some(duration) => duration.encode_raw(&mut self.out),
                None => {
                    return Err(TreeError::new(format!(
                        "{node} is not a duration such as \"1.5s\""
                    )));
                }
            },
            (WellKnown::FieldMask, Node::Text(text)) => match text_form::parse_field_mask(text) {
                Some(paths) => prost_types::FieldMask { paths }.encode_raw(&mut self.out),
                None => {
                    return Err(TreeError::new(format!(
                        "{node} is not a list of camel case paths"
                    )));
                }
            },
            (WellKnown::Timestamp | WellKnown::Duration | WellKnown::FieldMask, node) => {
                return Err(TreeError::expected("text", node));
            }
            (WellKnown::Any, Node::Map) => return self.any(message),
            (WellKnown::Any, node) => {
                return Err(TreeError::expected("an object", node));
            }
            (WellKnown::Value, node) => return self.dynamic(message, node),
            (WellKnown::Struct | WellKnown::ListValue | WellKnown::Wrapper, node) => {
                let base = self.seen.len();
                self.field(base, 0, first, node)?;
                self.seen.truncate(base);
            }
        }
        Ok(())
    }

    /// A `google.protobuf.Value`: any JSON value.
    fn dynamic(
        &mut self,
        message: &'s MessageDescriptor,
        node: &Node<'a>,
    ) -> Result<(), TreeError> {
        let number = match node {
            Node::Null => 1,
            Node::Int(_) | Node::Uint(_) | Node::Float(_) => 2,
            Node::Text(_) => 3,
            Node::Bool(_) => 4,
            Node::Map => 5,
            Node::Array => 6,
            Node::Bytes(_) => return Err(TreeError::expected("a Value", node)),
        };
        if let Node::Float(value) = node
            && !value.is_finite()
        {
            return Err(TreeError::new("a Value that is not finite"));
        }
        match message.fields.iter().find(|field| field.number == number) {
            Some(field) => self.tagged(number, field.kind, node),
            None => Ok(()),
        }
    }

    /// An `Any`, whose `@type` may come after its fields.
    fn any(&mut self, message: &'s MessageDescriptor) -> Result<(), TreeError> {
        self.any_depth += 1;
        if self.any_depth > MAX_ANY {
            return Err(TreeError::new(format!(
                "Any nested deeper than {MAX_ANY} levels"
            )));
        }
        let Some(url) = self.find_type()? else {
            // An empty Any is an empty object.
            while self.reader.key()?.is_some() {
                let node = self.reader.value()?;
                self.skip(&node)?;
            }
            self.any_depth -= 1;
            return Ok(());
        };
        let id = self
            .pool
            .type_of_url(&url)
            .ok_or_else(|| TreeError::unknown_any(&url))?;
        let kind_of = |number| {
            message
                .fields
                .iter()
                .find(|field| field.number == number)
                .map(|field| field.kind)
        };
        if kind_of(1) != Some(Kind::String) || kind_of(2) != Some(Kind::Bytes) {
            return Err(TreeError::new(
                "the schema defines google.protobuf.Any with other fields",
            ));
        }
        encode_key(1, WireType::LengthDelimited, &mut self.out);
        self.scalar(Kind::String, &Node::Text(url))?;
        encode_key(2, WireType::LengthDelimited, &mut self.out);
        let mark = LengthPrefix::begin(&mut self.out);
        let inner = self.pool.message(id);
        if inner.well_known.is_some() {
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
                return Err(TreeError::new("an Any without `value`"));
            }
        } else {
            self.fields(inner, true)?;
        }
        mark.end(&mut self.out);
        self.any_depth -= 1;
        Ok(())
    }

    /// Looks ahead in an `Any` for its type URL.
    fn find_type(&mut self) -> Result<Option<Cow<'a, str>>, TreeError> {
        let here = self.reader.clone();
        let mut found = None;
        while let Some(key) = self.reader.key()? {
            let node = self.reader.value()?;
            if key == "@type" {
                let Node::Text(url) = node else {
                    return Err(TreeError::expected("the type of an Any", &node));
                };
                found = Some(url);
                break;
            }
            self.skip(&node)?;
        }
        self.reader = here;
        Ok(found)
    }
}
