//! What a service and a broker tell each other: the Rust of `proto/broker.proto`, as `msip-codegen` writes it.
//!
//! After a change of the `.proto`: `MSIP_UPDATE=1 cargo test -p msip-tests --test agreement`.

/// Where a broker tells a client something that belongs to no topic of its own.
pub const TOPIC: &str = "$broker";

// Not a module file: what is generated is not formatted again.
include!("generated/msip.broker.v1.rs");

/// The protocol that HELLO names where many may be spoken, each at its topics.
pub const PROTOCOL: &str = "msip.broker.v1";
