//! Emitters: from a checked schema to source code.

pub mod rust;
