//! The names of a schema in its file.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Cardinality, Schema, TypeDef, TypeName, map_entry_name};

/// The types of a schema, and how each is referred to.
pub(super) struct Scope<'a> {
    pub(super) schema: &'a Schema,
    /// The types that are declared in each package or message, by its full name.
    children: BTreeMap<&'a str, Vec<&'a TypeName>>,
    /// How many types have each short name.
    shorts: BTreeMap<&'a str, usize>,
    /// The names of the messages that stand for the entries of maps, which hide others.
    entries: BTreeSet<String>,
}

/// The words that mean something else at the beginning of a field.
const WORDS: [&str; 30] = [
    "bool",
    "bytes",
    "double",
    "enum",
    "extend",
    "extensions",
    "fixed32",
    "fixed64",
    "float",
    "group",
    "int32",
    "int64",
    "map",
    "message",
    "oneof",
    "option",
    "optional",
    "repeated",
    "required",
    "reserved",
    "rpc",
    "sfixed32",
    "sfixed64",
    "sint32",
    "sint64",
    "stream",
    "string",
    "syntax",
    "uint32",
    "uint64",
];

impl<'a> Scope<'a> {
    pub(super) fn new(schema: &'a Schema) -> Self {
        let mut children: BTreeMap<&str, Vec<&TypeName>> = BTreeMap::new();
        for name in schema.types().keys().filter(|name| !name.is_well_known()) {
            let (parent, _) = name.as_str().rsplit_once('.').unwrap_or_default();
            // A type whose parent is unknown is declared in the package.
            let is_there = schema.types().contains_key(&TypeName::new(parent));
            let parent = if is_there { parent } else { schema.package() };
            children.entry(parent).or_default().push(name);
        }
        let mut shorts: BTreeMap<&str, usize> = BTreeMap::new();
        for name in schema.types().keys() {
            *shorts.entry(name.short()).or_default() += 1;
        }
        let fields = schema.types().values().flat_map(|ty| match ty {
            TypeDef::Message(message) => message.fields.as_slice(),
            TypeDef::Enum(_) => &[],
        });
        let maps = fields.filter(|field| matches!(field.cardinality, Cardinality::Map(_)));
        Self {
            schema,
            children,
            shorts,
            entries: maps.map(|field| map_entry_name(&field.name)).collect(),
        }
    }

    pub(super) fn children(&self, parent: &str) -> &[&'a TypeName] {
        self.children.get(parent).map_or(&[], Vec::as_slice)
    }

    /// The shortest name of a type that cannot mean another.
    pub(super) fn mention(&self, name: &TypeName) -> String {
        let full = name.as_str();
        let own = full.strip_prefix(self.schema.package());
        let relative = own.and_then(|rest| rest.strip_prefix('.')).unwrap_or(full);
        let first = relative.split('.').next().unwrap_or(relative);
        let own_count = usize::from(name.short() == first);
        let is_of_another = self
            .shorts
            .get(first)
            .is_some_and(|count| *count > own_count);
        let is_package_name = self.schema.package().split('.').any(|part| part == first);
        let is_hidden = is_package_name || self.entries.contains(first) || WORDS.contains(&first);
        if is_hidden || is_of_another {
            format!(".{full}")
        } else {
            relative.to_owned()
        }
    }
}
