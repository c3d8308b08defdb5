//! Typed clients and servers over a 24-byte header.

pub mod transport;
pub mod wire;
