//! Text output: what the emitters of text languages are built on.
//!
//! [`Writer`] owns indentation and [`Imports`], [`StringLiterals`] and [`CommentStyle`] describe a language's literals
//! and comments, and a [`NameTable`] turns the names of a schema into its identifiers.

mod comment;
mod imports;
mod literal;
mod names;
mod namespace;
mod writer;

pub use comment::{CommentStyle, clean_lines, is_blank};
pub use imports::{Import, Imports};
pub use literal::{CodeEscape, StringLiterals, grouped_digits};
pub use names::{Case, Escape, Keywords, NameKind, NameTable};
pub use namespace::{Claimed, Namespace};
pub use writer::Writer;
