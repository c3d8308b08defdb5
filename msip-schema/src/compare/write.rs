//! A description as text (docs/schema.md, "Description").

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{Description, value::presence};
use crate::{
    Cardinality, Direction, EnumType, FieldType, Member, MessageType, Payload, TypeDef, TypeName,
    json_name,
};

/// The first line: what it is, and in which version.
pub(super) const FIRST_LINE: &str = "msip-description 1";

impl Description {
    /// The text by which it is sent to a peer: one fact per line, only the types that members reach.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        line(&mut out, format_args!("{FIRST_LINE}"));
        line(&mut out, format_args!("package {}", self.package()));
        for (heading, direction) in [
            ("client-to-server", Direction::ClientToServer),
            ("server-to-client", Direction::ServerToClient),
        ] {
            line(&mut out, format_args!("{heading}"));
            for member in self.members(direction) {
                self.write_member(&mut out, member, direction);
            }
        }
        line(&mut out, format_args!("types"));
        for name in self.reached() {
            match self.types().get(name) {
                Some(TypeDef::Message(message)) => write_message(&mut out, name, message),
                Some(TypeDef::Enum(ty)) => write_enum(&mut out, name, ty),
                None => {}
            }
        }
        out
    }

    fn write_member(&self, out: &mut String, member: &Member, direction: Direction) {
        let payload = match &member.payload {
            Payload::Message(name) => format!(".{name}"),
            Payload::Empty => "empty".to_owned(),
        };
        let exchange = exchange(self, member, direction);
        line(
            out,
            format_args!(
                "{} {} {} {exchange} {payload}",
                member.number,
                member.name,
                member.kind.name()
            ),
        );
    }

    /// The types that members reach, without well-known ones, in the order in which they are mentioned.
    fn reached(&self) -> Vec<&TypeName> {
        let mut seen = BTreeSet::new();
        let mut found: Vec<&TypeName> = Vec::new();
        let mut add = |found: &mut Vec<_>, name| {
            if self.types().contains_key(name) && !name.is_well_known() && seen.insert(name) {
                found.push(name);
            }
        };
        for direction in [Direction::ClientToServer, Direction::ServerToClient] {
            for member in self.members(direction) {
                if let Payload::Message(name) = &member.payload {
                    add(&mut found, name);
                }
            }
        }
        let mut next = 0;
        while let Some(name) = found.get(next).copied() {
            next += 1;
            let Some(TypeDef::Message(message)) = self.types().get(name) else {
                continue;
            };
            for field in &message.fields {
                if let FieldType::Message(name) | FieldType::Enum(name) = &field.ty {
                    add(&mut found, name);
                }
            }
        }
        found
    }
}

/// What comes back, in the words of the canonical form.
pub(super) fn exchange(description: &Description, member: &Member, direction: Direction) -> String {
    let mut answers = description.members(direction.reverse()).iter();
    member.exchange.canonical(|response| {
        let answer = answers.find(|answer| answer.name == response);
        answer.map(|answer| answer.number)
    })
}

fn write_message(out: &mut String, name: &TypeName, message: &MessageType) {
    line(out, format_args!("message {name}"));
    let mut lowest: BTreeMap<&str, u32> = BTreeMap::new();
    for field in &message.fields {
        if let Some(oneof) = &field.oneof {
            let number = lowest.entry(oneof).or_insert(field.number);
            *number = field.number.min(*number);
        }
    }
    let mut fields: Vec<_> = message.fields.iter().collect();
    fields.sort_by_key(|field| field.number);
    for field in fields {
        let oneof = field.oneof.as_deref().and_then(|oneof| lowest.get(oneof));
        let presence = match (&field.cardinality, oneof) {
            (Cardinality::Repeated, _) => "repeated".to_owned(),
            (Cardinality::Map(key), _) => format!("map:{}", key.scalar_name().unwrap_or_default()),
            (_, Some(lowest)) => format!("oneof:{lowest}"),
            _ => presence(field).to_owned(),
        };
        let ty = match &field.ty {
            FieldType::Message(name) => format!(".{name}"),
            // So that a reader that does not have the type knows what it is.
            FieldType::Enum(name) => format!("enum:.{name}"),
            scalar => scalar.scalar_name().unwrap_or_default().to_owned(),
        };
        let _ = write!(out, "{} {} {presence} {ty}", field.number, field.name);
        if let Some(json) = &field.json_name
            && *json != json_name(&field.name)
            && !json.is_empty()
            && !json.contains(char::is_control)
        {
            let _ = write!(out, " {json}");
        }
        out.push('\n');
    }
}

fn write_enum(out: &mut String, name: &TypeName, ty: &EnumType) {
    line(out, format_args!("enum {name}"));
    // In the order of the source: of several names for one number the first is written.
    for value in &ty.values {
        line(out, format_args!("{} {}", value.number, value.name));
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = writeln!(out, "{text}");
}
