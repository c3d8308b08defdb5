//! The setting `schema`: what to do with a client whose schema differs.

/// What a server does with a client whose schema has another fingerprint (setting `schema`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SchemaRule {
    /// The connection is accepted, and both sides are notified (`compatible`).
    Compatible,
    /// The connection is refused (`strict`).
    Strict,
}
