//! The rules that Rust adds to those of every schema: about the identifiers that its names become.

mod members;
mod types;

use msip_schema::{Diagnostic, Outline};

/// Reports names that become the same identifier of Rust, or one that generated code needs.
///
/// To be passed to [`Draft::check_with`](msip_schema::Draft::check_with).
pub fn check(outline: &Outline<'_>, out: &mut Vec<Diagnostic>) {
    members::check(outline, out);
    types::check(outline, out);
}
