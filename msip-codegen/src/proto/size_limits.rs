//! Size limits: how much a message may hold by value.
//!
//! In Rust a message is stored inside of the one that has it, so a message of two fields, each a message of two fields
//! and so on, doubles with every level. Neither prost nor the compiler finishes with forty levels.

use std::collections::BTreeMap;

use msip_schema::{Cardinality, Code, Diagnostic, FieldType, Span, TypeDef, TypeName, Types};

use super::report::Report;

/// The most fields that a message may hold, those of the messages inside it included.
const MAX_FIELDS: u64 = 100_000;

/// Reports messages that are too large.
pub(crate) fn check(types: &Types, report: &mut Report) {
    let sizes = sizes(types);
    let is_large = |name: &TypeName| sizes.get(name).is_some_and(|&size| size > MAX_FIELDS);
    for name in sizes.keys().filter(|name| is_large(name)) {
        let Some(TypeDef::Message(message)) = types.get(*name) else {
            continue;
        };
        // Only the innermost that is too large; whatever holds it is too large because of it.
        if held(types, name).any(is_large) || message.span == Span::NONE {
            continue;
        }
        let text = format!(
            "`{name}` holds more than {MAX_FIELDS} fields, those of the messages inside it included"
        );
        let help = "make some of its fields `repeated`, which are kept apart from it";
        report.push(Diagnostic::new(Code::NESTED_TOO_DEEP, message.span, text).help(help));
    }
}

/// The messages with their sizes: 1 for each field, and the size of the message in it.
fn sizes(types: &Types) -> BTreeMap<&TypeName, u64> {
    let mut done: BTreeMap<&TypeName, u64> = BTreeMap::new();
    for root in types.keys() {
        // Depth first with an explicit stack. A message that is open already is part of a cycle, where prost boxes it.
        let mut stack = vec![(root, false)];
        let mut open = std::collections::BTreeSet::new();
        while let Some((name, is_left)) = stack.pop() {
            if done.contains_key(name) {
                continue;
            }
            if is_left {
                let sizes = held(types, name).map(|inner| done.get(inner).copied().unwrap_or(0));
                let fields = match types.get(name) {
                    Some(TypeDef::Message(message)) => message.fields.len() as u64,
                    _ => 0,
                };
                let size = sizes.fold(fields, u64::saturating_add);
                done.insert(name, size);
                open.remove(name);
            } else if open.insert(name) {
                stack.push((name, true));
                stack.extend(held(types, name).map(|inner| (inner, false)));
            }
        }
    }
    done
}

/// The messages that a message holds by value.
fn held<'a>(types: &'a Types, name: &TypeName) -> impl Iterator<Item = &'a TypeName> {
    let fields = match types.get(name) {
        Some(TypeDef::Message(message)) => message.fields.as_slice(),
        _ => &[],
    };
    fields
        .iter()
        .filter_map(|field| match (&field.ty, &field.cardinality) {
            (FieldType::Message(inner), Cardinality::Implicit | Cardinality::Optional) => {
                Some(inner)
            }
            _ => None,
        })
}
