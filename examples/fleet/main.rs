//! A fleet service: a hub, devices and operators, as docs/guide.md explains.
//!
//! ```text
//! cargo run -p msip-examples --bin fleet                                       (all of it, ends by itself)
//! cargo run -p msip-examples --bin fleet -- --broker                           (the same with a broker and several hubs)
//! cargo run -p msip-examples --bin fleet -- hub                                (or each in a terminal of its own)
//! cargo run -p msip-examples --bin fleet -- device --name van-1
//! cargo run -p msip-examples --bin fleet -- operator drive van-1 station
//! ```
//!
//! The first shows devices that log in, commands with deadlines, telemetry, an upload and a watch; a device that is
//! stopped, a hub that is killed, and one that is told to end. It takes some seconds, and its exit code is 0 if everything
//! came about as it should.
//!
//! With `--broker` two hubs share the work behind a broker. One of them is killed, of which only its callers hear; another takes its
//! place, and the one that is left is told to end. Devices and operators are the same: their URL has a path, which is the topic.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it tells people what happens"
)]

mod broker;
mod device;
mod figures;
mod hub;
mod items;
mod operator;
mod output;
mod processes;
#[expect(unreachable_pub, reason = "the schema is written as for a library")]
mod schema;
mod several_hubs;
mod show;
#[cfg(test)]
mod tests;
mod tokens;

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};
use msip_examples::with_causes;
use output::say;

/// The protocol, as msip-codegen wrote it from `protocol.proto`.
#[expect(unreachable_pub, reason = "it is written as for a library")]
mod protocol {
    msip_runtime::include_protocol!("fleet");
}

/// A fleet in one terminal: a hub, three devices and an operator. It ends by itself, or with Ctrl-C
#[derive(Debug, Parser)]
struct Args {
    /// Two hubs share the work, behind a broker
    #[arg(long)]
    broker: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Runs a hub, until Ctrl-C or SIGTERM
    Hub {
        /// Where to listen
        #[arg(long, default_value = "tcp://127.0.0.1:7403")]
        url: String,
        /// The broker and the topic to serve instead, such as tcp://127.0.0.1:9000/fleet
        #[arg(long, conflicts_with = "url")]
        broker: Option<String>,
        /// Its name, at a broker
        #[arg(long, default_value = "hub")]
        name: String,
        /// Its key, for a broker
        #[arg(long, default_value = "")]
        token: String,
        /// Also ends when its input does
        #[arg(long)]
        with_input: bool,
    },
    /// Runs a device, until Ctrl-C or SIGTERM
    Device {
        /// Where the hub is
        #[arg(long, default_value = "tcp://127.0.0.1:7403")]
        url: String,
        /// van-1, van-2 or van-3
        #[arg(long)]
        name: String,
        /// Its token, if not the one that the hub knows
        #[arg(long)]
        token: Option<String>,
        /// Also ends when its input does
        #[arg(long)]
        with_input: bool,
    },
    /// Gives an order, and prints what comes of it
    Operator {
        /// Where the hub is
        #[arg(long, default_value = "tcp://127.0.0.1:7403")]
        url: String,
        #[command(subcommand)]
        order: operator::Order,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.part {
        None => show(args.broker).await,
        Some(part) => run(part).await.map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {}", with_causes(error.as_ref()));
        ExitCode::FAILURE
    })
}

async fn show(broker: bool) -> Result<ExitCode, Box<dyn Error>> {
    let show = async {
        match broker {
            true => several_hubs::run().await,
            false => show::run().await,
        }
    };
    tokio::select! {
        done = show => done.map(|()| ExitCode::SUCCESS),
        // The exit code of a shell after Ctrl-C. What was started is dropped, and ends.
        stopped = tokio::signal::ctrl_c() => Ok(stopped.map(|()| ExitCode::from(130))?),
    }
}

async fn run(part: Part) -> Result<(), Box<dyn Error>> {
    match part {
        Part::Hub {
            url,
            broker,
            name,
            token,
            with_input,
        } => {
            let stopped = processes::stopped(with_input)?;
            match broker {
                Some(broker) => hub::attach(&broker, &name, &token, stopped).await?,
                None => hub::serve(&url, stopped).await?,
            }
        }
        Part::Device {
            url,
            name,
            token,
            with_input,
        } => {
            let stopped = processes::stopped(with_input)?;
            let token = token.unwrap_or_else(|| tokens::token_of(&name).to_owned());
            let device = device::Device::connect(&url, &name, &token).await?;
            tokio::select! {
                () = device.tell() => {}
                () = stopped => {}
            }
            device.close().await;
        }
        Part::Operator { url, order } => {
            let hub = operator::connect(&url, tokens::token_of("olga")).await?;
            say("olga", "is connected");
            let outcome = operator::give(&hub, order).await;
            hub.close().await;
            match outcome {
                Ok(done) => say("olga", &done),
                Err(error) => return Err(operator::failure(&error).into()),
            }
        }
    }
    Ok(())
}
