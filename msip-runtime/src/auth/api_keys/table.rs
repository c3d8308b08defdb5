//! The keys that a server knows, by their ids.

use std::collections::HashMap;

use super::{
    entry::{ApiKeyEntry, ApiKeyEntryError},
    form,
};

/// How many keys one name may have: one more than one, so that a new key can be handed out before the old one ends.
const MAX_OF_NAME: usize = 2;

/// Every key of a server.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KeyTable {
    entries: HashMap<u64, ApiKeyEntry>,
    /// How many keys each name has.
    names: HashMap<String, usize>,
}

/// What a key turns out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lookup<'a> {
    /// It is this one.
    Found(&'a ApiKeyEntry),
    /// There is no such id.
    UnknownId,
    /// It has the id of this one, and another secret.
    WrongSecret(&'a ApiKeyEntry),
}

impl KeyTable {
    /// Reads the text of a file. An error has the number of its line, from 1.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut table = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                let entry = line
                    .parse()
                    .map_err(|wrong: ApiKeyEntryError| wrong.to_string());
                let pushed = entry.and_then(|entry| table.push(entry));
                pushed.map_err(|wrong| (number, wrong))?;
            }
        }
        Ok(table)
    }

    /// Adds a key.
    pub(super) fn push(&mut self, entry: ApiKeyEntry) -> Result<(), String> {
        entry.check()?;
        if self.entries.contains_key(&entry.id) {
            return Err(format!("the key {:016x} is there twice", entry.id));
        }
        let of_name = self.names.entry(entry.name.clone()).or_default();
        if *of_name >= MAX_OF_NAME {
            let name = &entry.name;
            return Err(format!(
                "`{name}` has {MAX_OF_NAME} keys already, and no more are allowed: remove the older one"
            ));
        }
        *of_name += 1;
        self.entries.insert(entry.id, entry);
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The keys of a user, or of a service, of this name.
    pub(super) fn of_name<'a>(
        &'a self,
        name: &'a str,
        is_service: bool,
    ) -> impl Iterator<Item = &'a ApiKeyEntry> {
        let named = self
            .entries
            .values()
            .filter(move |entry| entry.name == name);
        named.filter(move |entry| entry.is_service() == is_service)
    }

    /// Looks a key up that has this id. It takes the same time whatever it finds.
    pub(super) fn find(&self, id: u64, key: &[u8]) -> Lookup<'_> {
        const NONE: [u8; 32] = [0; 32];
        let hash = form::hash(key);
        let entry = self.entries.get(&id);
        let is_equal = is_equal(&hash, entry.map_or(&NONE, |entry| &entry.hash));
        match entry {
            Some(entry) if is_equal => Lookup::Found(entry),
            Some(entry) => Lookup::WrongSecret(entry),
            None => Lookup::UnknownId,
        }
    }
}

/// Compares in constant time.
fn is_equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let bytes = a.iter().zip(b);
    let difference = bytes.fold(0, |difference, (a, b)| difference | (a ^ b));
    std::hint::black_box(difference) == 0
}
