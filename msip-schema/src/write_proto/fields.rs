//! What stands inside a message.

use std::collections::BTreeSet;

use super::options::{DEPRECATED, bracketed};
use super::{Scope, Text, quoted};
use crate::{Cardinality, Field, FieldType, MessageType, json_name};

impl Scope<'_> {
    pub(super) fn write_fields(&self, message: &MessageType, out: &mut Text) {
        if message.deprecated {
            out.line("option deprecated = true;");
        }
        write_reserved(&message.reserved_numbers, &message.reserved_names, out);
        let mut written = BTreeSet::new();
        for field in &message.fields {
            let Some(oneof) = &field.oneof else {
                self.write_field(field, out);
                continue;
            };
            if !written.insert(oneof) {
                continue;
            }
            let declared = message.oneofs.iter().find(|known| known.name == *oneof);
            out.comment(declared.map_or("", |known| &known.doc));
            out.block(&format!("oneof {oneof}"), |out| {
                let members = message.fields.iter();
                for member in members.filter(|field| field.oneof.as_ref() == Some(oneof)) {
                    self.write_field(member, out);
                }
            });
        }
    }

    fn write_field(&self, field: &Field, out: &mut Text) {
        out.comment(&field.doc);
        let ty = self.type_of(&field.ty);
        let ty = match &field.cardinality {
            Cardinality::Repeated => format!("repeated {ty}"),
            Cardinality::Map(key) => format!("map<{}, {ty}>", self.type_of(key)),
            // Absence of a message, and of a oneof's member, shows anyway.
            Cardinality::Optional
                if field.oneof.is_none() && !matches!(field.ty, FieldType::Message(_)) =>
            {
                format!("optional {ty}")
            }
            Cardinality::Optional | Cardinality::Implicit => ty,
        };
        let mut options = Vec::new();
        if let Some(name) = &field.json_name
            && *name != json_name(&field.name)
        {
            options.push(format!("json_name = {}", quoted(name)));
        }
        if field.deprecated {
            options.push(DEPRECATED.to_owned());
        }
        out.line(&format!(
            "{ty} {} = {}{};",
            field.name,
            field.number,
            bracketed(&options)
        ));
    }

    fn type_of(&self, ty: &FieldType) -> String {
        match ty {
            FieldType::Message(name) | FieldType::Enum(name) => self.mention(name),
            scalar => scalar.scalar_name().unwrap_or_default().to_owned(),
        }
    }
}

/// `reserved 3, 5 to 7;` and `reserved "old";`
pub(super) fn write_reserved(numbers: &[(u32, u32)], names: &[String], out: &mut Text) {
    let numbers = numbers.iter();
    let numbers: Vec<_> = numbers
        .map(|(first, last)| match last {
            last if last == first => first.to_string(),
            536_870_911 => format!("{first} to max"),
            last => format!("{first} to {last}"),
        })
        .collect();
    let names: Vec<_> = names.iter().map(|name| quoted(name)).collect();
    for reserved in [numbers, names] {
        if !reserved.is_empty() {
            out.line(&format!("reserved {};", reserved.join(", ")));
        }
    }
}
