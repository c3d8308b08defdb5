//! Asks whoever serves a topic of a broker, and prints the answer.
//!
//! ```text
//! cargo run -p msip-broker
//! cargo run -p msip-examples --bin broker-serve -- time                   (in another terminal, as often as you like)
//! cargo run -p msip-examples --bin broker-req -- time 'is it late?'       (in a third)
//! ```
//!
//! Of several services the one with the fewest open requests answers. Where there is none, the broker says so at once.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the answer is what the program is for"
)]

use std::{error::Error, process::ExitCode};

use clap::Parser;
use msip_examples::{printable, stop_signal, with_causes};
use msip_runtime::{
    CallOptions, MsgKind, Variant,
    untyped::{UntypedClient, UntypedMessage},
};

/// What is asked: a COMMAND that is answered.
const ASK: Variant = Variant::new(6, "ask", MsgKind::Command).call(6);

/// Asks a service, and prints its answer.
#[derive(Debug, Parser)]
struct Args {
    /// The topic that a service answers at, such as `time`
    topic: String,

    /// What to ask
    text: String,

    /// Where the broker is: tcp://host:port, or another transport, with settings behind a `?` (tcp://127.0.0.1:9000?call_timeout=5s)
    #[arg(long, default_value = "tcp://127.0.0.1:9000")]
    url: String,
}

async fn ask(args: &Args) -> Result<String, Box<dyn Error>> {
    let client = UntypedClient::builder(&args.url, "text", 0)
        .name("broker-req")
        .connect()
        .await?;
    let question =
        UntypedMessage::new(&ASK, args.text.clone().into_bytes()).to_topic(&args.topic)?;
    let answer = client.call(&question, &CallOptions::new()).await?;
    let text = printable(&answer.body()?);
    client.close().await;
    Ok(text)
}

async fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let stopped = stop_signal()?;
    let answer = tokio::select! {
        answer = ask(args) => answer?,
        () = stopped => return Err("stopped before the answer came".into()),
    };
    println!("{answer}");
    Ok(())
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
