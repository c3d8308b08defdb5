//! Publishes text to a topic of a broker.
//!
//! ```text
//! cargo run -p msip-broker
//! cargo run -p msip-examples --bin broker-sub -- 'fleet/+/position'                     (in another terminal)
//! cargo run -p msip-examples --bin broker-pub -- fleet/7/position '52.5 north'          (in a third)
//! ```
//!
//! With `--ack` the broker says that each message is in the queue of every subscriber, or why it is not: without it a message that is
//! refused is dropped, and nobody is told. The kind decides the rest: of `state` the broker
//! keeps the last one for those who subscribe later, until an empty text clears it; a `command` goes to one service, such as `broker-serve`; of
//! `log` and `metric` a slow subscriber loses the oldest.

#![expect(clippy::print_stderr, reason = "it tells people what went wrong")]

use std::{error::Error, process::ExitCode};

use clap::{Parser, ValueEnum};
use msip_examples::{stop_signal, with_causes};
use msip_runtime::{
    CallOptions, MsgKind, Variant,
    untyped::{UntypedClient, UntypedMessage},
};

/// Publishes text to a topic.
#[derive(Debug, Parser)]
struct Args {
    /// The topic, such as `fleet/7/position`
    topic: String,

    /// What to say
    text: String,

    /// Say it so many times, with the number of each behind the text
    #[arg(long, value_name = "N")]
    count: Option<u64>,

    /// Wait for the broker's acknowledgment of each
    #[arg(long)]
    ack: bool,

    /// How it is delivered
    #[arg(long, value_enum, default_value_t = Kind::Event)]
    kind: Kind,

    /// Where the broker is: tcp://host:port, or another transport, with settings behind a `?`
    #[arg(long, default_value = "tcp://127.0.0.1:9000")]
    url: String,
}

/// The kinds, by the names of docs/broker.md.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Event,
    Command,
    State,
    Log,
    Metric,
}

impl Kind {
    /// The variant that messages of this kind have here: a protocol with a schema has its own.
    fn variant(self) -> Variant {
        match self {
            Self::Event => Variant::new(1, "event", MsgKind::Event),
            Self::Command => Variant::new(2, "command", MsgKind::Command),
            Self::State => Variant::new(3, "state", MsgKind::State),
            Self::Log => Variant::new(4, "log", MsgKind::Log),
            Self::Metric => Variant::new(5, "metric", MsgKind::Metric),
        }
    }
}

async fn publish(args: &Args) -> Result<(), Box<dyn Error>> {
    let client = UntypedClient::builder(&args.url, "text", 0)
        .name("broker-pub")
        .connect()
        .await?;
    let (variant, options) = (args.kind.variant(), CallOptions::new());
    // Messages without an acknowledgment are written together.
    let mut sender = client.sender();
    for number in 1..=args.count.unwrap_or(1) {
        let text = match args.count {
            Some(_) => format!("{} {number}", args.text),
            None => args.text.clone(),
        };
        let message = UntypedMessage::new(&variant, text.into_bytes()).to_topic(&args.topic)?;
        if args.ack {
            client.deliver(&message, &options).await?;
        } else {
            sender.push(&message).await?;
        }
    }
    sender.flush().await?;
    client.close().await;
    Ok(())
}

async fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let stopped = stop_signal()?;
    tokio::select! {
        published = publish(args) => published,
        () = stopped => Err("stopped before all was published".into()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}
