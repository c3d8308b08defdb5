//! Fixtures of the integration tests: protocols, handlers, raw peers, processes and a proxy.

pub mod attack;
mod certificates;
mod client;
mod clock;
mod echo;
mod events;
mod held_port;
pub mod journal;
pub mod memory;
pub mod messages;
mod process;
pub mod programs;
mod protocols;
pub mod proxy;
pub mod raw;
mod raw_caller;
mod server;
mod soon;
mod transport_of;

pub use certificates::{Authority, Issued};
pub use client::{LabClient, SeenByClient};
pub use clock::{advance, advance_until};
pub use echo::{Echo, HANG};
pub use events::{Recorder, next, recorder};
pub use held_port::HeldPort;
pub use process::ServerProcess;
pub use protocols::{
    calc, fleet_client, fleet_server, gauges, lab, messi_chat, my_protocol, pantry, rest,
    rolling_new, rolling_old, sampler, shapes, tree,
};
pub use raw_caller::RawCaller;
pub use server::{
    LabServer, SeenByServer, connected, serve, start, start_gated, through, with_settings,
};
pub use soon::soon;
pub use transport_of::{THROUGH_A_BROKER, transport_of};

/// Ends a test, or a part of it, in `over_broker`, for what a broker does otherwise: a row of docs/broker.md, "What is different through a broker",
/// which begins with this.
#[macro_export]
macro_rules! direct_only {
    ($what:literal) => {
        $crate::direct_only!($what, return)
    };
    ($what:literal, $end:expr) => {
        if env!("CARGO_CRATE_NAME") == "over_broker" {
            $end;
        }
    };
}

/// The URL at which this binary's tests talk: as it is, over streams with rough manners in `over_rough`, or over WebSockets
/// instead of TCP in `over_websocket`, or through a broker in `over_broker`, which run the tests of others once more.
#[macro_export]
macro_rules! at {
    ($url:expr) => {
        &*$crate::transport_of(env!("CARGO_CRATE_NAME"), $url)
    };
}
