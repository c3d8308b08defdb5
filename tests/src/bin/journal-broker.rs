//! A broker in a process of its own, which keeps nothing.
//!
//!     journal-broker <address>
//!
//! It says where it listens.

#![expect(
    clippy::print_stdout,
    reason = "whoever started it reads where it listens"
)]

use std::{error::Error, future::pending};

use msip_broker::Broker;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let Some(url) = std::env::args().nth(1) else {
        return Err("usage: journal-broker <address>".into());
    };
    let broker = Broker::builder().listen(url).bind().await?;
    for url in broker.local_urls() {
        println!("{}", url.address());
    }
    broker.serve_until(pending()).await;
    Ok(())
}
