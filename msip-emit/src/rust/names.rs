//! Identifiers of Rust: one rule for each kind of name, in one place.
//!
//! 1. Methods and fields are converted to `snake_case`, variants and types to `UpperCamelCase`.
//! 2. A result that begins with a digit gets a leading underscore.
//! 3. The method of a member whose name is in [`RESERVED_METHODS`] is `send_<name>`.
//! 4. A keyword becomes a raw identifier (`r#match`); `self`, `Self`, `super`, `crate` and `_`, which cannot be
//!    raw, get a trailing underscore, and so does `extern`, as in the messages that prost writes.

use msip_schema::{Cardinality, FieldType};

use crate::write::{Case, Escape, Keywords, NameKind, NameTable};

/// Names that a member's method cannot have: `Client`, `Peer`, `Broadcast`, `Room` and `Sender`, or traits that every user has in
/// scope, have methods of these names, which calls would resolve to instead.
///
/// The runtime has a test that compares the list with its types.
pub const RESERVED_METHODS: &[&str] = &[
    // Client, Peer, Broadcast and their views.
    "with",
    "call",
    "close",
    "ping",
    "connection",
    "id",
    "address",
    "extensions",
    "everyone",
    "others",
    "disconnect",
    "resumed",
    "only",
    "except",
    "peers",
    "send_now",
    "sender",
    "identity",
    "peer",
    "room",
    "rooms",
    "draining",
    "clearing",
    "schema_compared",
    "schema_difference",
    "topic",
    // Room.
    "join",
    "leave",
    "contains",
    "len",
    "is_empty",
    // Sender.
    "flush",
    "buffered",
    // The prelude's traits, `tracing`'s extension traits, and what is derived or implemented for everything.
    "clone",
    "clone_from",
    "clone_into",
    "to_owned",
    "into",
    "try_into",
    "from",
    "try_from",
    "borrow",
    "borrow_mut",
    "as_ref",
    "as_mut",
    "eq",
    "ne",
    "cmp",
    "partial_cmp",
    "lt",
    "le",
    "gt",
    "ge",
    "max",
    "min",
    "clamp",
    "drop",
    "type_id",
    "to_string",
    "default",
    "fmt",
    "hash",
    "instrument",
    "in_current_span",
    "with_subscriber",
];

/// Names of items that are generated in the module of the package's messages.
pub const RESERVED_TYPES: &[&str] = &[
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

/// Callbacks of `HandleClientToServer`, whose names no member's handler may have.
pub const SERVER_CALLBACKS: &[&str] = &[
    "on_client_connected",
    "on_client_disconnected",
    "on_client_gone",
    "on_state_cleared",
];

/// Callbacks of `HandleServerToClient`, whose names no member's handler may have.
pub const CLIENT_CALLBACKS: &[&str] = &[
    "on_connected",
    "on_disconnected",
    "on_closed_by_server",
    "on_connect_failure",
    "on_state_cleared",
];

/// The identifiers of Rust.
const TABLE: NameTable = NameTable {
    keywords: &[
        Keywords {
            words: &["self", "Self", "super", "crate", "extern", "_"],
            escape: Escape::Suffix("_"),
        },
        Keywords {
            words: KEYWORDS,
            escape: Escape::Prefix("r#"),
        },
    ],
};

const METHODS: NameKind = NameKind {
    taken: RESERVED_METHODS,
    taken_prefix: "send_",
    ..NameKind::new(Case::Snake)
};
const TRY_METHODS: NameKind = NameKind {
    prefix: "try_",
    ..METHODS
};
const HANDLERS: NameKind = NameKind {
    prefix: "on_",
    ..NameKind::new(Case::Snake)
};
const FIELDS: NameKind = NameKind::new(Case::Snake);
const TYPES: NameKind = NameKind::new(Case::UpperCamel);

/// The name of the method that sends a member: `connect_req`, `r#match`, `send_close`.
pub fn method_name(member: &str) -> String {
    TABLE.identifier(&METHODS, member)
}

/// The name of the method that sends a one-way member without waiting: `try_message_ind`.
pub fn try_method_name(member: &str) -> String {
    TABLE.identifier(&TRY_METHODS, member)
}

/// The name of the method that handles a member: `on_connect_req`.
pub fn handler_name(member: &str) -> String {
    TABLE.identifier(&HANDLERS, member)
}

/// The name of a member's variant in the envelope's enum: `ConnectReq`.
pub fn variant_name(member: &str) -> String {
    TABLE.identifier(&TYPES, member)
}

/// The name of a field or a module: `user`, `r#type`.
pub fn field_name(field: &str) -> String {
    TABLE.identifier(&FIELDS, field)
}

/// The name of a message or an enum, from the part of its full name after the last dot.
pub fn type_name(short: &str) -> String {
    TABLE.identifier(&TYPES, short)
}

/// The variant of an enum's value, from the short name of the enum: as prost names it, without the name of the enum at its
/// front.
pub fn value_name(short: &str, value: &str) -> String {
    let name = Case::UpperCamel.apply(value);
    match name.strip_prefix(&type_name(short)) {
        Some(rest) if rest.starts_with(char::is_uppercase) => rest.to_owned(),
        _ => name,
    }
}

/// The methods that prost adds to a message for a field.
pub fn accessors(name: &str, ty: &FieldType, cardinality: &Cardinality) -> Vec<String> {
    let name = Case::Snake.apply(name);
    match (ty, cardinality) {
        (FieldType::Message(_), _) => Vec::new(),
        (FieldType::Enum(_), Cardinality::Implicit | Cardinality::Optional) => {
            vec![format!("set_{name}"), name]
        }
        (FieldType::Enum(_), Cardinality::Repeated) => vec![format!("push_{name}"), name],
        (FieldType::Enum(_), Cardinality::Map(_)) => {
            vec![format!("get_{name}"), format!("insert_{name}")]
        }
        (_, Cardinality::Optional) => vec![name],
        _ => Vec::new(),
    }
}

/// The name of the type that represents the protocol of a package: `Fleet` for `fleet.v1`.
///
/// It is the last segment that is not a version. If generated code has that name already, or `taken` returns true for
/// it, `Protocol` is appended.
pub fn protocol_name(package: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut segments = package.rsplit('.');
    let last = segments.clone().next().unwrap_or(package);
    let segment = segments
        .find(|segment| !is_version(segment))
        .unwrap_or(last);
    let mut name = Case::UpperCamel.apply(segment);
    // Ends: each round makes the name longer, and only finitely many names are taken.
    while name == "Self" || RESERVED_TYPES.contains(&name.as_str()) || taken(&name) {
        name.push_str("Protocol");
    }
    name
}

/// Whether a segment of a package is a version by the rules of `buf` and of Google's guides: `v1`, `v2beta1`, `v1p2alpha3`.
fn is_version(segment: &str) -> bool {
    fn digits(text: &str) -> &str {
        text.trim_start_matches(|c: char| c.is_ascii_digit())
    }
    let Some(rest) = segment.strip_prefix('v') else {
        return false;
    };
    let after_major = digits(rest);
    if after_major.len() == rest.len() {
        return false;
    }
    let after_patch = match after_major.strip_prefix('p') {
        Some(patch) if digits(patch).len() < patch.len() => digits(patch),
        _ => after_major,
    };
    let stage = ["alpha", "beta", "test", ""]
        .iter()
        .find_map(|stage| after_patch.strip_prefix(stage));
    stage.is_some_and(|number| digits(number).is_empty())
}

/// The strict and reserved keywords of all editions that may be raw; `union`, `auto` and the like are only
/// keywords in contexts where they cannot be identifiers.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static",
    "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_legal_and_clash_with_nothing() {
        for (member, method, attempt, handler, variant) in [
            (
                "connect_req",
                "connect_req",
                "try_connect_req",
                "on_connect_req",
                "ConnectReq",
            ),
            (
                "ConnectReq",
                "connect_req",
                "try_connect_req",
                "on_connect_req",
                "ConnectReq",
            ),
            ("match", "r#match", "try_match", "on_match", "Match"),
            ("self", "self_", "try_self", "on_self", "Self_"),
            ("crate", "crate_", "try_crate", "on_crate", "Crate"),
            ("extern", "extern_", "try_extern", "on_extern", "Extern"),
            ("close", "send_close", "try_send_close", "on_close", "Close"),
            ("into", "send_into", "try_send_into", "on_into", "Into"),
            ("_1st", "_1st", "try__1st", "on__1st", "_1st"),
            (
                "HTTPReq",
                "http_req",
                "try_http_req",
                "on_http_req",
                "HttpReq",
            ),
        ] {
            assert_eq!(method_name(member), method, "{member}");
            assert_eq!(try_method_name(member), attempt, "{member}");
            assert_eq!(handler_name(member), handler, "{member}");
            assert_eq!(variant_name(member), variant, "{member}");
        }
    }

    #[test]
    fn protocols_are_named_after_the_package() {
        let taken = |name: &str| name == "Chat" || name == "ChatProtocol";
        for (package, expected) in [
            ("fleet", "Fleet"),
            ("fleet.v1", "Fleet"),
            ("acme.fleet_control.v1beta2", "FleetControl"),
            ("fleet.v1p2alpha3", "Fleet"),
            ("v1", "V1"),
            ("acme.vehicle", "Vehicle"),
            ("acme.v2x", "V2x"),
            ("self", "SelfProtocol"),
            ("chat", "ChatProtocolProtocol"),
            ("client_to_server", "ClientToServerProtocol"),
        ] {
            assert_eq!(protocol_name(package, taken), expected, "{package}");
        }
    }
}
