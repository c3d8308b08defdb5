//! The type of a field's values, as both sides see it.

use super::difference::Breaks;
use crate::{Cardinality, Field, FieldType, MessageType, TypeDef, TypeName, Types};

/// Whether the absence of a field with one value is visible.
pub(super) const fn presence(field: &Field) -> &'static str {
    match (&field.cardinality, &field.ty) {
        (Cardinality::Optional, _) | (_, FieldType::Message(_)) => "optional",
        _ => "implicit",
    }
}

/// The presence of a field with one value, in words.
pub(super) fn presence_in_words(field: &Field) -> &'static str {
    match (&field.oneof, presence(field)) {
        (Some(_), _) => "in a oneof",
        (None, "implicit") => "always there",
        (None, _) => "optional",
    }
}

/// Types of both sides that stand in the same place, and are to be compared.
pub(super) type Pair<'a> = (&'a TypeName, &'a TypeName);

/// What the types of two fields come to.
pub(super) enum Match<'a> {
    /// They are the same.
    Same,
    /// They are, if these types are.
    If(Pair<'a>),
    /// They differ.
    Different(Breaks),
}

/// Compares how many values two fields have, and of which type.
pub(super) fn match_fields<'a>(
    (ours, our_types): (&'a Field, &'a Types),
    (theirs, their_types): (&'a Field, &'a Types),
) -> Match<'a> {
    match (&ours.cardinality, &theirs.cardinality) {
        (Cardinality::Map(our_key), Cardinality::Map(their_key)) => {
            if our_key != their_key {
                return Match::Different(Breaks::All);
            }
        }
        (Cardinality::Repeated, Cardinality::Repeated)
        | (
            Cardinality::Implicit | Cardinality::Optional,
            Cardinality::Implicit | Cardinality::Optional,
        ) => {}
        (Cardinality::Map(key), Cardinality::Repeated) => {
            return entries(key, &ours.ty, &theirs.ty, their_types);
        }
        (Cardinality::Repeated, Cardinality::Map(key)) => {
            return entries(key, &theirs.ty, &ours.ty, our_types);
        }
        _ => return Match::Different(Breaks::All),
    }
    match_types((&ours.ty, our_types), (&theirs.ty, their_types))
}

fn match_types<'a>(
    (ours, our_types): (&'a FieldType, &'a Types),
    (theirs, their_types): (&'a FieldType, &'a Types),
) -> Match<'a> {
    match (ours, theirs) {
        (FieldType::Message(ours), FieldType::Message(theirs))
        | (FieldType::Enum(ours), FieldType::Enum(theirs)) => {
            match_names((ours, our_types), (theirs, their_types))
        }
        // The same bytes, and every number is a value of an enum. In JSON one is a name.
        (FieldType::Enum(_), FieldType::Int32) | (FieldType::Int32, FieldType::Enum(_)) => {
            Match::Different(Breaks::Names)
        }
        // Among them types that share a form on the wire: a value that is not one of both is read as another one, and no
        // side learns of it.
        (ours, theirs) if ours != theirs => Match::Different(Breaks::All),
        _ => Match::Same,
    }
}

/// Compares two messages, or two enums, by what is known of them.
pub(super) fn match_names<'a>(
    (ours, our_types): (&'a TypeName, &'a Types),
    (theirs, their_types): (&'a TypeName, &'a Types),
) -> Match<'a> {
    let is_known =
        |name: &TypeName, types: &Types| !name.is_well_known() && types.contains_key(name);
    match (is_known(ours, our_types), is_known(theirs, their_types)) {
        (true, true) => Match::If((ours, theirs)),
        // What a well-known type is made of is known to all, so its name says it.
        (false, false) if ours == theirs => Match::Same,
        _ => Match::Different(Breaks::All),
    }
}

/// A map on one side and a list on the other: in protobuf the same, if the list is one of the map's entries.
fn entries<'a>(
    key: &FieldType,
    value: &FieldType,
    entry: &FieldType,
    types: &'a Types,
) -> Match<'a> {
    let entry: Option<&MessageType> = match entry {
        FieldType::Message(name) => match types.get(name) {
            Some(TypeDef::Message(message)) => Some(message),
            _ => None,
        },
        _ => None,
    };
    let is_one = |field: &Field, number, ty: &FieldType| {
        let is_single = matches!(
            field.cardinality,
            Cardinality::Implicit | Cardinality::Optional
        );
        // What messages are made of is not looked into: a map of messages that became a list is too much of a change.
        field.number == number && is_single && field.ty.scalar_name().is_some() && field.ty == *ty
    };
    let is_entry = entry.is_some_and(|entry| match entry.fields.as_slice() {
        [first, second] => {
            (is_one(first, 1, key) && is_one(second, 2, value))
                || (is_one(first, 2, value) && is_one(second, 1, key))
        }
        _ => false,
    });
    Match::Different(if is_entry { Breaks::Names } else { Breaks::All })
}

/// The type of a field in words.
pub(super) fn type_in_words(field: &Field) -> String {
    let ty = match &field.ty {
        FieldType::Message(name) => format!("message `{name}`"),
        FieldType::Enum(name) => format!("enum `{name}`"),
        scalar => scalar.scalar_name().unwrap_or_default().to_owned(),
    };
    match &field.cardinality {
        Cardinality::Repeated => format!("repeated {ty}"),
        Cardinality::Map(key) => format!("map<{}, {ty}>", key.scalar_name().unwrap_or_default()),
        Cardinality::Implicit | Cardinality::Optional => ty,
    }
}
