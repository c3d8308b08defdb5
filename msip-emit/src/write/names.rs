//! Names of a schema as identifiers of a language.

use heck::{
    ToLowerCamelCase as _, ToShoutySnakeCase as _, ToSnakeCase as _, ToUpperCamelCase as _,
};

/// A case convention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// `connect_req`
    Snake,
    /// `ConnectReq`
    UpperCamel,
    /// `connectReq`
    LowerCamel,
    /// `CONNECT_REQ`
    UpperSnake,
}

impl Case {
    /// The name in this case. A result that is empty or begins with a digit gets a leading underscore.
    #[must_use]
    pub fn apply(self, name: &str) -> String {
        let name = match self {
            Self::Snake => name.to_snake_case(),
            Self::UpperCamel => name.to_upper_camel_case(),
            Self::LowerCamel => name.to_lower_camel_case(),
            Self::UpperSnake => name.to_shouty_snake_case(),
        };
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            format!("_{name}")
        } else {
            name
        }
    }
}

/// The rules for one kind of identifier, such as methods or types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameKind {
    /// The case.
    pub case: Case,
    /// What each identifier begins with, behind the conversion of its case.
    pub prefix: &'static str,
    /// Identifiers, in this case and without `prefix`, that something else has already.
    pub taken: &'static [&'static str],
    /// What an identifier of those begins with instead.
    pub taken_prefix: &'static str,
}

impl NameKind {
    /// Identifiers in a case, without prefixes.
    #[must_use]
    pub const fn new(case: Case) -> Self {
        Self {
            case,
            prefix: "",
            taken: &[],
            taken_prefix: "",
        }
    }
}

/// All identifiers that a language makes of a schema's names: its keywords and what becomes of them.
///
/// Kinds of identifiers are separate [`NameKind`]s, which a language keeps next to its table.
///
/// ```
/// use msip_emit::write::{Case, Escape, Keywords, NameKind, NameTable};
///
/// const PYTHON: NameTable =
///     NameTable { keywords: &[Keywords { words: &["class", "from", "None"], escape: Escape::Suffix("_") }] };
/// const METHODS: NameKind = NameKind { taken: &["close"], taken_prefix: "send_", ..NameKind::new(Case::Snake) };
/// assert_eq!(PYTHON.identifier(&METHODS, "ConnectReq"), "connect_req");
/// assert_eq!(PYTHON.identifier(&METHODS, "from"), "from_");
/// assert_eq!(PYTHON.identifier(&METHODS, "close"), "send_close");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameTable {
    /// The words that cannot be identifiers, in groups.
    pub keywords: &'static [Keywords],
}

/// Words that cannot be identifiers as they are, and what becomes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keywords {
    /// The words.
    pub words: &'static [&'static str],
    /// What becomes of each.
    pub escape: Escape,
}

/// How a keyword is made an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// By something in front of it.
    Prefix(&'static str),
    /// By something behind it.
    Suffix(&'static str),
}

impl NameTable {
    /// The identifier of a name.
    #[must_use]
    pub fn identifier(&self, kind: &NameKind, name: &str) -> String {
        let mut identifier = kind.case.apply(name);
        if kind.taken.contains(&identifier.as_str()) {
            identifier.insert_str(0, kind.taken_prefix);
        }
        identifier.insert_str(0, kind.prefix);
        self.escaped(identifier)
    }

    /// An identifier in the place of one that may be a keyword.
    #[must_use]
    pub fn escaped(&self, identifier: String) -> String {
        let escape = self
            .keywords
            .iter()
            .find(|keywords| keywords.words.contains(&identifier.as_str()))
            .map(|keywords| keywords.escape);
        match escape {
            None => identifier,
            Some(Escape::Prefix(prefix)) => format!("{prefix}{identifier}"),
            Some(Escape::Suffix(suffix)) => format!("{identifier}{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_those_of_the_words() {
        for (name, snake, upper, lower, shouty) in [
            (
                "connect_req",
                "connect_req",
                "ConnectReq",
                "connectReq",
                "CONNECT_REQ",
            ),
            ("HTTPReq", "http_req", "HttpReq", "httpReq", "HTTP_REQ"),
            ("_1st", "_1st", "_1st", "_1st", "_1ST"),
            ("_", "_", "_", "_", "_"),
        ] {
            assert_eq!(Case::Snake.apply(name), snake);
            assert_eq!(Case::UpperCamel.apply(name), upper);
            assert_eq!(Case::LowerCamel.apply(name), lower);
            assert_eq!(Case::UpperSnake.apply(name), shouty);
        }
    }

    #[test]
    fn prefixes_come_before_keywords_are_looked_for() {
        const TABLE: NameTable = NameTable {
            keywords: &[
                Keywords {
                    words: &["self"],
                    escape: Escape::Suffix("_"),
                },
                Keywords {
                    words: &["match", "send_all"],
                    escape: Escape::Prefix("r#"),
                },
            ],
        };
        const METHODS: NameKind = NameKind {
            taken: &["all", "match"],
            taken_prefix: "send_",
            ..NameKind::new(Case::Snake)
        };
        const HANDLERS: NameKind = NameKind {
            prefix: "on_",
            ..NameKind::new(Case::Snake)
        };
        for (kind, name, identifier) in [
            (METHODS, "Self", "self_"),
            (METHODS, "match", "send_match"),
            (METHODS, "all", "r#send_all"),
            (HANDLERS, "match", "on_match"),
        ] {
            assert_eq!(TABLE.identifier(&kind, name), identifier, "{name}");
        }
    }
}
