//! Log lines that strangers and clients cause: a few a second, in which their input is escaped text.

use std::{process::Stdio, time::Instant};

use msip_runtime::{
    Client,
    transport::ServiceUrl,
    wire::{FrameType, Hello, SECRET_LEN},
};
use msip_tests::{
    ServerProcess,
    lab::{Lab, SendClientToServer as _},
    messages::act,
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
        Self::of(Command::new(env!("CARGO_BIN_EXE_lab-server"))).await
    }

    async fn of(mut command: Command) -> Self {
        // Rust's own words about a panic.
        command.stderr(Stdio::null());
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

/// The number behind `name=` in a line; `None` where it has none.
fn number(line: &str, name: &str) -> Option<u64> {
    let (_, rest) = line.split_once(&format!(" {name}="))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Lines about one thing, and what was left out of them.
#[derive(Debug, Default)]
struct Told {
    logged: u64,
    counted: u64,
}

impl Told {
    /// Reads on until so many lines were logged or counted.
    async fn read(logged: &mut Logged, all: u64, is_about: impl Fn(&str) -> bool) -> Self {
        let mut told = Self::default();
        while told.logged + told.counted < all {
            let line = logged
                .server
                .line("a line, or how many were not written")
                .await;
            if line.contains("not logged one by one") && is_about(&line) {
                told.counted += number(&line, "lines").expect("is counted");
                assert_eq!(number(&line, "addresses"), Some(1), "{line}");
            } else if is_about(&line) {
                told.logged += 1;
            }
        }
        assert_eq!(told.logged + told.counted, all, "{told:?}");
        told
    }

    /// At most a burst of lines, and one for each second that has passed.
    fn is_limited(&self, burst: u64, begun: Instant) {
        let seconds = begun.elapsed().as_secs();
        assert!(
            self.logged <= burst + seconds + 1,
            "{self:?} in {seconds} s"
        );
    }
}

#[tokio::test]
async fn strangers_fill_a_line_a_second_and_the_rest_is_counted() {
    let mut logged = Logged::start().await;
    let begun = Instant::now();
    // A session that others would like to have.
    let mut owner = RawPeer::dial(&logged.url).await;
    owner.say(&raw::resuming_frame(&raw::hello())).await;
    owner.hear_type(FrameType::Ack).await;
    for stranger in 0..STRANGERS {
        match stranger % 4 {
            0 => logged.stranger(b"GET / HTTP/1.1\r\n\r\n").await,
            1 => {
                let another = Hello {
                    protocol: "another".to_owned(),
                    ..raw::hello()
                };
                logged.stranger(&raw::hello_frame(&another)).await;
            }
            2 => {
                let guess = Hello {
                    fingerprint: stranger,
                    session_secret: vec![1; SECRET_LEN],
                    ..raw::hello()
                };
                logged.stranger(&raw::resuming_frame(&guess)).await;
            }
            _ => logged.stranger(&[0; 100]).await,
        }
    }
    let is_about = |line: &str| line.contains("refused") || line.contains("no HELLO");
    let told = Told::read(&mut logged, STRANGERS, is_about).await;
    assert!(told.logged >= 1);
    told.is_limited(1, begun);
}

#[tokio::test]
async fn an_identity_is_logged_as_escaped_text() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab-server"));
    command.args(["tcp://127.0.0.1:0", "key"]);
    let mut logged = Logged::of(command).await;
    let visitor = Hello {
        client_name: format!("\u{1b}[2J\nINFO fake\r{}", "x".repeat(200)),
        credential: b"key".to_vec(),
        ..raw::hello()
    };
    logged.visitor(&visitor).await;
    let lines = logged.until("connected").await;
    let line = lines.last().expect("a line");
    let (_, identity) = line.split_once(" identity=").expect("is logged");
    assert!(
        identity.starts_with(r"credential \u{1b}[2J\nINFO fake\rxxx"),
        "{line}"
    );
    assert!(identity.matches('x').count() < 128, "{line}");
    assert!(!lines.iter().any(|line| line.starts_with("INFO fake")));
}

#[tokio::test]
async fn clients_that_come_and_go_fill_a_few_lines_a_second_and_the_rest_is_counted() {
    let mut logged = Logged::start().await;
    let begun = Instant::now();
    for _ in 0..STRANGERS {
        logged.visitor(&raw::hello()).await;
    }
    let is_about = |line: &str| line.contains("connected");
    let told = Told::read(&mut logged, 2 * STRANGERS, is_about).await;
    assert!(
        told.logged >= 20,
        "a few clients are logged whole: {told:?}"
    );
    told.is_limited(60, begun);
}

#[tokio::test]
async fn a_client_whose_calls_panic_fills_a_few_lines_a_second() {
    let mut logged = Logged::start().await;
    let begun = Instant::now();
    let client = Client::<Lab>::connect(logged.url.to_string()).await;
    let client = client.expect("connects");
    for _ in 0..STRANGERS {
        let answer = client.act_req(act("panic")).await;
        assert!(answer.is_err(), "{answer:?}");
    }
    client.close().await;
    let lines = logged.until("disconnected").await;
    let panics = lines
        .iter()
        .filter(|line| line.contains("a handler panicked"));
    let told = Told {
        logged: panics.clone().count().try_into().expect("fits"),
        counted: panics.filter_map(|line| number(line, "unsaid")).sum(),
    };
    assert!(
        told.logged >= 20 && told.logged + told.counted <= STRANGERS,
        "{told:?}"
    );
    told.is_limited(20, begun);
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
