//! Reads tables of a TOML document, and remembers where each value stands.

use std::{
    borrow::Cow,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    error::{ConfigError, Kind, Name, Place, shown},
    value,
};

/// A document, and what was found wrong with it.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    pub(super) name: &'t str,
    pub(super) text: &'t str,
    /// Relative paths are of this folder.
    pub(super) folder: &'t Path,
    pub(super) errors: Vec<ConfigError>,
    /// The roles that are given to somebody, with where that stands.
    pub(super) roles: Vec<(String, usize)>,
}

impl Reader<'_> {
    /// The line of a position in the text.
    pub(super) fn place(&self, at: usize) -> Place {
        let before = self.text.get(..at).unwrap_or(self.text);
        Place::Line {
            path: self.name.to_owned(),
            line: before.matches('\n').count() + 1,
        }
    }

    pub(super) fn push(&mut self, kind: Kind) {
        self.errors.push(kind.into());
    }

    /// Something about a position that fits no other kind of error.
    pub(super) fn other(&mut self, at: usize, message: String) {
        let place = self.place(at);
        self.push(Kind::Other { place, message });
    }
}

/// A table with the keys that are known in it.
#[derive(Debug)]
pub(super) struct Section<'r, 'd, 't> {
    pub(super) reader: &'r mut Reader<'t>,
    table: &'d DeTable<'d>,
    /// Where it begins.
    pub(super) at: usize,
}

impl<'r, 'd, 't> Section<'r, 'd, 't> {
    /// Reports every key of the table that is not among those `known`; `within` names the table, such as `[limits]`.
    pub(super) fn new(
        reader: &'r mut Reader<'t>,
        table: &'d DeTable<'d>,
        at: usize,
        within: &str,
        known: &[&str],
    ) -> Self {
        for key in table.keys() {
            let name = key.get_ref();
            if !known.contains(&name.as_ref()) {
                let place = reader.place(key.span().start);
                let what = match within {
                    "" => "key".to_owned(),
                    within => format!("key of {within}"),
                };
                reader.push(Kind::Unknown {
                    place,
                    what,
                    name: shown(name),
                    known: known.iter().map(|name| (*name).to_owned()).collect(),
                });
            }
        }
        Self { reader, table, at }
    }

    pub(super) fn value(&self, name: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.table.get(name)
    }

    /// The value of a key, as text: numbers and truth values as they are written.
    fn text(&mut self, name: &str) -> Option<(Cow<'d, str>, usize)> {
        let value = self.value(name)?;
        let at = value.span().start;
        match value.get_ref() {
            DeValue::String(text) => Some((Cow::Borrowed(text.as_ref()), at)),
            DeValue::Integer(number) => Some((Cow::Owned(number.to_string()), at)),
            DeValue::Boolean(flag) => Some((Cow::Owned(flag.to_string()), at)),
            other => {
                let found = kind_of(other);
                self.wrong(at, name, "a text or a number".to_owned(), found);
                None
            }
        }
    }

    fn wrong(&mut self, at: usize, name: &str, expected: String, found: String) {
        let place = self.reader.place(at);
        let of = Name(Some(name.to_owned()));
        self.reader.push(Kind::Value {
            place,
            of,
            expected,
            found,
        });
    }

    /// The value of a key, if it is there and can be read.
    pub(super) fn read<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, value::Expected>,
    ) -> Option<T> {
        let (text, at) = self.text(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(expected) => {
                self.wrong(at, name, expected, format!("`{}`", shown(&text)));
                None
            }
        }
    }

    pub(super) fn size(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        self.read(name, |text| value::size(text, range))
    }

    pub(super) fn number(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        self.read(name, |text| value::number(text, range))
    }

    pub(super) fn time(&mut self, name: &str, range: RangeInclusive<Duration>) -> Option<Duration> {
        self.read(name, |text| value::time(text, range))
    }

    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        self.read(name, |text| {
            text.parse().map_err(|_| "true or false".to_owned())
        })
    }

    pub(super) fn path(&mut self, name: &str) -> Option<PathBuf> {
        let folder = self.reader.folder;
        self.read(name, |text| value::path(text, folder))
    }

    /// A text that is not empty.
    pub(super) fn string(&mut self, name: &str) -> Option<String> {
        self.read(name, |text| match text {
            "" => Err("a text that is not empty".to_owned()),
            text => Ok(text.to_owned()),
        })
    }

    /// The name of a principal or a role.
    pub(super) fn name(&mut self, name: &str) -> Option<String> {
        self.read(name, |text| match value::is_name(text) {
            true => Ok(text.to_owned()),
            false => Err(value::NAME.to_owned()),
        })
    }

    /// The same of a key that has to be there.
    pub(super) fn needed<T>(&mut self, within: &str, name: &str, value: Option<T>) -> Option<T> {
        if value.is_none() && self.value(name).is_none() {
            let message = format!("{within} needs `{name}`");
            self.reader.other(self.at, message);
        }
        value
    }

    /// A list of texts, each with where it stands. `expected` says of what.
    pub(super) fn texts(&mut self, name: &str, expected: &str) -> Vec<(String, usize)> {
        let Some(value) = self.value(name) else {
            return Vec::new();
        };
        self.texts_of(name, value, expected)
    }

    pub(super) fn texts_of(
        &mut self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        expected: &str,
    ) -> Vec<(String, usize)> {
        let Some(items) = value.get_ref().as_array() else {
            let found = kind_of(value.get_ref());
            self.wrong(value.span().start, name, expected.to_owned(), found);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in items {
            let at = item.span().start;
            match item.get_ref().as_str() {
                Some(text) => texts.push((text.to_owned(), at)),
                None => self.wrong(at, name, expected.to_owned(), kind_of(item.get_ref())),
            }
        }
        texts
    }

    /// A list of names of roles.
    pub(super) fn roles(&mut self, name: &str) -> Vec<String> {
        let mut roles = Vec::new();
        for (role, at) in self.texts(name, "a list of roles, such as [\"operator\"]") {
            match value::is_name(&role) {
                true => {
                    self.reader.roles.push((role.clone(), at));
                    roles.push(role);
                }
                false => self.wrong(
                    at,
                    name,
                    value::NAME.to_owned(),
                    format!("`{}`", shown(&role)),
                ),
            }
        }
        roles
    }

    /// The table of a key.
    pub(super) fn table(&mut self, name: &str) -> Option<(&'d DeTable<'d>, usize)> {
        let value = self.value(name)?;
        let at = value.span().start;
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong(
                at,
                name,
                format!("a table, [{name}]"),
                kind_of(value.get_ref()),
            );
        }
        Some((table?, at))
    }

    /// The tables of a key, `[[name]]`.
    pub(super) fn tables(&mut self, name: &str) -> Vec<(&'d DeTable<'d>, usize)> {
        let Some(value) = self.value(name) else {
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            let found = kind_of(value.get_ref());
            self.wrong(
                value.span().start,
                name,
                format!("tables, [[{name}]]"),
                found,
            );
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            match item.get_ref().as_table() {
                Some(table) => tables.push((table, item.span().start)),
                None => {
                    let found = kind_of(item.get_ref());
                    self.wrong(
                        item.span().start,
                        name,
                        format!("tables, [[{name}]]"),
                        found,
                    );
                }
            }
        }
        tables
    }
}

/// What a value is, where it is not shown.
fn kind_of(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("`{}`", shown(text)),
        DeValue::Integer(number) => format!("`{}`", shown(&number.to_string())),
        DeValue::Float(number) => format!("`{}`", shown(&number.to_string())),
        DeValue::Boolean(flag) => format!("`{flag}`"),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
