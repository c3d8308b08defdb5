//! Log lines that strangers cause: one a second, in which their input is escaped text.

use std::time::Instant;

use msip_runtime::{
    Client,
    transport::ServiceUrl,
    wire::{FrameType, Hello},
};
use msip_tests::{
    ServerProcess,
    lab::{EchoReq, Lab, SendClientToServer as _},
    raw::{self, RawPeer},
};
use tokio::process::Command;

/// How many strangers come.
const STRANGERS: u64 = 300;

/// A server whose log is read.
struct Logged {
    url: ServiceUrl,
    server: ServerProcess,
}

impl Logged {
    async fn start() -> Self {
        let command = Command::new(env!("CARGO_BIN_EXE_lab-server"));
        let server = ServerProcess::start(command).await;
        Self {
            url: server.url.parse().expect("an address"),
            server,
        }
    }

    /// The lines up to one that holds this text.
    async fn until(&mut self, what: &str) -> Vec<String> {
        self.server.lines_until(what).await
    }

    /// A stranger that sends these bytes, and is rejected.
    async fn stranger(&self, bytes: &[u8]) {
        let mut raw = RawPeer::dial(&self.url).await;
        raw.say(bytes).await;
        raw.hear_to_the_end().await;
    }

    /// Says hello under this name, and leaves.
    async fn visitor(&self, hello: &Hello) {
        let mut raw = RawPeer::dial(&self.url).await;
        raw.say(&raw::hello_frame(hello)).await;
        raw.hear_type(FrameType::Ack).await;
        raw.leave().await;
    }
}

/// The number behind `unsaid=` in a line.
fn unsaid(line: &str) -> u64 {
    let (_, rest) = line.split_once("unsaid=").expect("is counted");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

#[tokio::test]
async fn strangers_fill_a_line_a_second_and_the_rest_is_counted() {
    let mut logged = Logged::start().await;
    let begun = Instant::now();
    for stranger in 0..STRANGERS {
        match stranger % 3 {
            0 => logged.stranger(b"GET / HTTP/1.1\r\n\r\n").await,
            1 => {
                let another = Hello {
                    protocol: "another".to_owned(),
                    ..raw::hello()
                };
                logged.stranger(&raw::hello_frame(&another)).await;
            }
            _ => logged.stranger(&[0; 100]).await,
        }
    }
    let seconds = begun.elapsed().as_secs();
    // Who is let in has lines of its own; by the time it is logged, so is all that came before.
    logged.visitor(&raw::hello()).await;
    let lines = logged.until("disconnected").await;
    let complaints: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains("unsaid="))
        .collect();
    let count = u64::try_from(complaints.len()).expect("fits");
    assert!(
        (1..=seconds + 2).contains(&count),
        "{count} lines in {seconds} s: {complaints:#?}"
    );
    let counted: u64 = complaints.iter().map(|line| unsaid(line)).sum();
    assert!(counted + count <= STRANGERS, "{complaints:#?}");
    // Once it was quiet, the next line has the rest.
    loop {
        logged.stranger(b"\r\n\r\n").await;
        let client = Client::<Lab>::connect(logged.url.to_string()).await;
        let client = client.expect("connects");
        client.echo_req(EchoReq::default()).await.expect("answers");
        client.close().await;
        let lines = logged.until("disconnected").await;
        if let Some(line) = lines.iter().find(|line| line.contains("unsaid=")) {
            assert!(unsaid(line) >= STRANGERS - count - counted, "{line}");
            break;
        }
    }
}

#[tokio::test]
async fn what_is_logged_of_a_stranger_is_escaped_and_cut() {
    let mut logged = Logged::start().await;
    let visitor = Hello {
        client_name: format!("\x1b[2J\r\n2026 INFO root: {}", "x".repeat(10_000)),
        ..raw::hello()
    };
    logged.visitor(&visitor).await;
    let mut lines = logged.until("disconnected").await;
    let another = Hello {
        protocol: "\x1b]0;owned\x07\nlisten".to_owned(),
        ..raw::hello()
    };
    logged.stranger(&raw::hello_frame(&another)).await;
    lines.extend(logged.until("refused").await);
    assert!(
        lines
            .iter()
            .any(|line| line.contains(r"\u{1b}[2J\r\n2026 INFO root: xxx")),
        "{lines:#?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains(r"\u{1b}]0;owned\u{7}\nlisten")),
        "{lines:#?}"
    );
    for line in &lines {
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(line.len() < 600, "{} bytes: {line}", line.len());
    }
}
