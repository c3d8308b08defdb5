//! Shared by the examples: the `chat` protocol, the room that its servers keep, a slow network, and what programs in a terminal need.

mod causes;
#[cfg(feature = "tls")]
mod dev_certs;
mod hangup;
mod printable;
mod room;
mod slow_line;
mod stop_signal;
mod tell_connection;

/// The protocol, as `msip-codegen` wrote it from `proto/chat.proto`.
pub mod chat {
    msip_runtime::include_protocol!("chat");
}

pub use causes::with_causes;
#[cfg(feature = "tls")]
pub use dev_certs::dev_certs;
pub use hangup::reload_at_hangup;
pub use printable::printable;
pub use room::Room;
pub use slow_line::SlowLine;
pub use stop_signal::stop_signal;
pub use tell_connection::tell_connection;
