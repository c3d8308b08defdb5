//! Emitters of MSIP: from a checked schema to source code.

pub mod plan;
pub mod rust;
pub mod write;
