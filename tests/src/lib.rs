//! Protocols and peers that the tests share.

mod client;
pub mod raw;
mod server;

/// A protocol with one of everything.
pub mod lab {
    msip_runtime::include_protocol!("lab");
}

pub use client::{LabClient, SeenByClient};
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
