//! A server of the `lab` protocol in a process of its own: it says where it listens, then what it traces.
//!
//!     lab-server [address] [credential]
//!
//! With a credential it serves clients that have it, and never has an answer to others.

#![expect(
    clippy::print_stdout,
    reason = "whoever started it reads where it listens"
)]

use msip_runtime::{BindError, ConnectRequest, Identity, Server};
use msip_tests::{LabServer, lab::Lab};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BindError> {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(std::io::stdout)
        .init();
    let url = std::env::args().nth(1);
    let mut builder = Server::<Lab>::builder(url.as_deref().unwrap_or("tcp://127.0.0.1:0"));
    if let Some(credential) = std::env::args().nth(2) {
        builder = builder.authenticate(move |client: ConnectRequest| {
            let is_known = client.credential() == credential.as_bytes();
            async move {
                if !is_known {
                    std::future::pending::<()>().await;
                }
                Ok(Identity::new("credential").with_user("known"))
            }
        });
    }
    let server = builder.bind().await?;
    println!("{}", server.local_url());
    // Nobody here listens to what the handler sees.
    let (handler, _) = LabServer::new();
    server.serve(handler).await;
    Ok(())
}
