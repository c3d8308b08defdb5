//! Protocols and peers that the tests share.

mod client;
mod echo;
pub mod journal;
pub mod memory;
mod protocols;
pub mod proxy;
pub mod raw;
mod server;

pub use client::{LabClient, SeenByClient};
pub use echo::Echo;
pub use protocols::{
    fleet_client, fleet_server, gauges, lab, rolling_new, rolling_old, sampler, shapes, tree,
};
pub use server::{LabServer, SeenByServer, start};

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
