//! The chat client: a chat in the terminal, for one user.
//!
//! ```text
//! cargo run -p msip-examples --bin chat-server                   (in one terminal)
//! cargo run -p msip-examples --bin chat-client -- --name ada     (in as many others as you like)
//! ```
//!
//! What is typed goes to everyone in the room. `/who` tells who is there and who is at the keyboard, `/ping` how far
//! away the server is, `/quit`, Ctrl-C or Ctrl-D leave. If the connection is lost the client says so, retries until the
//! server is back, and enters the room again by itself.
//!
//! It works in a pipe too: `echo hello | chat-client --name bot` says hello and leaves.

mod commands;
mod event;
mod screen;

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use msip_examples::{
    chat::{Chat, MessageInd, SendClientToServer as _},
    stop_signal, with_causes,
};
use msip_runtime::Client;
use tokio::sync::mpsc;

use commands::{Commands, HELP};
use event::{Event, Keyboard, Member};
use screen::{Input, Screen};

/// How many events wait for the screen.
const EVENTS: usize = 256;

/// Talks to everyone in the room of a chat-server.
#[derive(Debug, Parser)]
struct Args {
    /// The name to be known by: 1 to 20 letters, digits, `-` or `_`
    #[arg(long)]
    name: String,

    /// Where the server is: tcp://host:port, or another transport, with settings behind a `?`
    /// (tcp://127.0.0.1:7400?reconnect_max=1s, tls://localhost:7400?ca=certs/ca.pem; quic:// with the same)
    #[arg(long, default_value = "tcp://127.0.0.1:7400")]
    url: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match chat(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            screen::complain(&format!("error: {text}"));
            ExitCode::FAILURE
        }
    }
}

/// The conversation, from entering to leaving. The error is for people to read.
async fn chat(args: &Args) -> Result<(), String> {
    let keyboard = Arc::new(Keyboard::default());
    let (member, mut events) = Member::new(&args.name, Arc::clone(&keyboard), EVENTS);
    let client = Client::<Chat>::builder(&args.url)
        // A user waits for it: no longer than this between two attempts.
        .reconnect_max(Duration::from_secs(2))
        .handler(member)
        .name("chat-client")
        .connect()
        .await
        .map_err(|error| with_causes(&error))?;
    let first = events.recv().await;
    let Some(Event::Entered(_)) = first else {
        let text = first.map_or_else(
            || "the client is gone".to_owned(),
            |event| event.to_string(),
        );
        return Err(text);
    };

    // Before anything is shown: from then on no signal leaves the terminal in another mode.
    let stopped = stop_signal().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let (mut screen, mut inputs) = screen::open(&args.name);
    tokio::select! {
        () = stopped => {}
        () = converse(&client, &mut screen, &mut inputs, first, &mut events, &keyboard) => {}
    }
    // A handler that waits for the screen would keep the connection from closing.
    drop(events);
    // Messages that are queued go out first.
    client.close().await;
    screen.close("* bye");
    Ok(())
}

/// Shows events and sends what is typed, until the user quits or the session ends.
async fn converse(
    client: &Client<Chat>,
    screen: &mut Screen,
    inputs: &mut mpsc::Receiver<Input>,
    welcome: Option<Event>,
    events: &mut mpsc::Receiver<Event>,
    keyboard: &Keyboard,
) {
    let mut commands = Commands::default();
    if let Some(welcome) = welcome {
        screen.print(&welcome.to_string());
    }
    screen.print(HELP);
    loop {
        let input = tokio::select! {
            Some(event) = events.recv() => {
                screen.print(&event.to_string());
                continue;
            }
            Some(outcome) = commands.next() => {
                screen.print(&outcome);
                continue;
            }
            input = inputs.recv() => input.unwrap_or(Input::End),
        };
        keyboard.touched();
        match input {
            Input::Say(text) => {
                let message = MessageInd {
                    text,
                    ..MessageInd::default()
                };
                // Sent now or not at all: the prompt must not block.
                if let Err(error) = client.try_message_ind(message) {
                    screen.print(&format!("* not sent: {error}"));
                }
            }
            Input::Who => commands.who(client),
            Input::Ping => commands.ping(client),
            Input::Help => screen.print(HELP),
            Input::Unknown(command) => {
                screen.print(&format!(
                    "* there is no {command}; {}",
                    HELP.trim_start_matches("* ")
                ));
            }
            Input::Quit => return,
            // The end of a pipe: pending requests are still answered.
            Input::End => {
                while let Some(outcome) = commands.next().await {
                    screen.print(&outcome);
                }
                return;
            }
        }
    }
}
