//! What the examples share.

/// The protocol.
pub mod chat {
    msip_runtime::include_protocol!("chat");
}
