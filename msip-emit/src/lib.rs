//! Emitters of MSIP: from a checked schema to source code.

pub mod rust;
pub mod write;
