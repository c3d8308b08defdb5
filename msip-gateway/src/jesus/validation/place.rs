//! Where a walk through data and schema is, as ajv spells it.

use std::fmt::Write as _;

use super::supported::escape;

/// Where the walk is.
pub(super) struct Place {
    pub(super) data: String,
    pub(super) schema: String,
}

impl Place {
    pub(super) fn below(&self, keyword: &str) -> Self {
        Self {
            data: self.data.clone(),
            schema: format!("{}/{keyword}", self.schema),
        }
    }

    pub(super) fn property(&self, name: &str) -> Self {
        Self {
            data: format!("{}{}", self.data, member(name)),
            schema: format!("{}/properties/{}", self.schema, fragment(name)),
        }
    }

    /// One that the schema does not name, which ajv always spells in brackets.
    pub(super) fn additional(&self, name: &str) -> Self {
        Self {
            data: format!("{}['{name}']", self.data),
            schema: format!("{}/additionalProperties", self.schema),
        }
    }

    pub(super) fn item(&self, index: usize) -> Self {
        Self {
            data: format!("{}[{index}]", self.data),
            schema: format!("{}/items", self.schema),
        }
    }
}

/// A property as JavaScript spells it.
fn member(name: &str) -> String {
    let mut chars = name.chars();
    let starts = chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == '$');
    if starts && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$') {
        format!(".{name}")
    } else {
        format!("['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"))
    }
}

/// A name as a part of a JSON pointer in a URL, as JavaScript's `encodeURIComponent` leaves it.
fn fragment(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in escape(name).bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
