//! An echo service as MiddleMan's users write them, and a client that asks it, through a broker of MSIP: neither knows that it is another one.
//!
//! ```text
//! printf xyzzy > trusted.key; printf plugh > public.key
//! cargo run -p msip-broker -- --listen tcp://127.0.0.1:9000 \
//!     --listen 'mm://127.0.0.1:8764?trusted_key=trusted.key&public_key=public.key&origin=null'
//! cargo run -p msip-examples --bin middleman-echo -- serve                (in another terminal)
//! cargo run -p msip-examples --bin middleman-echo -- ask 'hello, broker'  (in a third)
//! cargo run -p msip-examples --bin broker-req -- Echo 'hello from MSIP'   (a client of MSIP asks the same service)
//! ```
//!
//! `page.html` beside this file asks it too, from a browser. docs/dialects.md says how a system of MiddleMan's is moved, one end at a time.

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "it tells people what it is asked, and answered"
)]

use std::{error::Error, fmt::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};
use futures_util::{SinkExt as _, StreamExt as _};
use msip_examples::{printable, stop_signal, with_causes};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

/// Speaks MiddleMan to a broker.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    what: What,

    /// Where the broker listens for MiddleMan: host:port
    #[arg(long, global = true, default_value = "127.0.0.1:8764")]
    broker: String,

    /// The key to show; that of services or that of everyone else where it is not said
    #[arg(long, global = true)]
    key: Option<String>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Serves Echo: answers each request with its own text
    Serve,
    /// Asks Echo
    Ask {
        /// What to say
        text: String,
    },
}

/// A connection to a broker.
struct MiddleMan(WebSocketStream<TcpStream>);

impl MiddleMan {
    /// Connects, and shows a key.
    async fn connect(broker: &str, key: &str) -> Result<Self, Box<dyn Error>> {
        let stream = TcpStream::connect(broker).await?;
        let (socket, _) = client_async(format!("ws://{broker}/"), stream).await?;
        let mut connection = Self(socket);
        connection.send(key.to_owned()).await?;
        match connection.next().await? {
            Some(text) if text == "MM OK" => {}
            other => return Err(format!("not let in: {other:?}").into()),
        }
        // The second text is the id of this connection.
        connection.next().await?;
        Ok(connection)
    }

    async fn send(&mut self, text: String) -> Result<(), Box<dyn Error>> {
        Ok(self.0.send(Message::text(text)).await?)
    }

    /// The next text; nothing at the end.
    async fn next(&mut self) -> Result<Option<String>, Box<dyn Error>> {
        while let Some(message) = self.0.next().await {
            match message? {
                Message::Text(text) => return Ok(Some(text.to_string())),
                Message::Close(Some(close)) => return Err(close.reason.to_string().into()),
                _ => {}
            }
        }
        Ok(None)
    }
}

/// A message taken apart: its first line, its headers, and its body.
type Parts<'a> = (&'a str, Vec<(&'a str, &'a str)>, &'a str);

fn parts(text: &str) -> Option<Parts<'_>> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let first = lines.next()?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    Some((first, headers.collect(), body.strip_suffix("\r\n.\r\n")?))
}

/// Serves Echo.
async fn serve(broker: &str, key: &str) -> Result<(), Box<dyn Error>> {
    let mut connection = MiddleMan::connect(broker, key).await?;
    connection.send("EREQ Echo\n\n\r\n.\r\n".to_owned()).await?;
    println!("serving Echo at ws://{broker}");
    let stop = stop_signal()?;
    tokio::pin!(stop);
    loop {
        let text = tokio::select! {
            text = connection.next() => text?,
            _ = &mut stop => return Ok(()),
        };
        let Some(text) = text else {
            return Err("the broker has closed the connection".into());
        };
        let Some(("REQ Echo", headers, body)) = parts(&text) else {
            eprintln!("told: {}", printable(text.as_bytes()));
            continue;
        };
        println!("asked: {}", printable(body.as_bytes()));
        // All headers go back, as Python's class has it: the number of the request is among them.
        let mut answer = "RES Echo\n".to_owned();
        for (name, value) in headers {
            writeln!(answer, "{}:{value}", name.to_lowercase())?;
        }
        write!(answer, "\n{body}\r\n.\r\n")?;
        connection.send(answer).await?;
    }
}

/// Asks Echo.
async fn ask(broker: &str, key: &str, text: &str) -> Result<(), Box<dyn Error>> {
    let mut connection = MiddleMan::connect(broker, key).await?;
    let asked = format!("REQ Echo\r\nReqID: 1\r\n\r\n{text}\r\n.\r\n");
    connection.send(asked).await?;
    while let Some(text) = connection.next().await? {
        match parts(&text) {
            Some(("RES Echo", headers, body)) if headers.contains(&("ReqID", "1")) => {
                println!("{}", printable(body.as_bytes()));
                connection.0.close(None).await?;
                return Ok(());
            }
            Some(("PUB ERROR", _, why)) => return Err(why.to_owned().into()),
            _ => {}
        }
    }
    Err("the broker has closed the connection".into())
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { what, broker, key } = Args::parse();
    let done = match &what {
        What::Serve => serve(&broker, key.as_deref().unwrap_or("xyzzy")).await,
        What::Ask { text } => ask(&broker, key.as_deref().unwrap_or("plugh"), text).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}
