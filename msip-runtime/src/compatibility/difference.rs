//! What a user learns of a peer's schema.

use std::{fmt, sync::Arc};

use msip_schema::compare::{Comparison, Difference, Sides};

use crate::Codec;

/// What differs between the schema of this program and that of a peer; from
/// [`Peer::schema_difference`](crate::Peer::schema_difference) and
/// [`ConnectionInfo::schema_difference`](crate::ConnectionInfo::schema_difference).
///
/// Written with `{}` it is one line with the first differences, in words, and what each breaks.
#[derive(Debug, Clone)]
pub struct SchemaDifference {
    pub(super) ours: u64,
    pub(super) theirs: u64,
    pub(super) codec: Codec,
    pub(super) sides: Sides,
    /// Or why there is no comparison.
    pub(super) comparison: Result<Arc<Comparison>, String>,
}

impl SchemaDifference {
    /// The fingerprint of this program's schema.
    #[must_use]
    pub const fn our_fingerprint(&self) -> u64 {
        self.ours
    }

    /// The fingerprint of the peer's schema.
    #[must_use]
    pub const fn their_fingerprint(&self) -> u64 {
        self.theirs
    }

    /// Whether the two schemas were compared. Otherwise only their fingerprints are known to differ: see
    /// [`not_compared`](Self::not_compared).
    #[must_use]
    pub const fn is_compared(&self) -> bool {
        self.comparison.is_ok()
    }

    /// Why the two schemas were not compared: the peer cannot describe its schema, as one of an older release, or what it has
    /// sent is no description of it. `None` where they were.
    #[must_use]
    pub fn not_compared(&self) -> Option<&str> {
        self.comparison.as_ref().err().map(String::as_str)
    }

    /// The differences, those that break something first; at most
    /// [`MAX_DIFFERENCES`](msip_schema::compare::MAX_DIFFERENCES) of them. Empty where the two were not compared.
    #[must_use]
    pub fn differences(&self) -> &[Difference] {
        self.comparison
            .as_ref()
            .map_or(&[], |comparison| comparison.differences())
    }

    /// Whether a difference keeps the two from understanding each other, in the codec of this connection: JSON and MessagePack
    /// carry names, and protobuf numbers. `false` where the two were not compared.
    #[must_use]
    pub fn is_wire_breaking(&self) -> bool {
        let Ok(comparison) = &self.comparison else {
            return false;
        };
        let breaks = comparison.breaks();
        let is_broken = match self.codec {
            Codec::Protobuf => breaks.protobuf(),
            Codec::Json | Codec::MessagePack => breaks.names(),
        };
        is_broken || comparison.is_cut_short()
    }
}

impl fmt::Display for SchemaDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.comparison {
            Ok(comparison) => f.write_str(&comparison.summary(self.sides)),
            Err(reason) => f.write_str(reason),
        }
    }
}
