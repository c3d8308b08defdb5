//! Name resolution: from a path to the modules that define what it names.

use std::collections::BTreeSet;

use crate::{
    import::Import,
    scope::{Binding, Scope},
    source::{ROOT, Tree},
};

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Destination {
    Module(usize),
    /// An item, or something associated with it, that this module defines.
    Item(usize),
    Macro(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// Several where namespaces share the name.
    Here(BTreeSet<Destination>),
    /// Another crate, or a name of the language.
    Outside,
    /// It should be in this crate, and is not: the segment that was not found.
    Missing(String),
}

/// How the first segment of a path was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// `crate`, `self`, `super`.
    Keyword,
    /// Declared or imported by name.
    Named,
    /// Through a glob import.
    Glob,
}

/// Where a path stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) module: usize,
    /// The blocks around it, the innermost last.
    pub(crate) blocks: &'a [Scope],
}

/// Names that are being looked up: imports may refer to each other.
type Pending = Vec<(usize, String)>;

impl Tree {
    pub(crate) fn resolve(
        &self,
        place: Place<'_>,
        path: &[String],
        absolute: bool,
    ) -> (Resolved, Way) {
        self.walk(place, path, absolute, &mut Vec::new())
    }

    /// A macro by its bare name: macros are also visible in the modules inside of the one that defines them.
    pub(crate) fn resolve_macro(&self, place: Place<'_>, name: &str) -> (Resolved, Way) {
        let path = [name.to_owned()];
        let found = self.resolve(place, &path, false);
        if found.0 != Resolved::Outside {
            return found;
        }
        let mut around = Some(place.module);
        while let Some(module) = around {
            let defines = |candidate: usize| {
                let bindings = self.modules[candidate].scope.names.get(name);
                bindings.is_some_and(|all| all.iter().any(|one| matches!(one, Binding::Macro)))
            };
            let children = (0..self.modules.len()).filter(|&child| {
                self.modules[child].parent == Some(module) && self.modules[child].is_macro_use
            });
            if let Some(definer) = [module].into_iter().chain(children).find(|&m| defines(m)) {
                let one = BTreeSet::from([Destination::Macro(definer)]);
                return (Resolved::Here(one), Way::Glob);
            }
            around = self.modules[module].parent;
        }
        found
    }

    fn walk(
        &self,
        place: Place<'_>,
        path: &[String],
        absolute: bool,
        pending: &mut Pending,
    ) -> (Resolved, Way) {
        let Some(first) = path.first() else {
            // `use {a, b}` at the root of a tree, or `use ::*`.
            return (Resolved::Outside, Way::Named);
        };
        let only = |destination| Resolved::Here(BTreeSet::from([destination]));
        let (mut current, way) = if absolute {
            match self.aliases.contains(first) {
                true => (only(Destination::Module(ROOT)), Way::Keyword),
                false => (Resolved::Outside, Way::Named),
            }
        } else {
            match first.as_str() {
                "crate" => (only(Destination::Module(ROOT)), Way::Keyword),
                "self" => (only(Destination::Module(place.module)), Way::Keyword),
                "super" => match self.modules[place.module].parent {
                    Some(parent) => (only(Destination::Module(parent)), Way::Keyword),
                    None => (Resolved::Missing(first.clone()), Way::Keyword),
                },
                _ => self.first(place, first, pending),
            }
        };
        for segment in &path[1..] {
            let Resolved::Here(destinations) = &current else {
                break;
            };
            current = self.step(destinations, segment, pending);
        }
        (current, way)
    }

    fn first(&self, place: Place<'_>, name: &str, pending: &mut Pending) -> (Resolved, Way) {
        for (depth, block) in place.blocks.iter().enumerate().rev() {
            // An import of a block may be shadowed by nothing further in than itself.
            let outer = Place {
                module: place.module,
                blocks: &place.blocks[..depth],
            };
            if let Some(bindings) = block.names.get(name) {
                let mut found = BTreeSet::new();
                for binding in bindings {
                    if let Binding::Import(import) = binding
                        && let (Resolved::Here(more), _) =
                            self.walk(outer, &import.path, import.absolute, pending)
                    {
                        found.extend(more);
                    }
                }
                let resolved = match found.is_empty() {
                    true => Resolved::Outside,
                    false => Resolved::Here(found),
                };
                return (resolved, Way::Named);
            }
            let (found, _) = self.globs(outer, &block.globs, name, pending);
            if !found.is_empty() {
                return (Resolved::Here(found), Way::Glob);
            }
        }
        let (named, is_outside) = self.named(place.module, name, pending);
        if !named.is_empty() {
            return (Resolved::Here(named), Way::Named);
        }
        if is_outside {
            return (Resolved::Outside, Way::Named);
        }
        let module = &self.modules[place.module];
        let inside = Place {
            module: place.module,
            blocks: &[],
        };
        let key = (place.module, name.to_owned());
        if !pending.contains(&key) {
            pending.push(key);
            let (found, _) = self.globs(inside, &module.scope.globs, name, pending);
            pending.pop();
            if !found.is_empty() {
                return (Resolved::Here(found), Way::Glob);
            }
        }
        if self.aliases.iter().any(|alias| alias == name) {
            let root = BTreeSet::from([Destination::Module(ROOT)]);
            return (Resolved::Here(root), Way::Keyword);
        }
        (Resolved::Outside, Way::Named)
    }

    fn step(&self, from: &BTreeSet<Destination>, segment: &str, pending: &mut Pending) -> Resolved {
        let mut found = BTreeSet::new();
        let mut items = BTreeSet::new();
        let mut is_outside = false;
        for &destination in from {
            let Destination::Module(module) = destination else {
                // A variant, an associated function, ...
                items.insert(destination);
                continue;
            };
            match segment {
                "self" => drop(found.insert(destination)),
                "super" => match self.modules[module].parent {
                    Some(parent) => drop(found.insert(Destination::Module(parent))),
                    None => return Resolved::Missing(segment.to_owned()),
                },
                _ => {
                    let (more, outside) = self.member(module, segment, pending);
                    found.extend(more);
                    is_outside |= outside;
                }
            }
        }
        if !found.is_empty() {
            Resolved::Here(found)
        } else if !items.is_empty() {
            Resolved::Here(items)
        } else if is_outside {
            Resolved::Outside
        } else {
            Resolved::Missing(segment.to_owned())
        }
    }

    /// A name in a module, seen from outside of it; and whether it may be of another crate.
    fn member(
        &self,
        module: usize,
        name: &str,
        pending: &mut Pending,
    ) -> (BTreeSet<Destination>, bool) {
        let (found, is_outside) = self.named(module, name, pending);
        if !found.is_empty() || is_outside {
            return (found, is_outside);
        }
        let key = (module, name.to_owned());
        if pending.contains(&key) {
            return (found, true);
        }
        let scope = &self.modules[module].scope;
        let inside = Place {
            module,
            blocks: &[],
        };
        pending.push(key);
        let (mut found, is_outside) = self.globs(inside, &scope.globs, name, pending);
        pending.pop();
        if found.is_empty() && scope.is_open {
            found.insert(Destination::Item(module));
        }
        (found, is_outside)
    }

    /// What a module declares or imports under this name; and whether one of those is of another crate.
    fn named(
        &self,
        module: usize,
        name: &str,
        pending: &mut Pending,
    ) -> (BTreeSet<Destination>, bool) {
        let mut found = BTreeSet::new();
        let mut is_outside = false;
        let key = (module, name.to_owned());
        let Some(bindings) = self.modules[module].scope.names.get(name) else {
            return (found, false);
        };
        let is_circular = pending.contains(&key);
        for binding in bindings {
            match binding {
                Binding::Item => drop(found.insert(Destination::Item(module))),
                Binding::Macro => drop(found.insert(Destination::Macro(module))),
                Binding::Exported { definer } => drop(found.insert(Destination::Macro(*definer))),
                Binding::Module(child) => drop(found.insert(Destination::Module(*child))),
                Binding::Import(_) if is_circular => {}
                Binding::Import(import) => {
                    let inside = Place {
                        module,
                        blocks: &[],
                    };
                    pending.push(key.clone());
                    match self.walk(inside, &import.path, import.absolute, pending).0 {
                        Resolved::Here(more) => found.extend(more),
                        // A missing one is reported where it is imported.
                        Resolved::Outside | Resolved::Missing(_) => is_outside = true,
                    }
                    pending.pop();
                }
            }
        }
        (found, is_outside)
    }

    fn globs(
        &self,
        place: Place<'_>,
        globs: &[Import],
        name: &str,
        pending: &mut Pending,
    ) -> (BTreeSet<Destination>, bool) {
        let mut found = BTreeSet::new();
        let mut is_outside = false;
        for glob in globs {
            match self.walk(place, &glob.path, glob.absolute, pending).0 {
                Resolved::Here(destinations) => {
                    for destination in destinations {
                        // Variants of an enum are not looked up: its import is a use already.
                        if let Destination::Module(module) = destination {
                            let (more, outside) = self.glob_member(module, name, pending);
                            found.extend(more);
                            is_outside |= outside;
                        }
                    }
                }
                Resolved::Outside | Resolved::Missing(_) => is_outside = true,
            }
        }
        (found, is_outside)
    }

    /// As [`Self::member`], without guessing what macros define: a glob brings only names that are seen.
    fn glob_member(
        &self,
        module: usize,
        name: &str,
        pending: &mut Pending,
    ) -> (BTreeSet<Destination>, bool) {
        let (found, is_outside) = self.named(module, name, pending);
        if !found.is_empty() {
            return (found, is_outside);
        }
        let key = (module, name.to_owned());
        if pending.contains(&key) {
            return (found, is_outside);
        }
        let inside = Place {
            module,
            blocks: &[],
        };
        pending.push(key);
        let result = self.globs(inside, &self.modules[module].scope.globs, name, pending);
        pending.pop();
        result
    }
}
