//! Where the messages of a protocol have text, for dialects whose peers cannot read every text.

use std::collections::HashMap;

use prost::{
    Message as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use prost_types::{DescriptorProto, FileDescriptorSet, field_descriptor_proto::Type};

use super::DialectProtocol;

/// How deep messages may be nested, as everywhere.
const MAX_DEPTH: usize = 100;

/// The fields of an envelope, and of all messages in it, that have text.
#[derive(Debug)]
pub(crate) struct Texts {
    messages: Vec<HashMap<u32, Field>>,
    envelope: usize,
}

#[derive(Debug, Clone, Copy)]
enum Field {
    Text,
    Message(usize),
}

impl Texts {
    /// Of what a server says.
    pub(super) fn of_server(protocol: &DialectProtocol) -> Option<Self> {
        Self::new(protocol, "ServerToClient")
    }

    /// Of what a client says.
    pub(super) fn of_client(protocol: &DialectProtocol) -> Option<Self> {
        Self::new(protocol, "ClientToServer")
    }

    /// `None` where the descriptors are not those of the protocol: nothing is known of its texts then.
    fn new(protocol: &DialectProtocol, envelope: &str) -> Option<Self> {
        let set = FileDescriptorSet::decode((protocol.descriptor_set)()).ok()?;
        let mut all = Vec::new();
        for file in &set.file {
            let scope = match file.package() {
                "" => String::new(),
                package => format!(".{package}"),
            };
            for message in &file.message_type {
                add(&scope, message, &mut all);
            }
        }
        let places: HashMap<&str, usize> = all
            .iter()
            .enumerate()
            .map(|(place, (name, _))| (name.as_str(), place))
            .collect();
        let fields = |message: &DescriptorProto| {
            let fields = message.field.iter().filter_map(|field| {
                let number = u32::try_from(field.number()).ok()?;
                match field.r#type() {
                    Type::String => Some((number, Field::Text)),
                    Type::Message => {
                        let place = places.get(field.type_name())?;
                        Some((number, Field::Message(*place)))
                    }
                    _ => None,
                }
            });
            fields.collect()
        };
        let envelope = *places.get(format!(".{}.{envelope}", protocol.name).as_str())?;
        Some(Self {
            messages: all.iter().map(|(_, message)| fields(message)).collect(),
            envelope,
        })
    }

    /// Whether a text of the body, which this side has encoded, has a NUL character.
    pub(crate) fn have_nul(&self, body: &[u8]) -> bool {
        // Most bodies have no such byte.
        body.contains(&0) && self.find_nul(self.envelope, body, MAX_DEPTH) == Some(true)
    }

    /// `None` where the message cannot be read.
    fn find_nul(&self, message: usize, mut bytes: &[u8], depth: usize) -> Option<bool> {
        let fields = self.messages.get(message)?;
        while !bytes.is_empty() {
            let (number, wire_type) = decode_key(&mut bytes).ok()?;
            let field = fields.get(&number);
            let Some(field) = field.filter(|_| wire_type == WireType::LengthDelimited) else {
                skip_field(wire_type, number, &mut bytes, DecodeContext::default()).ok()?;
                continue;
            };
            let len = usize::try_from(decode_varint(&mut bytes).ok()?).ok()?;
            let (value, rest) = bytes.split_at_checked(len)?;
            bytes = rest;
            let has_nul = match *field {
                Field::Text => value.contains(&0),
                Field::Message(inner) => self.find_nul(inner, value, depth.checked_sub(1)?)?,
            };
            if has_nul {
                return Some(true);
            }
        }
        Some(false)
    }
}

/// Adds a message and those in it, by their full names.
fn add<'a>(
    scope: &str,
    message: &'a DescriptorProto,
    all: &mut Vec<(String, &'a DescriptorProto)>,
) {
    let name = format!("{scope}.{}", message.name());
    for inner in &message.nested_type {
        add(&name, inner, all);
    }
    all.push((name, message));
}
