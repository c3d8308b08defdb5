//! An operator: gives commands, and watches.

use std::time::Duration;

use clap::Subcommand;
use msip_runtime::{CallError, CallOptions, Client, ConnectError, middleware::Retry};

use crate::{
    output::say,
    protocol::{Drive, Fleet, Line, Locate, SendClientToServer as _, WatchReq},
};

/// What an operator wants.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Order {
    /// Asks a device where it is. It may be repeated, and is while the hub is away
    Locate { device: String },
    /// Sends a device somewhere. It is never repeated
    Drive {
        device: String,
        place: String,
        /// How far it is, at 20 steps a second
        #[arg(long, default_value_t = 20)]
        steps: u32,
        /// How long to wait, in milliseconds
        #[arg(long, default_value_t = 60_000)]
        timeout: u64,
    },
    /// Tells all devices something
    Notice { text: String },
    /// Prints what happens, until the hub goes away
    Watch,
}

/// Connects and logs in.
pub(crate) async fn connect(url: &str, token: &str) -> Result<Client<Fleet>, ConnectError> {
    // Until the deadline, what certainly has not run is tried again, and what is idempotent also where it may have run.
    let retry = Retry::new(u32::MAX).waits(Duration::from_millis(50), Duration::from_millis(500));
    Client::<Fleet>::builder(url)
        .credential(token)
        .name("fleet-operator")
        .outgoing(retry)
        .connect()
        .await
}

/// Gives an order. Returns what came of it, in words.
pub(crate) async fn give(hub: &Client<Fleet>, order: Order) -> Result<String, CallError> {
    match order {
        Order::Locate { device } => {
            let position = hub
                .locate_req(Locate {
                    device: device.clone(),
                })
                .await?;
            Ok(format!("{device} is at {}", position.place))
        }
        Order::Drive {
            device,
            place,
            steps,
            timeout,
        } => {
            let options = CallOptions::new().timeout(Duration::from_millis(timeout));
            let drive = Drive {
                device: device.clone(),
                place,
                steps,
            };
            let arrival = hub.with(options).drive_req(drive).await?;
            Ok(format!("{device} has arrived at {}", arrival.place))
        }
        Order::Notice { text } => {
            let heard = hub.notice_req(Line { text }).await?;
            Ok(format!("{} devices were told", heard.devices))
        }
        Order::Watch => {
            let mut reports = hub.watch_req(WatchReq {}).await?;
            while let Some(report) = reports.next().await.transpose()? {
                say("olga", &format!("reads: {} {}", report.device, report.text));
            }
            Ok("the hub tells no more".to_owned())
        }
    }
}

/// The outcome of an order that failed: what went wrong, and whether it may have run.
pub(crate) fn failure(error: &CallError) -> String {
    let fate = if error.is_safe_to_repeat() {
        "it has not run"
    } else {
        "it may have run"
    };
    format!("{error} ({fate})")
}
