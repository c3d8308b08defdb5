//! Serves a topic of a broker: tells whoever asks what time it is.
//!
//! ```text
//! cargo run -p msip-broker
//! cargo run -p msip-examples --bin broker-serve -- time                   (in another terminal, as often as you like)
//! cargo run -p msip-examples --bin broker-req -- time 'is it late?'       (in a third)
//! ```
//!
//! Whoever hears `T/$in` is a service of the topic `T`: of several, the broker chooses one for each request. What is published to `T` as a
//! COMMAND goes to one of them too, and is printed. Ctrl-C ends: requests that are being answered may finish.

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "it tells people what it is asked"
)]

use std::{
    error::Error,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use msip_examples::{printable, stop_signal, tell_connection, with_causes};
use msip_runtime::{
    Status,
    untyped::{
        Event, Inbound, Reply, Service, SubscribeOptions, UntypedClient, UntypedExchange,
        UntypedMessage, UntypedPeer,
    },
};

/// Answers requests at a topic.
#[derive(Debug, Parser)]
struct Args {
    /// The topic, such as `time`
    topic: String,

    /// Where the broker is: tcp://host:port, or another transport, with settings behind a `?`
    #[arg(long, default_value = "tcp://127.0.0.1:9000")]
    url: String,
}

/// Answers with the time.
struct Clock;

impl Service for Clock {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            match event {
                Event::Exchange(exchange) => answer(exchange),
                Event::Messages(messages) => {
                    for message in messages.iter() {
                        println!("told: {}", printable(message.body()));
                    }
                }
                Event::SubscriptionLost { topic, status } => {
                    eprintln!("not serving {topic} any more: {status}");
                }
                _ => {}
            }
        }
    }
}

fn answer(exchange: UntypedExchange) {
    let text = match exchange.message.body() {
        Ok(body) => printable(&body),
        Err(error) => return exchange.refuse(Status::invalid_argument(with_causes(&error))),
    };
    match exchange.reply {
        Reply::Call(responder) => {
            println!("asked: {text}");
            let answer = format!("it is {}; you asked: {text}", time_of_day());
            // The answer has the variant of the request, since there is no schema that gives it another.
            responder.answer(&UntypedMessage::new(
                exchange.message.variant(),
                answer.into_bytes(),
            ));
        }
        Reply::Delivery(delivery) => {
            println!("told: {text}");
            delivery.acknowledge();
        }
        _ => println!("told: {text}"),
    }
}

/// `13:04:05 UTC`.
fn time_of_day() -> String {
    // A clock before 1970 shows midnight.
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.unwrap_or_default().as_secs() % 86_400;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02} UTC", seconds % 60)
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let stopped = stop_signal()?;
    let mut stopped = std::pin::pin!(stopped);
    let client = UntypedClient::builder(&args.url, "text", 0)
        .name("broker-serve")
        .service(Clock);
    let client = tokio::select! {
        client = client.connect() => client?,
        () = &mut stopped => return Ok(()),
    };
    let inner = format!("{}/$in", args.topic);
    let options = SubscribeOptions::new();
    tokio::select! {
        subscribed = client.subscribe(&inner, &options) => drop(subscribed?),
        () = &mut stopped => return Ok(()),
    }
    eprintln!("serving {} (Ctrl-C stops)", args.topic);
    tokio::select! {
        reason = tell_connection(client.connection()) => Err(reason.into()),
        () = &mut stopped => {
            client.close().await;
            Ok(())
        }
    }
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
