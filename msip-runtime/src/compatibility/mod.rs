//! Peers with another version of the schema: the description of theirs is asked for, compared with ours, and what differs
//! is logged once for each pair of fingerprints (docs/protocol.md, "Schema fingerprint").

mod check;
mod difference;
mod log_bucket;
mod peer_schemas;

pub(crate) use check::{Outcome, SchemaCheck, beside};
pub use difference::SchemaDifference;
pub use msip_schema::compare::{Breaks, Change, Difference, Place, Sides, Which};
pub(crate) use peer_schemas::{PeerSchemas, describes};
