//! Emitters of MSIP: from a checked schema to source code.
//!
//! - [`plan`] says what every language must say of a protocol, without the names of any;
//! - [`write`](mod@write) is what emitters of text are built on: indentation, imports, literals, comments, names;
//! - [`rust`] writes the Rust items of a protocol, as tokens, for `msip-codegen` and for the derives;
//! - [`python`] writes the modules of Python;
//! - [`typescript`] writes those of TypeScript.
//!
//! A language is an [`Emitter`]. `msip_codegen::Builder` runs it over the files that it has compiled.

mod compilation;
mod emitter;
pub mod plan;
pub mod python;
pub mod rust;
pub mod typescript;
pub mod write;

pub use compilation::{Compilation, Protocol, SourceFile};
pub use emitter::{EmitError, Emitter, OutputFile};

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
