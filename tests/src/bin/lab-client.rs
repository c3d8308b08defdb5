//! A client of two servers of the `lab` protocol in a process of its own, of which one may be hostile:
//!
//!     lab-client <hostile address> <good address> [--until-stdin-ends]
//!
//! It prints `ready`, then `call <microseconds>` for each call to the good server, and what it traces.

#![expect(clippy::print_stdout, reason = "whoever started it reads it")]

use std::time::Duration;

use msip_runtime::{Client, Reconnect};
use msip_tests::{
    LabClient,
    attack::{Served, end_with_stdin, report_latency},
    lab::{Lab, SendClientToServer as _},
    messages::{count, echo},
};

/// Between two attempts of what the hostile server has failed.
const PAUSE: Duration = Duration::from_millis(20);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(std::io::stdout)
        // Whoever started it may read no more.
        .log_internal_errors(false)
        .init();
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--until-stdin-ends") {
        end_with_stdin();
    }
    let [hostile, good, ..] = &*args else {
        println!("lab-client <hostile address> <good address>");
        return;
    };
    println!("ready");
    let report = |call: Result<Duration, String>| match call {
        Ok(taken) => println!("call {}", taken.as_micros()),
        Err(error) => println!("call {error}"),
    };
    tokio::join!(
        report_latency(good, Served::Lab, None, report),
        visit(hostile)
    );
}

/// Talks to the hostile server for ever.
async fn visit(hostile: &str) {
    loop {
        // Nobody here listens to what the handler sees.
        let (handler, _) = LabClient::new();
        let client = Client::<Lab>::builder(hostile)
            .handler(handler.on_close(Reconnect::Backoff))
            .connect()
            .await;
        if let Ok(client) = client {
            tokio::join!(call(&client), read(&client));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn call(client: &Client<Lab>) {
    loop {
        if client.echo_req(echo("hi")).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn read(client: &Client<Lab>) {
    loop {
        if let Ok(mut numbers) = client.count_req(count(1, 0)).await {
            while let Some(Ok(_)) = numbers.next().await {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}
