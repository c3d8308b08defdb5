//! Shared by the examples: the `chat` protocol, the room that its servers keep, and a slow network.

mod causes;
mod room;
mod slow_line;
mod stop_signal;

/// The protocol, as `msip-codegen` wrote it from `proto/chat.proto`.
pub mod chat {
    msip_runtime::include_protocol!("chat");
}

pub use causes::with_causes;
pub use room::Room;
pub use slow_line::SlowLine;
pub use stop_signal::stop_signal;
