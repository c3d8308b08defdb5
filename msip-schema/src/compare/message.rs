//! The comparison of two messages, or of two enums.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    difference::{Breaks, Change, Which},
    value::{Match, match_fields, presence_in_words, type_in_words},
    walk::Walk,
};
use crate::{Cardinality, EnumType, Field, MessageType, TypeDef, json_name};

/// Compares the types of a visit. `false` where that takes more steps than are left.
pub(super) fn compare(walk: &mut Walk<'_>, visit: usize) -> bool {
    let Some((our_name, their_name)) = walk.pair(visit) else {
        return true;
    };
    let (ours, theirs) = (walk.ours.types(), walk.theirs.types());
    let (Some(ours), Some(theirs)) = (ours.get(our_name), theirs.get(their_name)) else {
        return true;
    };
    if !walk.take_steps(1 + len(ours) + len(theirs)) {
        return false;
    }
    if our_name != their_name {
        walk.add(visit, None, Breaks::Nothing, || Change::TypeName {
            ours: our_name.to_string(),
            theirs: their_name.to_string(),
        });
    }
    match (ours, theirs) {
        (TypeDef::Message(ours), TypeDef::Message(theirs)) => messages(walk, visit, ours, theirs),
        (TypeDef::Enum(ours), TypeDef::Enum(theirs)) => enums(walk, visit, ours, theirs),
        // A description that calls a type one and declares it as the other.
        _ => walk.add(visit, None, Breaks::All, || Change::TypeName {
            ours: our_name.to_string(),
            theirs: their_name.to_string(),
        }),
    }
    true
}

const fn len(ty: &TypeDef) -> usize {
    match ty {
        TypeDef::Message(message) => message.fields.len(),
        TypeDef::Enum(ty) => ty.values.len(),
    }
}

/// A message's fields by number, by name, and by what they exclude.
struct Fields<'a> {
    by_number: BTreeMap<u32, &'a Field>,
    by_name: BTreeMap<&'a str, &'a Field>,
}

impl<'a> Fields<'a> {
    fn of(message: &'a MessageType) -> Self {
        let fields = message.fields.iter();
        Self {
            by_number: fields.clone().map(|field| (field.number, field)).collect(),
            by_name: fields.map(|field| (field.name.as_str(), field)).collect(),
        }
    }

    /// For each field in a oneof with another one that both sides have, the lowest number of these.
    fn oneofs(&self, common: &BTreeSet<u32>) -> BTreeMap<u32, u32> {
        let mut groups: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (number, field) in &self.by_number {
            if let Some(oneof) = field.oneof.as_deref().filter(|_| common.contains(number)) {
                groups.entry(oneof).or_default().push(*number);
            }
        }
        let groups = groups.into_values().filter(|numbers| numbers.len() > 1);
        groups
            .flat_map(|numbers| {
                let lowest = numbers.first().copied().unwrap_or(0);
                numbers.into_iter().map(move |number| (number, lowest))
            })
            .collect()
    }
}

fn messages<'a>(
    walk: &mut Walk<'a>,
    visit: usize,
    our_message: &'a MessageType,
    their_message: &'a MessageType,
) {
    let (ours, theirs) = (Fields::of(our_message), Fields::of(their_message));
    let mut moved: BTreeSet<&str> = BTreeSet::new();
    for (name, our_field) in &ours.by_name {
        let their_field = theirs.by_name.get(name);
        if let Some(their_field) = their_field.filter(|field| field.number != our_field.number) {
            moved.insert(name);
            walk.add(visit, Some(name), Breaks::Protobuf, || {
                Change::FieldNumber {
                    ours: our_field.number,
                    theirs: their_field.number,
                }
            });
            field(walk, visit, our_field, their_field);
        }
    }
    let is_moved = |field: &Field| moved.contains(field.name.as_str());
    let mut common = BTreeSet::new();
    let numbers: BTreeSet<u32> = ours
        .by_number
        .keys()
        .chain(theirs.by_number.keys())
        .copied()
        .collect();
    for number in numbers {
        let (our_field, their_field) = (ours.by_number.get(&number), theirs.by_number.get(&number));
        match (our_field, their_field) {
            (Some(our_field), Some(their_field))
                if !is_moved(our_field) && !is_moved(their_field) =>
            {
                common.insert(number);
                names(walk, visit, our_field, their_field);
                field(walk, visit, our_field, their_field);
            }
            (our_field, their_field) => {
                for (which, only) in [(Which::Ours, our_field), (Which::Theirs, their_field)] {
                    if let Some(only) = only.filter(|field| !is_moved(field)) {
                        walk.add(visit, Some(&only.name), Breaks::Nothing, || {
                            Change::FieldOnly { which, number }
                        });
                    }
                }
            }
        }
    }
    oneofs(walk, visit, &ours, &theirs, &common);
}

fn names(walk: &mut Walk<'_>, visit: usize, ours: &Field, theirs: &Field) {
    let in_json = |field: &Field| {
        let own = field.json_name.clone();
        own.unwrap_or_else(|| json_name(&field.name))
    };
    let (our_json, their_json) = (in_json(ours), in_json(theirs));
    let number = ours.number;
    if ours.name != theirs.name {
        // Where the name in JSON has stayed, this is what the renamed field is written as.
        let breaks = if our_json == their_json {
            Breaks::Nothing
        } else {
            Breaks::Names
        };
        walk.add(visit, Some(&ours.name), breaks, || Change::FieldName {
            number,
            ours: ours.name.clone(),
            theirs: theirs.name.clone(),
        });
    } else if our_json != their_json {
        // Each side also reads the name of the schema, but writes its own in JSON.
        walk.add(visit, Some(&ours.name), Breaks::Names, || {
            Change::JsonName {
                number,
                ours: our_json,
                theirs: their_json,
            }
        });
    }
}

fn field<'a>(walk: &mut Walk<'a>, visit: usize, ours: &'a Field, theirs: &'a Field) {
    let (our_types, their_types) = (walk.ours.types(), walk.theirs.types());
    match match_fields((ours, our_types), (theirs, their_types)) {
        Match::Same => {}
        Match::If(pair) => walk.visit_field(visit, &ours.name, pair),
        Match::Different(breaks) => {
            walk.add(visit, Some(&ours.name), breaks, || Change::FieldType {
                number: ours.number,
                ours: type_in_words(ours),
                theirs: type_in_words(theirs),
            });
        }
    }
    let is_single = |field: &Field| {
        matches!(
            field.cardinality,
            Cardinality::Implicit | Cardinality::Optional
        )
    };
    let (our_presence, their_presence) = (presence_in_words(ours), presence_in_words(theirs));
    if is_single(ours) && is_single(theirs) && our_presence != their_presence {
        walk.add(visit, Some(&ours.name), Breaks::Nothing, || {
            Change::Presence {
                number: ours.number,
                ours: our_presence,
                theirs: their_presence,
            }
        });
    }
}

/// Compares which fields exclude each other, of those that both sides have.
fn oneofs(
    walk: &mut Walk<'_>,
    visit: usize,
    ours: &Fields<'_>,
    theirs: &Fields<'_>,
    common: &BTreeSet<u32>,
) {
    let (our_oneofs, their_oneofs) = (ours.oneofs(common), theirs.oneofs(common));
    for number in common {
        let (our_oneof, their_oneof) = (our_oneofs.get(number), their_oneofs.get(number));
        let name = ours.by_number.get(number).map(|field| field.name.as_str());
        if our_oneof != their_oneof {
            walk.add(visit, name, Breaks::All, || Change::Oneof {
                number: *number,
                ours: our_oneof.copied(),
                theirs: their_oneof.copied(),
            });
        }
    }
}

fn enums(walk: &mut Walk<'_>, visit: usize, ours: &EnumType, theirs: &EnumType) {
    let by_name = |ty: &EnumType| -> BTreeMap<String, i32> {
        let values = ty.values.iter();
        values
            .map(|value| (value.name.clone(), value.number))
            .collect()
    };
    let by_number = |ty: &EnumType| {
        let mut names: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        for value in &ty.values {
            names
                .entry(value.number)
                .or_default()
                .push(value.name.clone());
        }
        names
    };
    let (our_names, their_names) = (by_name(ours), by_name(theirs));
    let mut moved: BTreeSet<&str> = BTreeSet::new();
    for (name, our_number) in &our_names {
        if let Some(their_number) = their_names.get(name).filter(|number| *number != our_number) {
            moved.insert(name);
            walk.add(visit, None, Breaks::Protobuf, || Change::ValueNumber {
                name: name.clone(),
                ours: *our_number,
                theirs: *their_number,
            });
        }
    }
    let (ours, theirs) = (by_number(ours), by_number(theirs));
    let numbers: BTreeSet<i32> = ours.keys().chain(theirs.keys()).copied().collect();
    for number in numbers {
        let staying = |values: &BTreeMap<i32, Vec<String>>| -> Vec<String> {
            let names = values.get(&number).into_iter().flatten();
            let names = names.filter(|name| !moved.contains(name.as_str()));
            names.cloned().collect()
        };
        let (our_values, their_values) = (staying(&ours), staying(&theirs));
        match (our_values.first(), their_values.first()) {
            (Some(our_first), Some(their_first)) => {
                let sorted = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
                if sorted(&our_values) == sorted(&their_values) {
                    continue;
                }
                // Of several names for one number the first is written, and all are read.
                let is_read = their_values.contains(our_first) && our_values.contains(their_first);
                let breaks = if is_read {
                    Breaks::Nothing
                } else {
                    Breaks::Names
                };
                walk.add(visit, None, breaks, || Change::ValueName {
                    number,
                    ours: our_values.join("`, `"),
                    theirs: their_values.join("`, `"),
                });
            }
            (Some(name), None) => only(walk, visit, Which::Ours, number, name),
            (None, Some(name)) => only(walk, visit, Which::Theirs, number, name),
            (None, None) => {}
        }
    }
}

fn only(walk: &mut Walk<'_>, visit: usize, which: Which, number: i32, name: &str) {
    walk.add(visit, None, Breaks::Nothing, || Change::ValueOnly {
        which,
        number,
        name: name.to_owned(),
    });
}
