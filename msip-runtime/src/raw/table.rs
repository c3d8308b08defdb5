//! A table of variants that is built at run time.

use std::borrow::Cow;

use bytes::Bytes;

use super::UntypedMessage;
use crate::{Envelope, Variant};

/// What is known of the variants of one direction of a protocol: from generated code, or put together at run time.
///
/// ```
/// use msip_runtime::{MsgKind, Variant, untyped::VariantTable};
///
/// let mut table = VariantTable::new();
/// table.insert("echo_req", Variant::new(1, "", MsgKind::Command).call(1).timeout_ms(500));
/// table.insert("note_ind", Variant::new(2, "", MsgKind::Event));
/// assert_eq!(table.get(2).map(|row| row.name()), Some("note_ind"));
/// assert_eq!(table.find("echo_req").map(|row| row.variant().number()), Some(1));
/// ```
#[derive(Debug, Clone, Default)]
pub struct VariantTable {
    /// By ascending number.
    rows: Vec<VariantRow>,
}

/// One variant of a table.
#[derive(Debug, Clone)]
pub struct VariantRow {
    variant: Variant,
    name: Cow<'static, str>,
}

impl VariantTable {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self { rows: Vec::new() }
    }

    /// The variants of an envelope of generated code.
    #[must_use]
    pub fn of<E: Envelope>() -> Self {
        let mut table = Self::new();
        for variant in E::VARIANTS {
            table.insert(variant.name, *variant);
        }
        table
    }

    /// Adds a variant under this name, in place of an earlier one of its number.
    pub fn insert(&mut self, name: impl Into<Cow<'static, str>>, variant: Variant) {
        let row = VariantRow {
            variant,
            name: name.into(),
        };
        let number = |row: &VariantRow| row.variant.number;
        match self.rows.binary_search_by_key(&variant.number, number) {
            Ok(place) => {
                if let Some(before) = self.rows.get_mut(place) {
                    *before = row;
                }
            }
            Err(place) => self.rows.insert(place, row),
        }
    }

    /// The variant of this number.
    #[must_use]
    pub fn get(&self, number: u16) -> Option<&VariantRow> {
        let place = self
            .rows
            .binary_search_by_key(&number, |row| row.variant.number)
            .ok()?;
        self.rows.get(place)
    }

    /// The variant of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&VariantRow> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// Every variant, by ascending number.
    pub fn rows(&self) -> impl Iterator<Item = &VariantRow> {
        self.rows.iter()
    }

    /// A message with what this table knows of its variant; unchanged where that is not in the table.
    #[must_use]
    pub fn describe(&self, message: UntypedMessage) -> UntypedMessage {
        match self.get(message.number()) {
            Some(row) => message.with_variant(&row.variant),
            None => message,
        }
    }
}

impl VariantRow {
    /// Its name, as the schema spells it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its kind, its shape, its timeout and its answer.
    #[must_use]
    pub fn variant(&self) -> &Variant {
        &self.variant
    }

    /// A message of it.
    #[must_use]
    pub fn message(&self, body: impl Into<Bytes>) -> UntypedMessage {
        UntypedMessage::new(&self.variant, body)
    }
}
