//! Messages and enums.

use std::collections::BTreeSet;

use super::options::{DEPRECATED, bracketed};
use super::scope::Scope;
use super::text::{Text, quoted};
use crate::{Cardinality, EnumType, Field, FieldType, MessageType, TypeDef, TypeName, json_name};

/// Writes a type and those declared in it.
pub(super) fn write(scope: &Scope<'_>, name: &TypeName, out: &mut Text) {
    match scope.schema.types().get(name) {
        Some(TypeDef::Message(message)) => {
            out.comment(&message.doc);
            out.block(&format!("message {}", name.short()), |out| {
                for (index, nested) in scope.children(name.as_str()).iter().enumerate() {
                    if index > 0 {
                        out.blank();
                    }
                    write(scope, nested, out);
                }
                write_fields(scope, message, out);
            });
        }
        Some(TypeDef::Enum(ty)) => write_enum(name, ty, out),
        None => {}
    }
}

fn write_fields(scope: &Scope<'_>, message: &MessageType, out: &mut Text) {
    if message.deprecated {
        out.line("option deprecated = true;");
    }
    write_reserved(&message.reserved_numbers, &message.reserved_names, out);
    let mut written = BTreeSet::new();
    for field in &message.fields {
        let Some(oneof) = &field.oneof else {
            write_field(scope, field, out);
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
                write_field(scope, member, out);
            }
        });
    }
}

fn write_field(scope: &Scope<'_>, field: &Field, out: &mut Text) {
    out.comment(&field.doc);
    let ty = type_of(scope, &field.ty);
    let ty = match &field.cardinality {
        Cardinality::Repeated => format!("repeated {ty}"),
        Cardinality::Map(key) => format!("map<{}, {ty}>", type_of(scope, key)),
        // The absence of a message, and of a member of a oneof, is visible anyway.
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
    if field.expanded {
        options.push("packed = false".to_owned());
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

fn type_of(scope: &Scope<'_>, ty: &FieldType) -> String {
    match ty {
        FieldType::Message(name) | FieldType::Enum(name) => scope.mention(name),
        scalar => scalar.scalar_name().unwrap_or_default().to_owned(),
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

fn write_enum(name: &TypeName, ty: &EnumType, out: &mut Text) {
    out.comment(&ty.doc);
    out.block(&format!("enum {}", name.short()), |out| {
        let mut seen = BTreeSet::new();
        if !ty.values.iter().all(|value| seen.insert(value.number)) {
            out.line("option allow_alias = true;");
        }
        if ty.deprecated {
            out.line("option deprecated = true;");
        }
        // proto3 wants the value 0 first.
        let (zero, others): (Vec<_>, Vec<_>) =
            ty.values.iter().partition(|value| value.number == 0);
        for value in zero.into_iter().chain(others) {
            out.comment(&value.doc);
            let options: &[String] = if value.deprecated {
                &[DEPRECATED.to_owned()]
            } else {
                &[]
            };
            out.line(&format!(
                "{} = {}{};",
                value.name,
                value.number,
                bracketed(options)
            ));
        }
    });
}
