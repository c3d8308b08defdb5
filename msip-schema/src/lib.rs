//! The schema model of MSIP: what a protocol is, whichever way it was written and whatever language it becomes.
//!
//! A protocol is two messages, `ClientToServer` and `ServerToClient`. A front end reads it, from `.proto` files or
//! from Rust enums, into a [`Draft`]. [`Draft::check`] pairs, classifies and validates that, and returns a
//! [`Schema`], the only input of an emitter. Mistakes are returned as [`Diagnostic`]s, all together, each with a
//! [`Span`] that the front end can resolve.
//!
//! A language may have rules of its own, mostly about names. [`Draft::check_with`] reports them together with the
//! others.

mod check;
pub mod compare;
mod diag;
mod draft;
mod fingerprint;
mod identifier;
mod json_name;
mod kind;
mod model;
mod span;
mod types;
mod words;
mod write_proto;

pub use check::{MemberOutline, Outline, Role, check_types};
pub use diag::{
    Code, Diagnostic, FileId, Label, Location, MAX_DIAGNOSTICS, SourceMap, closest_name,
};
pub use draft::{Draft, DraftEnvelope, DraftMember, DraftMethod, MemberOptions, OPTIONS_FILE};
pub use identifier::is_identifier;
pub use json_name::{json_name, map_entry_name};
pub use kind::{Compression, MsgKind, Reply};
pub use model::{
    DESCRIBE_VARIANT, Direction, Envelope, Exchange, Member, Payload, Reserved, Schema,
};
pub use span::{Span, Spanned};
pub use types::{
    Cardinality, EnumType, EnumValue, Field, FieldType, MessageType, Oneof, TypeDef, TypeName,
    Types,
};

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
