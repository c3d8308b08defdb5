//! What is generated, under every lint that a user may have set.

/// A protocol with one of everything.
pub mod lab {
    msip_runtime::include_protocol!("lab");
}

/// A protocol with every kind of message.
pub mod gauges {
    msip_runtime::include_protocol!("gauges");
}

/// A protocol with every kind of field.
pub mod sampler {
    msip_runtime::include_protocol!("sampler");
}

/// Every package that was compiled together, each in the module of its name.
#[deny(warnings, missing_docs, clippy::pedantic)]
#[forbid(unsafe_code)]
pub mod tree {
    msip_runtime::include_protocols!();
}

/// What a vehicle needs of `fleet.v1`.
#[deny(warnings, missing_docs, clippy::pedantic)]
#[forbid(unsafe_code)]
pub mod fleet_client {
    include!(concat!(env!("OUT_DIR"), "/fleet_client/fleet.v1.rs"));
}

/// What those who send vehicles need of `fleet.v1`.
#[deny(warnings, missing_docs, clippy::pedantic)]
#[forbid(unsafe_code)]
pub mod fleet_server {
    include!(concat!(env!("OUT_DIR"), "/fleet_server/fleet.v1.rs"));
}

/// A protocol that carries the messages of several schema sets.
#[deny(warnings, missing_docs, clippy::all, clippy::pedantic)]
#[forbid(unsafe_code)]
pub mod shapes {
    include!(concat!(env!("OUT_DIR"), "/shapes/shapes.rs"));
}

/// A protocol as it was.
pub mod rolling_old {
    include!(concat!(env!("OUT_DIR"), "/old/rolling.rs"));
}

/// The same protocol, a release later.
pub mod rolling_new {
    include!(concat!(env!("OUT_DIR"), "/new/rolling.rs"));
}

/// Messi's example of a chat.
pub mod messi_chat {
    include!(concat!(env!("OUT_DIR"), "/messi/chat.rs"));
}

/// Messi's protocol of empty messages.
pub mod my_protocol {
    include!(concat!(env!("OUT_DIR"), "/messi/my_protocol.rs"));
}
