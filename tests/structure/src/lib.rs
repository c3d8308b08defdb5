//! Module graph of a crate, read from its source.
//!
//! [`Crate::read`] follows `mod` declarations from the crate's root, leaves tests out, and resolves every path in the code
//! to the module that defines the item, through re-exports. [`Crate::levels`] turns that into one graph per folder, whose
//! circles are [`Circle`]s. A [`Picture`] is a Mermaid block that is compared with such a graph. [`Workspace`] lists the
//! crates.
//!
//! The code is not compiled, and types are not inferred: a method that is called on a value is not seen as a use of the
//! module that defines the method. The import that names the type is.

mod cfg;
mod error;
mod graph;
mod import;
mod picture;
mod resolve;
mod scope;
mod source;
mod tokens;
mod uses;
mod workspace;

pub use error::{Problem, Problems};
pub use graph::{Circle, Graph, Level};
pub use picture::{Picture, Subject};
pub use uses::{Crate, Use};
pub use workspace::{Package, Target, Workspace};
