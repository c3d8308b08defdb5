//! The setting `schema`: what to do with a client whose schema differs.

/// What a server does with a client whose schema has another fingerprint (setting `schema`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SchemaRule {
    /// It is served. What differs is compared, logged, and can be asked for (`any`).
    Any,
    /// Nothing of it is handled until the schemas have been compared. It is refused where the differences are wire-breaking,
    /// and where it cannot describe its schema (`compatible`).
    Compatible,
    /// It is refused, whatever differs (`strict`).
    Strict,
}
