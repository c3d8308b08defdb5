//! Diagnostics: what is wrong with a schema, where, and what to write instead.

mod code;
mod diagnostic;
mod render;
mod source;
mod suggest;
#[cfg(test)]
mod tests;

pub use code::Code;
pub use diagnostic::{Diagnostic, Label, MAX_DIAGNOSTICS};
pub use source::{FileId, Location, SourceMap};
pub use suggest::closest_name;
