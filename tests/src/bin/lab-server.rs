//! A server of the `lab` protocol in a process of its own: it says where it listens, then what it traces.
//!
//!     lab-server [address]

#![expect(
    clippy::print_stdout,
    reason = "whoever started it reads where it listens"
)]

use msip_runtime::{BindError, Server};
use msip_tests::{LabServer, lab::Lab};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BindError> {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(std::io::stdout)
        .init();
    let url = std::env::args().nth(1);
    let server = Server::<Lab>::bind(url.as_deref().unwrap_or("tcp://127.0.0.1:0")).await?;
    println!("{}", server.local_url());
    // Nobody here listens to what the handler sees.
    let (handler, _) = LabServer::new();
    server.serve(handler).await;
    Ok(())
}
