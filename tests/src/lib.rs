//! Protocols and peers that the tests share.

/// A protocol with one of everything.
pub mod lab {
    msip_runtime::include_protocol!("lab");
}
