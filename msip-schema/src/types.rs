//! Types: the messages and enums of a protocol, with fields, numbers and comments.
//!
//! Some emitters need more than the names of the variants, so the model keeps everything that a `.proto` file can
//! declare of a type.

use std::collections::BTreeMap;

use crate::Span;

/// The full name of a type, such as `chat.ConnectReq` or `google.protobuf.Timestamp`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeName(String);

impl TypeName {
    /// The type of this full name, without a leading dot.
    pub fn new(full_name: impl Into<String>) -> Self {
        Self(full_name.into())
    }

    /// The full name, without a leading dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the last dot.
    pub fn short(&self) -> &str {
        self.0.rsplit('.').next().unwrap_or(&self.0)
    }

    /// The full name of the message that means no content in `.proto` files.
    pub const EMPTY: &'static str = "google.protobuf.Empty";

    /// Whether it is [`EMPTY`](Self::EMPTY).
    pub fn is_empty_message(&self) -> bool {
        self.0 == Self::EMPTY
    }

    /// Whether it is one of protobuf's own types, which every language has under this name.
    pub fn is_well_known(&self) -> bool {
        self.0.starts_with("google.protobuf.")
    }
}

impl std::fmt::Display for TypeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every type that a protocol's envelopes reach, by full name.
pub type Types = BTreeMap<TypeName, TypeDef>;

/// A message or an enum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeDef {
    /// A message.
    Message(MessageType),
    /// An enum.
    Enum(EnumType),
}

impl TypeDef {
    /// The package that declares it, which is empty for a file without one.
    pub fn package(&self) -> &str {
        match self {
            Self::Message(message) => &message.package,
            Self::Enum(ty) => &ty.package,
        }
    }

    /// Where its name is.
    pub fn span(&self) -> Span {
        match self {
            Self::Message(message) => message.span,
            Self::Enum(ty) => ty.span,
        }
    }
}

/// A message: named and numbered fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessageType {
    /// The package that declares it, which is empty for a file without one. What its full name has between the package
    /// and its own name are the messages that it is declared in.
    pub package: String,
    /// The comment above it, as written, without comment marks.
    pub doc: String,
    /// Whether it is marked as deprecated.
    pub deprecated: bool,
    /// The fields, in the order of the source.
    pub fields: Vec<Field>,
    /// The oneofs, in the order of the source.
    pub oneofs: Vec<Oneof>,
    /// Numbers that no field may have, as inclusive ranges.
    pub reserved_numbers: Vec<(u32, u32)>,
    /// Names that no field may have.
    pub reserved_names: Vec<String>,
    /// The span of its name.
    pub span: Span,
}

/// A oneof of a message: none or one of its fields is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Oneof {
    /// The name, by which its [fields](Field::oneof) refer to it.
    pub name: String,
    /// The comment above it.
    pub doc: String,
    /// Where its name is.
    pub span: Span,
}

/// One field of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name, as the schema spells it.
    pub name: String,
    /// The name in JSON, if it is not [`json_name`](crate::json_name) of `name`.
    pub json_name: Option<String>,
    /// The number on the wire.
    pub number: u32,
    /// The type of one value.
    pub ty: FieldType,
    /// How many values there may be, and whether absence is visible.
    pub cardinality: Cardinality,
    /// The oneof that the field is a member of (never that of a proto3 `optional`).
    pub oneof: Option<String>,
    /// Whether each value of a list of numbers is written with a tag of its own (`packed = false`), rather than all as one. Read
    /// either way, and no part of the fingerprint.
    pub expanded: bool,
    /// The comment above it.
    pub doc: String,
    /// Whether it is marked as deprecated.
    pub deprecated: bool,
    /// Where the field is.
    pub span: Span,
}

/// How many values a field has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cardinality {
    /// One, which reads as the type's zero if it is absent (proto3's plain field). A message field is
    /// [`Optional`](Self::Optional) instead, since its absence is always visible.
    Implicit,
    /// None or one, and absence is visible.
    Optional,
    /// Any number, in order.
    Repeated,
    /// Any number, each under a key of this scalar type.
    Map(FieldType),
}

/// The type of one value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "protobuf's own names")]
pub enum FieldType {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Message(TypeName),
    Enum(TypeName),
}

impl FieldType {
    /// The name of a scalar type, as `.proto` files spell it; `None` for messages and enums, which have names of
    /// their own.
    pub const fn scalar_name(&self) -> Option<&'static str> {
        Some(match self {
            Self::Double => "double",
            Self::Float => "float",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Sint32 => "sint32",
            Self::Sint64 => "sint64",
            Self::Fixed32 => "fixed32",
            Self::Fixed64 => "fixed64",
            Self::Sfixed32 => "sfixed32",
            Self::Sfixed64 => "sfixed64",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Message(_) | Self::Enum(_) => return None,
        })
    }
}

/// An enum: named numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnumType {
    /// The package that declares it, which is empty for a file without one.
    pub package: String,
    /// The comment above it.
    pub doc: String,
    /// Whether it is marked as deprecated.
    pub deprecated: bool,
    /// The values, in the order of the source.
    pub values: Vec<EnumValue>,
    /// The span of its name.
    pub span: Span,
}

/// One value of an enum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumValue {
    /// The name, as the schema spells it.
    pub name: String,
    /// The number on the wire.
    pub number: i32,
    /// The comment above it.
    pub doc: String,
    /// Whether it is marked as deprecated.
    pub deprecated: bool,
    /// Where the value is.
    pub span: Span,
}
