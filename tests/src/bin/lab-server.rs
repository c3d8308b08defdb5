//! A server in a process of its own: it says where it listens, then what it traces.
//!
//!     lab-server [address] [credential] [--serves lab|sampler|untyped] [--workers n] [--gated] [--until-stdin-ends]
//!
//! With a credential it serves clients that have it, refuses those with one that begins with `!`, and never has an answer to
//! others; the subject of their identity is what they call themselves. Without `--workers` it runs on one thread. With `--gated` the handler of a note of `lab` never returns.

#![expect(
    clippy::print_stdout,
    reason = "whoever started it reads where it listens"
)]

use std::sync::Arc;

use msip_runtime::{
    BindError, ConnectRequest, Identity, Server, Status,
    transport::ServiceUrl,
    untyped::{Event, Inbound, Reply, Service, UntypedPeer, UntypedProtocol, UntypedServer},
};
use msip_tests::{
    Echo, LabServer,
    attack::{Served, end_with_stdin},
    lab::Lab,
    sampler::Sampler,
};
use tokio::sync::Semaphore;

/// What the command line says.
struct Options {
    url: String,
    credential: Option<String>,
    served: Served,
    workers: Option<usize>,
    is_gated: bool,
}

impl Options {
    fn parse() -> Result<Self, String> {
        let mut args = std::env::args().skip(1);
        let mut plain = Vec::new();
        let (mut served, mut workers, mut is_gated) = (Served::Lab, None, false);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match &*arg {
                "--serves" => served = value()?.parse()?,
                "--workers" => workers = Some(value()?.parse().map_err(|_| "--workers n")?),
                "--gated" => is_gated = true,
                "--until-stdin-ends" => end_with_stdin(),
                _ => plain.push(arg),
            }
        }
        let mut plain = plain.into_iter();
        Ok(Self {
            url: plain
                .next()
                .unwrap_or_else(|| "tcp://127.0.0.1:0".to_owned()),
            credential: plain.next(),
            served,
            workers,
            is_gated,
        })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(std::io::stdout)
        // Whoever started it may read no more.
        .log_internal_errors(false)
        .init();
    let options = Options::parse()?;
    let mut runtime = match options.workers {
        None => tokio::runtime::Builder::new_current_thread(),
        Some(workers) => {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.worker_threads(workers);
            runtime
        }
    };
    runtime.enable_all().build()?.block_on(serve(options))?;
    Ok(())
}

async fn serve(options: Options) -> Result<(), BindError> {
    let credential = options.credential;
    match options.served {
        Served::Lab => {
            let mut builder = Server::<Lab>::builder(options.url);
            if let Some(credential) = credential {
                builder = builder.authenticate(move |client| authenticate(client, &credential));
            }
            let server = builder.bind().await?;
            listens(server.local_url());
            // Nobody here listens to what the handler sees.
            let (mut handler, _) = LabServer::new();
            if options.is_gated {
                handler = handler.gated(&Arc::new(Semaphore::new(0)));
            }
            server.serve(handler).await;
        }
        Served::Sampler => {
            let mut builder = Server::<Sampler>::builder(options.url);
            if let Some(credential) = credential {
                builder = builder.authenticate(move |client| authenticate(client, &credential));
            }
            let server = builder.bind().await?;
            listens(server.local_url());
            server.serve(Echo).await;
        }
        Served::Untyped | Served::Broker => {
            let mut builder = UntypedServer::builder(options.url);
            if let Some(credential) = credential {
                builder = builder.authenticate(move |client| authenticate(client, &credential));
            }
            let server = builder
                .untyped(UntypedProtocol::any(), UntypedEcho)
                .bind()
                .await?;
            listens(server.local_url());
            server.serve().await;
        }
    }
    Ok(())
}

fn listens(url: &ServiceUrl) {
    println!("{url}");
}

fn authenticate(
    client: ConnectRequest,
    credential: &str,
) -> impl Future<Output = Result<Identity, Status>> + Send + use<> {
    let is_known = client.credential() == credential.as_bytes();
    let is_refused = client.credential().starts_with(b"!");
    let name = client.client_name().to_owned();
    async move {
        if is_refused {
            return Err(Status::unauthenticated("not this one"));
        }
        if !is_known {
            std::future::pending::<()>().await;
        }
        Ok(Identity::new("credential")
            .with_user("known")
            .with_subject(name))
    }
}

/// Answers each call with what was sent.
struct UntypedEcho;

impl Service for UntypedEcho {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            if let Event::Exchange(exchange) = event {
                match exchange.reply {
                    Reply::Call(responder) => responder.answer(&exchange.message),
                    Reply::Delivery(acknowledgment) => acknowledgment.acknowledge(),
                    _ => {}
                }
            }
        }
    }
}
