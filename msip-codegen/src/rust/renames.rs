//! New names for what imported files declare and Rust cannot tell apart: others own them, so that their names
//! cannot be changed there.
//!
//! Of two types whose identifiers are the same, the one that is imported gets the number 2 behind its identifier, or the
//! next one that is free; of two fields whose identifiers or accessors are the same, the later one gets `_2`. Only Rust's
//! names change: descriptors, and what goes over the wire, have those of the schema.

use std::collections::{BTreeMap, BTreeSet};

use msip_emit::rust::names::{accessors, field_name, type_name};
use msip_schema::{MessageType, TypeDef, TypeName, Types};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

use super::names::ExternPaths;

/// The new names.
#[derive(Debug, Default)]
pub(crate) struct Renames {
    /// The new short names of types, by their full names.
    types: BTreeMap<String, String>,
    /// The new names of fields, by the full names of their messages and their own.
    fields: BTreeMap<(String, String), String>,
}

impl Renames {
    /// Finds what must be renamed among these types. `is_imported` says whether a type is of an imported file.
    pub(crate) fn new(
        types: &Types,
        is_imported: impl Fn(&str) -> bool,
        externs: &ExternPaths,
    ) -> Self {
        let mut renames = Self::default();
        // The identifiers that are taken in each module.
        let mut taken: BTreeSet<(String, String)> = BTreeSet::new();
        let own = types.iter().filter(|(name, _)| !is_imported(name.as_str()));
        for (name, _) in own {
            taken.insert((module(name), type_name(name.short())));
        }
        for (name, ty) in types.iter().filter(|(name, _)| is_imported(name.as_str())) {
            // Types of another crate have the names that they have there.
            if externs.resolve(name.as_str()).is_some() {
                continue;
            }
            let (module, identifier) = (module(name), type_name(name.short()));
            if !taken.insert((module.clone(), identifier.clone())) {
                let free = (2..)
                    .map(|number| format!("{}{number}", identifier.trim_end_matches('_')))
                    .find(|free| taken.insert((module.clone(), free.clone())));
                let full = name.as_str().to_owned();
                renames.types.extend(free.map(|free| (full, free)));
            }
            if let TypeDef::Message(message) = ty {
                renames.rename_fields(name, message);
            }
        }
        renames
    }

    fn rename_fields(&mut self, name: &TypeName, message: &MessageType) {
        let plain = || message.fields.iter().filter(|field| field.oneof.is_none());
        let oneofs = message
            .fields
            .iter()
            .filter_map(|field| field.oneof.as_deref());
        let mut fields: BTreeSet<String> = oneofs.map(field_name).collect();
        let mut methods: BTreeSet<String> = BTreeSet::new();
        for field in plain() {
            let is_free = |name: &str, fields: &BTreeSet<String>, methods: &BTreeSet<String>| {
                let accessors = accessors(name, &field.ty, &field.cardinality);
                !fields.contains(&field_name(name))
                    && !accessors.iter().any(|accessor| methods.contains(accessor))
            };
            let mut new = field.name.clone();
            let mut number = 2;
            while !is_free(&new, &fields, &methods) {
                new = format!("{}_{number}", field.name);
                number += 1;
            }
            fields.insert(field_name(&new));
            methods.extend(accessors(&new, &field.ty, &field.cardinality));
            if new != field.name {
                let key = (name.as_str().to_owned(), field.name.clone());
                self.fields.insert(key, new);
            }
        }
    }

    /// The full name with which Rust's names are made.
    pub(crate) fn full(&self, full: &str) -> String {
        let mut new = String::with_capacity(full.len());
        let mut old_len = 0;
        for part in full.split('.') {
            if old_len > 0 {
                old_len += 1;
                new.push('.');
            }
            old_len += part.len();
            let renamed = full.get(..old_len).and_then(|old| self.types.get(old));
            new.push_str(renamed.map_or(part, String::as_str));
        }
        new
    }

    /// The types by their new names.
    pub(crate) fn types(&self, types: &Types) -> Types {
        let renamed = types.iter().map(|(name, ty)| {
            let mut ty = ty.clone();
            if let TypeDef::Message(message) = &mut ty {
                for field in &mut message.fields {
                    let key = (name.as_str().to_owned(), field.name.clone());
                    if let Some(new) = self.fields.get(&key) {
                        field.name.clone_from(new);
                    }
                }
            }
            (TypeName::new(self.full(name.as_str())), ty)
        });
        renamed.collect()
    }

    /// Gives a file's declarations their new names.
    pub(crate) fn apply(&self, file: &mut FileDescriptorProto) {
        if self.types.is_empty() && self.fields.is_empty() {
            return;
        }
        let scope = file.package().to_owned();
        for message in &mut file.message_type {
            self.message(&scope, message);
        }
        for enumeration in &mut file.enum_type {
            self.enumeration(&scope, enumeration);
        }
        for field in &mut file.extension {
            self.mention(field);
        }
    }

    fn message(&self, scope: &str, message: &mut DescriptorProto) {
        let full = join(scope, message.name());
        for nested in &mut message.nested_type {
            self.message(&full, nested);
        }
        for nested in &mut message.enum_type {
            self.enumeration(&full, nested);
        }
        for field in &mut message.field {
            self.mention(field);
            let key = (full.clone(), field.name().to_owned());
            if let Some(new) = self.fields.get(&key) {
                field.name = Some(new.clone());
            }
        }
        for field in &mut message.extension {
            self.mention(field);
        }
        if let Some(new) = self.types.get(&full) {
            message.name = Some(new.clone());
        }
    }

    fn enumeration(&self, scope: &str, enumeration: &mut EnumDescriptorProto) {
        if let Some(new) = self.types.get(&join(scope, enumeration.name())) {
            enumeration.name = Some(new.clone());
        }
    }

    /// The types that a field mentions, which begin with a dot.
    fn mention(&self, field: &mut FieldDescriptorProto) {
        for name in [&mut field.type_name, &mut field.extendee] {
            if let Some(full) = name.as_deref().and_then(|name| name.strip_prefix('.')) {
                *name = Some(format!(".{}", self.full(full)));
            }
        }
    }
}

/// The module of a type.
fn module(name: &TypeName) -> String {
    let scope = name.as_str().strip_suffix(name.short()).unwrap_or("");
    let modules: Vec<String> = scope.split('.').map(field_name).collect();
    modules.join("::")
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}.{name}")
    }
}
