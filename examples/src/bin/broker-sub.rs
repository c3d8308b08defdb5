//! Prints what is published to a topic of a broker, or to all that a filter names.
//!
//! ```text
//! cargo run -p msip-broker
//! cargo run -p msip-examples --bin broker-sub -- 'fleet/+/position'                     (in another terminal)
//! cargo run -p msip-examples --bin broker-pub -- fleet/7/position '52.5 north'          (in a third)
//! ```
//!
//! In a filter a level `+` stands for one level, and a last level `#` for all that follow. Those who name the same `--group` share
//! what comes: each message goes to one of them. Kill the broker and start it again: the subscription is made again by itself.
//! Ctrl-C ends.

#![expect(clippy::print_stderr, reason = "it tells people what is published")]

use std::{
    error::Error,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser;
use msip_examples::{printable, stop_signal, tell_connection, with_causes};
use msip_runtime::untyped::{
    Event, Inbound, Reply, Service, SubscribeOptions, UntypedClient, UntypedPeer,
};
use tokio::sync::mpsc;

/// How many lines wait for the terminal. When they are too many, the broker waits too.
const LINES: usize = 256;

/// Prints what is published to a topic.
#[derive(Debug, Parser)]
struct Args {
    /// The topic, or a filter such as `fleet/+/position` or `fleet/#`
    filter: String,

    /// Share what comes with the others of this group
    #[arg(long, value_name = "NAME")]
    group: Option<String>,

    /// Where the broker is: tcp://host:port, or another transport, with settings behind a `?`
    #[arg(long, default_value = "tcp://127.0.0.1:9000")]
    url: String,
}

/// Turns messages into lines.
struct Lines(mpsc::Sender<String>);

impl Service for Lines {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            match event {
                Event::Messages(messages) => {
                    for message in messages.iter() {
                        let text = printable(message.body());
                        // Where nobody takes lines, the program ends; so below.
                        let _ = self.0.send(format!("{}  {text}", message.topic())).await;
                    }
                }
                Event::Exchange(exchange) => {
                    let topic = exchange.message.topic();
                    let line = match exchange.message.body() {
                        Ok(body) => format!("{topic}  {}", printable(&body)),
                        Err(error) => format!("{topic}  ({})", with_causes(&error)),
                    };
                    let _ = self.0.send(line).await;
                    match exchange.reply {
                        Reply::Delivery(delivery) => delivery.acknowledge(),
                        Reply::Nobody => {}
                        // Calls are for services.
                        _ => {
                            let number = exchange.message.number();
                            exchange.refuse(msip_runtime::Status::unimplemented_variant(number));
                        }
                    }
                }
                Event::SubscriptionLost { topic, status } => {
                    eprintln!("not subscribed to {topic} any more: {status}")
                }
                _ => {}
            }
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let stopped = stop_signal()?;
    let mut stopped = std::pin::pin!(stopped);
    let (sender, mut lines) = mpsc::channel(LINES);
    let client = UntypedClient::builder(&args.url, "text", 0)
        .name("broker-sub")
        .service(Lines(sender));
    let client = tokio::select! {
        client = client.connect() => client?,
        () = &mut stopped => return Ok(()),
    };
    let mut options = SubscribeOptions::new();
    if let Some(group) = args.group {
        options = options.group(group);
    }
    tokio::select! {
        subscribed = client.subscribe(&args.filter, &options) => drop(subscribed?),
        () = &mut stopped => return Ok(()),
    }
    eprintln!("subscribed to {} (Ctrl-C stops)", args.filter);
    let mut closed = std::pin::pin!(tell_connection(client.connection()));
    let printed = loop {
        let line = tokio::select! {
            Some(line) = lines.recv() => line,
            reason = &mut closed => return Err(reason.into()),
            () = &mut stopped => break Ok(()),
        };
        // Nobody may read on: `broker-sub … | head -1`.
        match writeln!(io::stdout(), "{line}") {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break Ok(()),
            Err(error) => break Err(error.into()),
            Ok(()) => {}
        }
    };
    client.close().await;
    printed
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}
