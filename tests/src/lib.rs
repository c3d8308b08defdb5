//! Fixtures of the integration tests: protocols, handlers, raw peers, processes and a proxy.

mod client;
mod echo;
mod events;
pub mod journal;
pub mod memory;
pub mod messages;
mod process;
mod protocols;
pub mod proxy;
pub mod raw;
mod raw_caller;
mod server;

pub use client::{LabClient, SeenByClient};
pub use echo::Echo;
pub use events::{Recorder, connected, next, recorder};
pub use process::ServerProcess;
pub use protocols::{
    fleet_client, fleet_server, gauges, lab, rolling_new, rolling_old, sampler, tree,
};
pub use raw_caller::RawCaller;
pub use server::{LabServer, SeenByServer, start, start_gated};

use std::{future::Future, time::Duration};

/// Waits for something that must happen, and panics where it does not: long enough for any machine.
///
/// # Panics
///
/// After a minute.
pub async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), event).await {
        Ok(value) => value,
        Err(_) => panic!("nothing after a minute: {what}"),
    }
}
