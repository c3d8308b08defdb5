//! A table of variants that is built at run time.

use std::{borrow::Cow, fmt};

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
/// assert_eq!(table.get(2).map(ToString::to_string).as_deref(), Some("note_ind (2)"));
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
    ///
    /// Errors about a message that this table [describes](Self::describe) have the name where it is a `&'static str`, or
    /// where `variant` has it.
    pub fn insert(&mut self, name: impl Into<Cow<'static, str>>, mut variant: Variant) {
        let name = name.into();
        if let Cow::Borrowed(name) = name {
            variant.name = name;
        }
        let row = VariantRow { variant, name };
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

/// Its name and number, as errors and logs show a variant: `echo_req (1)`.
impl fmt::Display for VariantRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.variant.number)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Compression, MsgKind,
        body::{BodyFormat, Encoding, EncodingParams},
    };

    #[test]
    fn an_error_about_a_message_names_its_variant_as_the_table_does() {
        let params = EncodingParams {
            format: BodyFormat::Protobuf,
            compression: Compression::Zstd,
            threshold: 0,
            max_body: 100,
        };
        let encoding = Encoding::new(params, usize::MAX);
        let mut table = VariantTable::new();
        table.insert("echo_req", Variant::new(1, "", MsgKind::Event));
        for (number, text) in [(1, "body of echo_req (1):"), (2, "body of variant 2:")] {
            let body = Bytes::from_static(b"not compressed");
            let mut message =
                UntypedMessage::received(Variant::new(number, "", MsgKind::Event), body);
            message.set_compressed(&encoding);
            let error = table
                .describe(message)
                .body()
                .expect_err("not compressed")
                .to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
