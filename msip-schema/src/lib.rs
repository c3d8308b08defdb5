//! The schema model of MSIP.
//!
//! A protocol is two messages, `ClientToServer` and `ServerToClient`. However it was written, as a `.proto`
//! file or as Rust enums, its front end fills a [`Draft`]; [`Draft::check`] pairs, classifies and verifies it
//! and yields a [`Schema`], which is all that an emitter ever reads. Mistakes come back as [`Diagnostic`]s,
//! all at once, each with a position that the front end can resolve.

mod check;
mod diag;
mod draft;
mod fingerprint;
mod kind;
mod model;
pub mod names;
mod span;
mod types;
mod write_proto;

pub use diag::{Code, Diagnostic, FileId, Label, Location, SourceMap, closest_name};
pub use draft::{Draft, DraftEnvelope, DraftMember, DraftMethod, MemberOptions};
pub use kind::{Compression, MsgKind, Reply};
pub use model::{Direction, Envelope, Exchange, Member, Payload, Reserved, Schema};
pub use span::{Span, Spanned};
pub use types::{
    Cardinality, EnumType, EnumValue, Field, FieldType, MessageType, TypeDef, TypeName, Types,
};
