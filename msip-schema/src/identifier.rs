//! Identifiers of a schema.

/// Whether a name can be written in `.proto` files and in most languages: ASCII letters, digits and `_`, not beginning
/// with a digit, not `_` alone.
pub fn is_identifier(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.contains(|c: char| c.is_ascii_alphanumeric())
}
