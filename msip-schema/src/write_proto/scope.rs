//! The names of a schema in its file.

use std::collections::BTreeMap;

use crate::{Schema, TypeName};

/// The types of a schema, and how each is referred to.
pub(super) struct Scope<'a> {
    pub(super) schema: &'a Schema,
    /// The types that are declared in each package or message, by its full name.
    children: BTreeMap<&'a str, Vec<&'a TypeName>>,
}

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
        Self { schema, children }
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
        let is_nested_name = |other: &TypeName| other.short() == first && other != name;
        let is_package_name = self.schema.package().split('.').any(|part| part == first);
        if self.schema.types().keys().any(is_nested_name) || is_package_name {
            format!(".{full}")
        } else {
            relative.to_owned()
        }
    }
}
