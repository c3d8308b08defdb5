//! Identifiers of Python: one rule for each kind of name, in one place.
//!
//! 1. Messages, enums, fields, oneofs and values are spelled as in the schema. Where all values of an enum begin with the enum's
//!    name, as in `COLOR_RED` of `Color`, that is left out.
//! 2. A member's method is spelled as in the schema; if it is in [`RESERVED_METHODS`], it is `send_<name>`. Its handler is
//!    `on_<name>`.
//! 3. A name that means something else where it is declared, such as a keyword, gets a trailing underscore.
//! 4. A name that Python would read as private to its class, such as `__a`, has one leading underscore.

use std::collections::BTreeSet;

use crate::write::{Case, Escape, Keywords, NameKind, NameTable};

/// Words that are no identifiers anywhere. Soft keywords (`match`, `case`, `type`, `_`) are.
const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// Names that annotations and defaults in the bodies of classes refer to: builtins, and modules that are imported.
const USED_IN_CLASSES: &[&str] = &[
    "Self",
    "abc",
    "bool",
    "bytearray",
    "bytes",
    "classmethod",
    "collections",
    "datetime",
    "dict",
    "float",
    "int",
    "list",
    "memoryview",
    "msip",
    "str",
    "tuple",
];

/// What a module imports from `__future__`.
const ANNOTATIONS: &str = "annotations";

/// What every message has: the attributes of its base class. `unknown_fields` is one of them.
const MESSAGE_ATTRIBUTES: &[&str] = &[
    "from_bytes",
    "from_json",
    "from_value",
    "to_bytes",
    "to_json",
    "to_value",
    "unknown_fields",
    "_fields",
    "_from_tree",
    "_full_name",
    "_keep_unknown",
    "_of_tree",
    "_read",
    "_record_fields",
    "_table",
    "_takes_null",
    "_to_tree",
    "_tree_of",
    "_write",
];

/// What the bodies of methods use besides: local names, and builtins.
const USED_IN_METHODS: &[&str] = &[
    "at",
    "byte",
    "cls",
    "data",
    "depth",
    "end",
    "error",
    "field",
    "fifth",
    "fourth",
    "is_new",
    "isinstance",
    "key",
    "len",
    "limit",
    "message",
    "object",
    "out",
    "raw",
    "second",
    "self",
    "sixth",
    "size",
    "start",
    "tag",
    "third",
    "unknown",
    "value",
    "IndexError",
    "TypeError",
];

/// Attributes of an enum's members, which no value may have as its name.
const ENUM_ATTRIBUTES: &[&str] = &[
    "as_integer_ratio",
    "bit_count",
    "bit_length",
    "conjugate",
    "denominator",
    "from_bytes",
    "imag",
    "is_integer",
    "mro",
    "name",
    "numerator",
    "real",
    "to_bytes",
    "value",
];

/// Names that a member's method cannot have: the base classes of clients and peers have methods of these names.
///
/// The Python package has a test that compares the list with its classes.
pub const RESERVED_METHODS: &[&str] = &[
    "address",
    "attach",
    "clearing",
    "client_type",
    "close",
    "closed",
    "codec",
    "compression",
    "connect",
    "connection",
    "data",
    "disconnect",
    "everyone",
    "handler",
    "headers",
    "id",
    "identity",
    "is_connected",
    "is_resumed",
    "memory",
    "others",
    "peer_type",
    "peers",
    "ping",
    "principal",
    "protocol",
    "publish",
    "reload_tls",
    "request",
    "room",
    "schema_compared",
    "schema_difference",
    "serve_forever",
    "settings",
    "start",
    "stop",
    "subscribe",
    "topic",
    "unsubscribe",
    "url",
    "urls",
    "wait_closed",
    "where",
];

/// Callbacks of a server's handler, whose names no member's handler may have.
pub const SERVER_CALLBACKS: &[&str] = &[
    "on_client_connected",
    "on_client_disconnected",
    "on_client_gone",
    "on_state_cleared",
];

/// Callbacks of a client's handler, whose names no member's handler may have.
pub const CLIENT_CALLBACKS: &[&str] = &[
    "on_closed_by_server",
    "on_connect_failure",
    "on_connected",
    "on_disconnected",
    "on_session_lost",
    "on_state_cleared",
];

const TABLE: NameTable = NameTable {
    keywords: &[
        Keywords {
            words: KEYWORDS,
            escape: Escape::Suffix("_"),
        },
        Keywords {
            words: USED_IN_CLASSES,
            escape: Escape::Suffix("_"),
        },
    ],
};

/// The name of the method that sends a member: `connect_req`, `send_close`.
pub fn method_name(member: &str) -> String {
    let is_taken =
        RESERVED_METHODS.contains(&member) || member.starts_with('_') || is_used_in_classes(member);
    if is_taken {
        format!("send_{}", member.trim_start_matches('_'))
    } else {
        TABLE.escaped(member.to_owned())
    }
}

/// The name of the method that handles a member: `on_connect_req`.
pub fn handler_name(member: &str) -> String {
    format!("on_{member}")
}

fn is_used_in_classes(name: &str) -> bool {
    USED_IN_CLASSES.contains(&name)
}

/// One segment of a package, as a folder and a module.
pub(super) fn segment(segment: &str) -> String {
    let mut name = segment.to_owned();
    while KEYWORDS.contains(&name.as_str()) {
        name.push('_');
    }
    name
}

/// What the names of the tables of short fields begin with; their tag follows.
pub(super) const TAG_TABLE: &str = "_TAG_";

/// A module-level name, such as that of a message or of an imported package.
pub(super) fn module_name(name: &str, taken: &BTreeSet<String>) -> String {
    let is_local = |name: &str| {
        let numbered = name
            .strip_prefix(['v', 'k', 'o'])
            .or_else(|| name.strip_prefix(TAG_TABLE));
        USED_IN_METHODS.contains(&name)
            || numbered
                .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit()))
    };
    free(single_underscore(name), |name| {
        KEYWORDS.contains(&name)
            || USED_IN_CLASSES.contains(&name)
            || is_local(name)
            || name == ANNOTATIONS
            || taken.contains(name)
    })
}

/// A name in the body of a message's class, of a field or of a nested type.
pub(super) fn class_name(name: &str, taken: &BTreeSet<String>) -> String {
    free(single_underscore(name), |name| {
        KEYWORDS.contains(&name)
            || USED_IN_CLASSES.contains(&name)
            || MESSAGE_ATTRIBUTES.contains(&name)
            || taken.contains(name)
    })
}

/// The class of a oneof's member: `Text` for `text`.
pub(super) fn oneof_class(member: &str, taken: &BTreeSet<String>) -> String {
    class_name(&Case::UpperCamel.apply(member), taken)
}

/// The names of an enum's values, in their order.
pub(super) fn value_names<'a>(
    short: &str,
    values: impl Iterator<Item = &'a str> + Clone,
) -> Vec<String> {
    let prefix = format!("{}_", Case::UpperSnake.apply(short));
    let can_be_cut = |value: &str| {
        let rest = value.strip_prefix(&prefix);
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
    };
    let is_cut = values.clone().all(can_be_cut);
    let mut taken = BTreeSet::new();
    values
        .map(|value| {
            let name = if is_cut {
                value.strip_prefix(&prefix).unwrap_or(value)
            } else {
                value
            };
            // Names with an underscore in front are not those of values.
            let name = name.trim_start_matches('_');
            let name = match name.chars().next() {
                None => "VALUE".to_owned(),
                Some(first) if first.is_ascii_digit() => format!("VALUE_{name}"),
                Some(_) => name.to_owned(),
            };
            let name = free(name, |name| {
                KEYWORDS.contains(&name) || ENUM_ATTRIBUTES.contains(&name) || taken.contains(name)
            });
            taken.insert(name.clone());
            name
        })
        .collect()
}

/// What the names of a package's classes begin with: `Fleet` for `fleet.v1`; `is_free` says whether all of them can be had.
pub(super) fn protocol_prefix(package: &str, is_free: impl Fn(&str) -> bool) -> String {
    crate::rust::names::protocol_name(package, |name| !is_free(name))
}

/// The name of a constant: `CONNECT_REQ`.
pub(super) fn constant(name: &str) -> String {
    const CONSTANTS: NameKind = NameKind::new(Case::UpperSnake);
    TABLE.identifier(&CONSTANTS, name)
}

fn single_underscore(name: &str) -> String {
    match name.strip_prefix("__") {
        Some(rest) => format!("_{}", rest.trim_start_matches('_')),
        None => name.to_owned(),
    }
}

/// The name, with as many underscores behind it as it needs to be free.
fn free(mut name: String, is_taken: impl Fn(&str) -> bool) -> String {
    // Ends: each round makes the name longer, and only finitely many names are taken.
    while is_taken(&name) {
        name.push('_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_nothing_else_where_they_are_declared() {
        let taken = BTreeSet::from(["Point".to_owned(), "Point_".to_owned()]);
        for (name, in_module, in_class) in [
            ("user", "user", "user"),
            ("userName", "userName", "userName"),
            ("class", "class_", "class_"),
            ("type", "type", "type"),
            ("match", "match", "match"),
            ("bytes", "bytes_", "bytes_"),
            ("to_json", "to_json", "to_json_"),
            ("data", "data_", "data"),
            ("v1", "v1_", "v1"),
            ("_TAG_10", "_TAG_10_", "_TAG_10"),
            ("__a", "_a", "_a"),
            ("Point", "Point__", "Point__"),
        ] {
            assert_eq!(module_name(name, &taken), in_module, "{name}");
            assert_eq!(class_name(name, &taken), in_class, "{name}");
        }
    }

    #[test]
    fn values_lose_the_name_of_their_enum_where_all_have_it() {
        for (short, values, names) in [
            (
                "Color",
                &["COLOR_RED", "COLOR_BLUE"][..],
                &["RED", "BLUE"][..],
            ),
            ("Color", &["COLOR_RED", "NONE"], &["COLOR_RED", "NONE"]),
            ("Color", &["COLOR_1", "COLOR_2"], &["COLOR_1", "COLOR_2"]),
            (
                "Color",
                &["name", "None", "_1", "__", "mro"],
                &["name_", "None_", "VALUE_1", "VALUE", "mro_"],
            ),
        ] {
            assert_eq!(value_names(short, values.iter().copied()), names);
        }
    }

    #[test]
    fn methods_hide_nothing_of_their_base() {
        for (member, method, handler) in [
            ("connect_req", "connect_req", "on_connect_req"),
            ("close", "send_close", "on_close"),
            ("from", "from_", "on_from"),
            ("float", "send_float", "on_float"),
            ("_call", "send_call", "on__call"),
        ] {
            assert_eq!(method_name(member), method);
            assert_eq!(handler_name(member), handler);
        }
    }
}
