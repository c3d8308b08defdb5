//! Names of types, fields and values: each has a letter or a digit, of which identifiers of every language can be made.

use std::collections::BTreeMap;

use crate::{Code, Diagnostic, Span, TypeDef, Types};

pub(super) fn check(types: &Types, out: &mut Vec<Diagnostic>) {
    for (name, ty) in types.iter().filter(|(name, _)| !name.is_well_known()) {
        check_name(name.short(), ty.span(), "a type", out);
        match ty {
            TypeDef::Message(message) => {
                let mut oneofs: BTreeMap<&str, Span> = BTreeMap::new();
                for field in &message.fields {
                    check_name(&field.name, field.span, "a field", out);
                    if let Some(oneof) = &field.oneof {
                        oneofs.entry(oneof).or_insert(field.span);
                    }
                }
                for (oneof, span) in oneofs {
                    check_name(oneof, span, "a oneof", out);
                }
            }
            TypeDef::Enum(ty) => {
                for value in &ty.values {
                    check_name(&value.name, value.span, "a value", out);
                }
            }
        }
    }
}

/// Protobuf allows `_`.
fn check_name(name: &str, span: Span, what: &str, out: &mut Vec<Diagnostic>) {
    if !name.contains(|c: char| c.is_ascii_alphanumeric()) {
        out.push(
            Diagnostic::new(
                Code::INVALID_NAME,
                span,
                format!("`{name}` cannot name {what}"),
            )
            .help("choose a name with a letter in it"),
        );
    }
}
