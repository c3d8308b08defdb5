//! The comparison of two versions of a protocol: what differs, and what that breaks (docs/schema.md, "What may change").
//!
//! It compares structure, by numbers and names of members, fields and values: names of types mean nothing on the wire, and
//! a type that was split, merged or renamed is compared with what stands in its place. Types may contain themselves.
//!
//! A [`Description`] is what is compared: one direction's members, the other's, and their types. A program has it of its own
//! schema ([`Description::of`]) and reads that of a peer from text ([`Description::parse`]), within limits: whatever a
//! peer sends, reading and comparing it takes bounded time and memory.
//!
//! ```
//! use msip_schema::compare::{Description, Sides, compare};
//!
//! let text = |ty: &str| {
//!     format!(
//!         "msip-description 1\npackage chat\nclient-to-server\n1 say_ind EVENT one-way .chat.Say\n\
//!          server-to-client\n1 said_ind EVENT one-way empty\ntypes\nmessage chat.Say\n1 text implicit {ty}\n"
//!     )
//! };
//! let (before, now) = (text("string"), text("bytes"));
//! let (before, now) = (Description::parse(before.as_bytes())?, Description::parse(now.as_bytes())?);
//! let comparison = compare(&before, &now);
//! assert_eq!(
//!     comparison.differences()[0].text(Sides::VERSIONS),
//!     "client-to-server `say_ind`, field `text` (1): string before, bytes now [wire-breaking]"
//! );
//! # Ok::<(), msip_schema::compare::DescriptionError>(())
//! ```

mod comparison;
mod description;
mod difference;
mod members;
mod message;
mod read;
mod value;
mod walk;
mod write;

#[cfg(test)]
mod tests;

pub use comparison::{Comparison, MAX_DIFFERENCES};
pub use description::Description;
pub use difference::{Breaks, Change, Difference, Place, Sides, Which};
pub use members::compare;
pub use read::{DescriptionError, MAX_DESCRIPTION_LEN};
