//! Symbol table: the types that the files define, and name resolution in a scope.

use std::collections::HashMap;

use msip_schema::closest_name;
use prost_types::DescriptorProto;

use super::files::{Files, Origin};
use super::visibility::Visibility;

/// The types of all files, by full name.
#[derive(Debug)]
pub(crate) struct Symbols<'a> {
    types: HashMap<String, Symbol<'a>>,
    visibility: Visibility,
    /// The file that declares MSIP's options.
    options: Option<usize>,
}

/// A message or an enum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Symbol<'a> {
    pub(crate) file: usize,
    pub(crate) node: Node<'a>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Node<'a> {
    Message(&'a DescriptorProto),
    Enum,
}

/// The result of the search for a type.
#[derive(Debug)]
pub(crate) enum Lookup<'s, 'a> {
    Found(&'s str, Symbol<'a>),
    /// It exists in this file, which is not imported.
    NotImported(usize),
    Unknown,
}

impl<'a> Symbols<'a> {
    pub(crate) fn new(files: &'a Files) -> Self {
        let mut types = HashMap::new();
        for (index, file) in files.files.iter().enumerate() {
            let package = file.package();
            for message in &file.descriptor.message_type {
                add_message(&mut types, package, index, message);
            }
            for enumeration in &file.descriptor.enum_type {
                add(&mut types, package, enumeration.name(), index, Node::Enum);
            }
        }
        Self {
            types,
            visibility: Visibility::new(&files.files),
            options: files
                .files
                .iter()
                .position(|file| file.origin == Origin::Options),
        }
    }

    pub(crate) fn get(&self, full: &str) -> Option<(&str, Symbol<'a>)> {
        self.types
            .get_key_value(full)
            .map(|(name, symbol)| (name.as_str(), *symbol))
    }

    /// Resolves a name in a file, inside of this scope (a full name, or a package).
    pub(crate) fn resolve(&self, name: &str, scope: &str, file: usize) -> Lookup<'_, 'a> {
        let mut hidden = None;
        for candidate in candidates(name, scope) {
            if let Some((full, symbol)) = self.get(&candidate) {
                if self.sees(file, symbol.file) {
                    return Lookup::Found(full, symbol);
                }
                hidden = hidden.or(Some(symbol.file));
            }
        }
        hidden.map_or(Lookup::Unknown, Lookup::NotImported)
    }

    /// Whether a file sees the types of another: its own, those of its imports and of what those import publicly.
    pub(crate) fn sees(&self, file: usize, other: usize) -> bool {
        self.visibility.sees(file, other)
    }

    /// Whether a file sees the declarations of MSIP's options.
    pub(crate) fn sees_options(&self, file: usize) -> bool {
        self.options.is_some_and(|options| self.sees(file, options))
    }

    /// The full names of all types that a schema may refer to, sorted.
    pub(crate) fn names(&self, files: &Files) -> Vec<&str> {
        let is_nameable = |symbol: &Symbol<'_>| {
            let known = files
                .files
                .get(symbol.file)
                .is_some_and(|file| file.origin != Origin::Options);
            known && !matches!(symbol.node, Node::Message(message) if is_map_entry(message))
        };
        let mut names: Vec<&str> = self
            .types
            .iter()
            .filter(|(_, symbol)| is_nameable(symbol))
            .map(|(name, _)| name.as_str())
            .collect();
        names.sort_unstable();
        names
    }
}

/// The full names that a name could refer to, from the innermost scope outwards.
pub(crate) fn candidates(name: &str, scope: &str) -> Vec<String> {
    if let Some(full) = name.strip_prefix('.') {
        return vec![full.to_owned()];
    }
    let mut scopes = vec![scope];
    while let Some((outer, _)) = scopes.last().and_then(|scope| scope.rsplit_once('.')) {
        scopes.push(outer);
    }
    let mut found: Vec<String> = scopes
        .iter()
        .filter(|scope| !scope.is_empty())
        .map(|scope| format!("{scope}.{name}"))
        .collect();
    found.push(name.to_owned());
    found
}

/// The suggestion for a misspelt type; names are compared by their last part.
pub(crate) fn meant(name: &str, types: &[&str]) -> Option<String> {
    let last = |full| str::rsplit(full, '.').next().unwrap_or_default();
    let close = closest_name(last(name), types.iter().map(|full| last(full)))?;
    Some(format!("did you mean `{close}`?"))
}

pub(crate) fn is_map_entry(message: &DescriptorProto) -> bool {
    message
        .options
        .as_ref()
        .is_some_and(|options| options.map_entry())
}

/// `scope.name`, or the name alone in no scope.
pub(crate) fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}.{name}")
    }
}

fn add_message<'a>(
    types: &mut HashMap<String, Symbol<'a>>,
    scope: &str,
    file: usize,
    message: &'a DescriptorProto,
) {
    // As deep as the parser allows: 31 levels.
    let full = join(scope, message.name());
    for nested in &message.nested_type {
        add_message(types, &full, file, nested);
    }
    for enumeration in &message.enum_type {
        add(types, &full, enumeration.name(), file, Node::Enum);
    }
    add(types, scope, message.name(), file, Node::Message(message));
}

fn add<'a>(
    types: &mut HashMap<String, Symbol<'a>>,
    scope: &str,
    name: &str,
    file: usize,
    node: Node<'a>,
) {
    types
        .entry(join(scope, name))
        .or_insert(Symbol { file, node });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_for_from_the_inside_out() {
        assert_eq!(
            candidates("B.C", "p.q.A"),
            ["p.q.A.B.C", "p.q.B.C", "p.B.C", "B.C"]
        );
        assert_eq!(candidates(".p.A", "q"), ["p.A"]);
        assert_eq!(candidates("A", ""), ["A"]);
    }
}
