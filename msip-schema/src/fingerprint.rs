//! The canonical form of a schema and its fingerprint (docs/schema.md, "Canonical form").

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::{
    Cardinality, Direction, EnumType, Field, FieldType, Member, MessageType, Payload, Schema,
    TypeDef, TypeName, Types,
};

/// How often colours are refined: types that differ within so many steps of what they mention are told apart.
const ROUNDS: usize = 64;

impl Schema {
    /// Eight bytes that two peers compare: equal if the schemas mean the same on the wire.
    ///
    /// It covers the package, the members' names, numbers, kinds and exchanges, and what their messages are made
    /// of: names, numbers and types of fields, names and numbers of enum values. It does not cover the names of
    /// messages and enums, comments, the order of the source, reserved numbers, JSON names, and what only one
    /// side needs to know, such as time limits.
    pub fn fingerprint(&self) -> u64 {
        let digest = sha256(&self.canonical_form());
        digest
            .iter()
            .take(8)
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    /// The text whose SHA-256 begins with the fingerprint: ASCII, one fact per line.
    pub fn canonical_form(&self) -> String {
        let colours = Colours::of(&self.types);
        let mut out = format!("msip-schema 1\npackage {}\n", self.package);
        for (heading, envelope, other) in [
            (
                "client-to-server",
                &self.client_to_server,
                &self.server_to_client,
            ),
            (
                "server-to-client",
                &self.server_to_client,
                &self.client_to_server,
            ),
        ] {
            line(&mut out, format_args!("{heading}"));
            let answers = other.members.iter();
            let answers = answers.map(|member| (member.name.as_str(), member.number));
            let answers: BTreeMap<&str, u16> = answers.collect();
            for member in &envelope.members {
                write_member(&mut out, member, &answers, &colours);
            }
        }
        line(&mut out, format_args!("types"));
        for colour in colours.reached_from(self) {
            line(&mut out, format_args!("{colour}"));
        }
        out
    }
}

fn write_member(
    out: &mut String,
    member: &Member,
    answers: &BTreeMap<&str, u16>,
    colours: &Colours<'_>,
) {
    let number_of = |answer: &str| answers.get(answer).copied();
    let exchange = member.exchange.canonical(number_of);
    let payload = match &member.payload {
        Payload::Message(name) => colours.mention(name),
        Payload::Empty => "empty",
    };
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

/// The structure of each type as a hash: what a message or an enum is made of, whatever its name.
///
/// Colour refinement: all types begin with the same colour; in each round the colour of a type becomes the hash of its
/// shape, in which the types that it mentions appear by their colour of the previous round. Types that contain
/// themselves need no special case, and two fields that share a type hash like two fields with equal types.
struct Colours<'a> {
    types: &'a Types,
    by_name: BTreeMap<&'a TypeName, String>,
}

impl<'a> Colours<'a> {
    fn of(types: &'a Types) -> Self {
        let names = types.keys().filter(|name| !name.is_well_known());
        let by_name: BTreeMap<_, _> = names.map(|name| (name, "0".repeat(64))).collect();
        let mut colours = Self { types, by_name };
        // A colour changes only if one that it mentions has changed, so without recursion this ends after as many
        // rounds as types are nested. Refining the others too would give the same result.
        let mut due: BTreeSet<_> = colours.by_name.keys().copied().collect();
        for _ in 0..ROUNDS {
            let refined: Vec<_> = due
                .iter()
                .map(|&name| (name, colours.refine(name)))
                .filter(|(name, colour)| colours.by_name.get(name) != Some(colour))
                .collect();
            let changed: BTreeSet<_> = refined.iter().map(|&(name, _)| name).collect();
            colours.by_name.extend(refined);
            due = types
                .iter()
                .filter(|(name, ty)| {
                    !name.is_well_known() && mentions(ty).any(|name| changed.contains(name))
                })
                .map(|(name, _)| name)
                .collect();
            if due.is_empty() {
                break;
            }
        }
        colours
    }

    fn refine(&self, name: &TypeName) -> String {
        let shape = match self.types.get(name) {
            Some(TypeDef::Message(message)) => self.message_shape(message),
            Some(TypeDef::Enum(ty)) => enum_shape(ty),
            None => String::new(),
        };
        sha256(&shape)
            .iter()
            .fold(String::with_capacity(64), |mut hex, byte| {
                // Writing into a String cannot fail.
                let _ = write!(hex, "{byte:02x}");
                hex
            })
    }

    fn message_shape(&self, message: &MessageType) -> String {
        // A oneof is named by the lowest of its numbers.
        let mut oneofs: BTreeMap<&str, u32> = BTreeMap::new();
        for field in &message.fields {
            if let Some(oneof) = &field.oneof {
                oneofs
                    .entry(oneof)
                    .and_modify(|lowest| *lowest = field.number.min(*lowest))
                    .or_insert(field.number);
            }
        }
        let mut fields: Vec<_> = message.fields.iter().collect();
        fields.sort_by_key(|field| field.number);
        let mut shape = "message\n".to_owned();
        for field in fields {
            let cardinality = cardinality(field, &oneofs);
            let ty = self.field_type(&field.ty);
            line(
                &mut shape,
                format_args!("{} {} {cardinality} {ty}", field.number, field.name),
            );
        }
        shape
    }

    fn field_type<'s>(&'s self, ty: &'s FieldType) -> &'s str {
        match ty {
            FieldType::Message(name) | FieldType::Enum(name) => self.mention(name),
            scalar => scalar.scalar_name().unwrap_or_default(),
        }
    }

    /// A type as others refer to it: well-known types by name, all others by colour.
    fn mention<'s>(&'s self, name: &'s TypeName) -> &'s str {
        self.by_name.get(name).map_or(name.as_str(), String::as_str)
    }

    /// The colours of all types that the members reach, sorted, each once.
    fn reached_from(&self, schema: &Schema) -> BTreeSet<&str> {
        let members = [Direction::ClientToServer, Direction::ServerToClient]
            .into_iter()
            .flat_map(|direction| &schema.envelope(direction).members);
        let mut due: Vec<&TypeName> = members
            .filter_map(|member| match &member.payload {
                Payload::Message(name) => Some(name),
                Payload::Empty => None,
            })
            .collect();
        let mut reached = BTreeSet::new();
        let mut colours = BTreeSet::new();
        while let Some(name) = due.pop() {
            let Some(colour) = self.by_name.get(name) else {
                continue;
            };
            if reached.insert(name) {
                colours.insert(colour.as_str());
                due.extend(self.types.get(name).into_iter().flat_map(mentions));
            }
        }
        colours
    }
}

fn cardinality(field: &Field, oneofs: &BTreeMap<&str, u32>) -> String {
    let lowest = field.oneof.as_deref().and_then(|oneof| oneofs.get(oneof));
    match (&field.cardinality, lowest, &field.ty) {
        (Cardinality::Repeated, ..) => "repeated".to_owned(),
        (Cardinality::Map(key), ..) => format!("map:{}", key.scalar_name().unwrap_or_default()),
        (_, Some(lowest), _) => format!("oneof:{lowest}"),
        (Cardinality::Optional, ..) | (_, _, FieldType::Message(_)) => "optional".to_owned(),
        (Cardinality::Implicit, ..) => "implicit".to_owned(),
    }
}

fn enum_shape(ty: &EnumType) -> String {
    let mut values: Vec<_> = ty
        .values
        .iter()
        .map(|value| (value.number, value.name.as_str()))
        .collect();
    values.sort_unstable();
    let mut shape = "enum\n".to_owned();
    for (number, name) in values {
        line(&mut shape, format_args!("{number} {name}"));
    }
    shape
}

/// The types that a type mentions.
fn mentions(ty: &TypeDef) -> impl Iterator<Item = &TypeName> {
    let fields: &[Field] = match ty {
        TypeDef::Message(message) => &message.fields,
        TypeDef::Enum(_) => &[],
    };
    fields.iter().filter_map(|field| match &field.ty {
        FieldType::Message(name) | FieldType::Enum(name) => Some(name),
        _ => None,
    })
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = writeln!(out, "{text}");
}

fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
