//! Identifiers of TypeScript: one rule for each kind of name, in one place.
//!
//! 1. Messages and enums keep their names; nested ones have those of what they are nested in before them: `Outer_Inner`.
//! 2. Fields and oneofs are named as in JSON, `userName`; methods are `lowerCamelCase`, handlers `onConnectReq`.
//! 3. The method of a member whose name is in [`RESERVED_METHODS`] is `send<Name>`.
//! 4. An identifier that is taken, by the language, by what generated code uses or by another name, gets a trailing underscore.

use crate::write::{Case, Escape, Keywords, NameKind, NameTable};

/// Names that a member's method cannot have: `Client`, `Peer` and `Broadcast` have methods of these names, or every object has.
///
/// The package has a test that compares the list with its classes.
pub const RESERVED_METHODS: &[&str] = &[
    // What generated methods call.
    "call",
    "callBoth",
    "callStream",
    "send",
    "sendAll",
    "sendStream",
    // What users call, today or some day.
    "clearing",
    "close",
    "closed",
    "connection",
    "disconnect",
    "ping",
    // What every object has, and what would make it a promise.
    "constructor",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "then",
    "toJSON",
    "toLocaleString",
    "toString",
    "valueOf",
];

/// Callbacks of `ServerHandler`, whose names no member's handler may have.
pub const SERVER_CALLBACKS: &[&str] = &[
    "onClientConnected",
    "onClientDisconnected",
    "onClientGone",
    "onStateCleared",
];

/// Callbacks of `ClientHandler`, whose names no member's handler may have.
pub const CLIENT_CALLBACKS: &[&str] = &[
    "onConnected",
    "onDisconnected",
    "onClosedByServer",
    "onConnectFailure",
    "onSessionLost",
    "onStateCleared",
];

/// Words that cannot name a constant or a type, and globals that generated code uses.
const KEYWORDS: &[&str] = &[
    "AsyncIterable",
    "Infinity",
    "Iterable",
    "Map",
    "NaN",
    "Promise",
    "Uint8Array",
    "any",
    "arguments",
    "as",
    "async",
    "await",
    "bigint",
    "boolean",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "declare",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "eval",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "from",
    "function",
    "globalThis",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "let",
    "module",
    "namespace",
    "never",
    "new",
    "null",
    "number",
    "object",
    "of",
    "package",
    "private",
    "protected",
    "public",
    "require",
    "return",
    "static",
    "string",
    "super",
    "switch",
    "symbol",
    "this",
    "throw",
    "true",
    "try",
    "type",
    "typeof",
    "undefined",
    "unknown",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

/// Properties that an object has before anybody sets them.
const OBJECT_PROPERTIES: &[&str] = &[
    "__proto__",
    "constructor",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toJSON",
    "toLocaleString",
    "toString",
    "valueOf",
];

/// The identifiers of TypeScript.
const TYPES: NameTable = NameTable {
    keywords: &[Keywords {
        words: KEYWORDS,
        escape: Escape::Suffix("_"),
    }],
};

/// The properties of messages.
const PROPERTIES: NameTable = NameTable {
    keywords: &[Keywords {
        words: OBJECT_PROPERTIES,
        escape: Escape::Suffix("_"),
    }],
};

/// The name of a message or an enum, from what its full name has behind the package: `Outer_Inner`.
pub fn type_name(path: &str) -> String {
    TYPES.escaped(path.replace('.', "_"))
}

/// The property of a message for a field or a oneof: `userName`.
pub fn property_name(field: &str) -> String {
    let name = msip_schema::json_name(field);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return format!("_{name}");
    }
    PROPERTIES.escaped(name)
}

/// The name of the method that sends a member: `connectReq`, `sendClose`.
pub fn method_name(member: &str) -> String {
    let name = Case::LowerCamel.apply(member);
    if RESERVED_METHODS.contains(&name.as_str()) {
        format!("send{}", Case::UpperCamel.apply(member))
    } else {
        name
    }
}

/// The name of the method that handles a member: `onConnectReq`.
pub fn handler_name(member: &str) -> String {
    const HANDLERS: NameKind = NameKind {
        prefix: "on",
        ..NameKind::new(Case::UpperCamel)
    };
    TYPES.identifier(&HANDLERS, member)
}

/// What the enum's values are called behind the words that all of them begin with, `COLOR_` in an enum `Color`; nothing if they do
/// not, or if nothing that is a name would be left.
pub fn value_prefix<'v>(short: &str, values: impl Iterator<Item = &'v str>) -> String {
    let prefix = format!("{}_", Case::UpperSnake.apply(short));
    let mut values = values;
    let all = values.all(|value| {
        value
            .strip_prefix(&prefix)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
    });
    if all { prefix } else { String::new() }
}

/// The name of a package's file, without its extension: `fleet_v1`.
pub fn file_name(package: &str) -> String {
    if package.is_empty() {
        "_".to_owned()
    } else {
        package.replace('.', "_")
    }
}

/// An identifier with its first letter in lower case.
pub fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(chars).collect()
}
