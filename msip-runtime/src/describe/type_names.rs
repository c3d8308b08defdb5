//! Names of types in a derived schema, chosen so that the schema can be written as a `.proto` file.
//!
//! Rust types of one protocol may have the same name, in different modules. In a `.proto` file all of them, and the values
//! of enums, are names of one package. Names of types are no part of the fingerprint, so they are what yields; names of
//! values are a part of it.

use std::any::TypeId;
use std::collections::{HashMap, HashSet};

use msip_schema::TypeName;

/// Names that generated code has beside the messages of the package.
///
/// The tests of the derives compare them with those of the code generator.
const RESERVED: [&str; 9] = [
    "ClientToServer",
    "ServerToClient",
    "SendClientToServer",
    "HandleClientToServer",
    "SendServerToClient",
    "HandleServerToClient",
    "BroadcastServerToClient",
    "PushClientToServer",
    "PushServerToClient",
];

/// The names of a package.
#[derive(Debug)]
pub(super) struct TypeNames {
    package: String,
    by_id: HashMap<TypeId, TypeName>,
    /// The names of the package as a `.proto` file spells them: types and values of enums.
    symbols: HashSet<String>,
    /// The names of types without case and underscores, since a language may write them in its own way.
    folded: HashSet<String>,
}

impl TypeNames {
    pub(super) fn new(package: &str) -> Self {
        Self {
            package: package.to_owned(),
            by_id: HashMap::new(),
            symbols: HashSet::new(),
            folded: RESERVED.iter().map(|name| folded(name)).collect(),
        }
    }

    /// The name that this type has already.
    pub(super) fn known<T: 'static>(&self) -> Option<TypeName> {
        self.by_id.get(&TypeId::of::<T>()).cloned()
    }

    /// A name for a message, which is `short` where that is free.
    pub(super) fn message<T: 'static>(&mut self, short: &str) -> TypeName {
        let short = self.claim(short, &[]);
        let name = TypeName::new(format!("{}.{short}", self.package));
        self.by_id.insert(TypeId::of::<T>(), name.clone());
        name
    }

    /// A name for an enum with these values, and the message that it is declared in, if there is one.
    ///
    /// The values of an enum are names beside it, so an enum with a value whose name is taken is declared in a message of
    /// its own.
    pub(super) fn enumeration<T: 'static>(
        &mut self,
        short: &str,
        values: &[&str],
    ) -> (TypeName, Option<TypeName>) {
        let package = &self.package;
        let is_taken = |value: &&str| self.symbols.contains(*value) || RESERVED.contains(value);
        let (name, around) = if values.iter().any(is_taken) {
            let package = package.clone();
            let around = self.claim(&format!("{short}Enum"), &[]);
            let around = TypeName::new(format!("{package}.{around}"));
            let own = free(short, |name| values.contains(&name));
            (TypeName::new(format!("{around}.{own}")), Some(around))
        } else {
            let package = package.clone();
            let own = self.claim(short, values);
            self.symbols
                .extend(values.iter().map(|value| (*value).to_owned()));
            (TypeName::new(format!("{package}.{own}")), None)
        };
        self.by_id.insert(TypeId::of::<T>(), name.clone());
        (name, around)
    }

    /// Takes a name of the package that none of `others` has.
    fn claim(&mut self, short: &str, others: &[&str]) -> String {
        let name = free(short, |name| {
            self.symbols.contains(name)
                || self.folded.contains(&folded(name))
                || others.contains(&name)
        });
        self.symbols.insert(name.clone());
        self.folded.insert(folded(&name));
        name
    }
}

/// The name itself, or else with the first number from 2 on with which it is free.
fn free(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(name) {
        return name.to_owned();
    }
    let mut numbered = (2_u32..).map(|number| format!("{name}{number}"));
    // Only finitely many names are taken.
    numbered
        .find(|name| !is_taken(name))
        .unwrap_or_else(|| name.to_owned())
}

/// A name without what differs between languages.
pub(super) fn folded(name: &str) -> String {
    let letters = name.chars().filter(|c| *c != '_');
    letters.map(|c| c.to_ascii_lowercase()).collect()
}
