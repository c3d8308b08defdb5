//! The imports of a file.

use std::collections::{BTreeMap, BTreeSet};

/// The names that a file takes from other modules: sorted, each once, and no two called the same.
#[derive(Debug, Clone, Default)]
pub struct Imports {
    /// The local name of each imported one, by module.
    modules: BTreeMap<String, BTreeMap<String, String>>,
    /// All names that mean something in the file.
    taken: BTreeSet<String>,
}

/// One imported name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Import<'a> {
    /// What it is called in its module.
    pub name: &'a str,
    /// What it is called in this file: `name`, or `name` and a number where another one has it already.
    pub local: &'a str,
}

impl Imports {
    /// Reserves names that the file defines itself, before anything is imported.
    pub fn reserve(&mut self, names: impl IntoIterator<Item = String>) {
        self.taken.extend(names);
    }

    /// Imports a name from a module, and returns what it is called in this file.
    pub fn import(&mut self, module: &str, name: &str) -> String {
        let names = self.modules.entry(module.to_owned()).or_default();
        if let Some(local) = names.get(name) {
            return local.clone();
        }
        let mut local = name.to_owned();
        let mut round = 2_u32;
        while !self.taken.insert(local.clone()) {
            local = format!("{name}{round}");
            round += 1;
        }
        names.insert(name.to_owned(), local.clone());
        local
    }

    /// The modules by name, each with what is imported from it, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = Import<'_>>)> {
        self.modules.iter().map(|(module, names)| {
            let names = names.iter().map(|(name, local)| Import { name, local });
            (module.as_str(), names)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_sorted_and_each_is_there_once() {
        let mut imports = Imports::default();
        imports.reserve(["Mine".to_owned()]);
        for (module, name, local) in [
            ("b", "Point", "Point"),
            ("a", "Line", "Line"),
            ("b", "Line", "Line2"),
            ("a", "Line", "Line"),
            ("c", "Line", "Line3"),
            ("a", "Area", "Area"),
            ("a", "Mine", "Mine2"),
        ] {
            assert_eq!(imports.import(module, name), local, "{module}.{name}");
        }
        let all: Vec<String> = imports
            .iter()
            .flat_map(|(module, names)| {
                names.map(move |import| format!("{module}.{}={}", import.name, import.local))
            })
            .collect();
        assert_eq!(
            all,
            [
                "a.Area=Area",
                "a.Line=Line",
                "a.Mine=Mine2",
                "b.Line=Line2",
                "b.Point=Point",
                "c.Line=Line3"
            ]
        );
    }
}
