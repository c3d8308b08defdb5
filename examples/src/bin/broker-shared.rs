//! Services of two protocols and their clients, all on one connection to a broker.
//!
//! ```text
//! cargo run -p msip-broker
//! cargo run -p msip-examples --bin broker-shared       (in another terminal, ends by itself)
//! ```
//!
//! One service greets in every room (`rooms/+`), another rolls dice. Each has its protocol, its handler and its end: when the first is shut
//! down, the other goes on. Services and clients need not be in one program; a program with many of them needs one connection.

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "it tells people what happens"
)]

use std::{error::Error, process::ExitCode};

use clap::Parser;
use msip_examples::with_causes;
use msip_runtime::{BrokerConnection, prelude::*};

/// Greets.
mod greet {
    use msip_runtime::{ClientToServer, Message, ServerToClient};

    #[derive(Debug, ClientToServer)]
    #[msip(protocol = "greet")]
    pub(crate) enum ClientToServer {
        #[msip(tag = 1)]
        HelloReq(HelloReq),
    }

    #[derive(Debug, ServerToClient)]
    pub(crate) enum ServerToClient {
        #[msip(tag = 1)]
        HelloRsp(HelloRsp),
    }

    #[derive(Debug, Message)]
    pub(crate) struct HelloReq {
        #[msip(tag = 1)]
        pub(crate) name: String,
    }

    #[derive(Debug, Message)]
    pub(crate) struct HelloRsp {
        #[msip(tag = 1)]
        pub(crate) greeting: String,
    }
}

/// Rolls dice.
mod dice {
    use msip_runtime::{ClientToServer, Message, ServerToClient};

    #[derive(Debug, ClientToServer)]
    #[msip(protocol = "dice")]
    pub(crate) enum ClientToServer {
        #[msip(tag = 1)]
        RollReq(RollReq),
    }

    #[derive(Debug, ServerToClient)]
    pub(crate) enum ServerToClient {
        #[msip(tag = 1)]
        RollRsp(RollRsp),
    }

    #[derive(Debug, Message)]
    pub(crate) struct RollReq {
        #[msip(tag = 1)]
        pub(crate) sides: u32,
    }

    #[derive(Debug, Message)]
    pub(crate) struct RollRsp {
        #[msip(tag = 1)]
        pub(crate) eyes: u32,
    }
}

use dice::{Dice, RollReq, RollRsp, SendClientToServer as _};
use greet::{Greet, HelloReq, HelloRsp, SendClientToServer as _};

struct Greeter;

impl greet::HandleClientToServer for Greeter {
    async fn on_hello_req(
        &self,
        peer: &Peer<Greet>,
        request: HelloReq,
    ) -> Result<HelloRsp, Status> {
        let room = peer.topic().unwrap_or_default();
        let greeting = format!("hello, {}, in {room}", request.name);
        Ok(HelloRsp { greeting })
    }
}

struct Cup;

impl dice::HandleClientToServer for Cup {
    async fn on_roll_req(&self, _: &Peer<Dice>, request: RollReq) -> Result<RollRsp, Status> {
        match request.sides {
            0 => Err(Status::invalid_argument("a die has sides")),
            // Chosen by a fair roll, so that it is the same each time.
            sides => Ok(RollRsp { eyes: sides.min(4) }),
        }
    }
}

/// Two services and their clients, on one connection.
#[derive(Debug, Parser)]
struct Args {
    /// Where the broker is: tcp://host:port, or another transport, with settings behind a `?`
    #[arg(long, default_value = "tcp://127.0.0.1:9000")]
    url: String,
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let broker = BrokerConnection::connect(&args.url).await?;
    let rooms = broker.attach::<Greet, _>("rooms/+", Greeter).await?;
    let cup = broker.attach::<Dice, _>("dice", Cup).await?;
    println!("serving {} and {}", rooms.topic(), cup.topic());

    let hall = broker.client::<Greet>("rooms/hall").await?;
    let player = broker.client::<Dice>("dice").await?;
    let name = "ada".to_owned();
    println!("{}", hall.hello_req(HelloReq { name }).await?.greeting);
    let roll = || player.roll_req(RollReq { sides: 6 });
    println!("rolled {}", roll().await?.eyes);

    rooms.shutdown().await;
    let name = "bob".to_owned();
    match hall.hello_req(HelloReq { name }).await {
        Ok(answer) => println!("{}", answer.greeting),
        Err(error) => println!("nobody greets any more: {error}"),
    }
    println!("rolled {}", roll().await?.eyes);
    broker.close().await;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
