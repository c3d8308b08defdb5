//! Clients in Python set and clear STATEs through a broker, which keeps the last of each key.

use std::process::Stdio;

use msip_runtime::{Peer, Status};
use msip_tests::{
    Recorder, THROUGH_A_BROKER,
    gauges::{
        BroadcastServerToClient as _, ClientToServer, Gauges, HandleClientToServer, Level, Line,
    },
    next, recorder, soon,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
};

use super::programs::program;

/// What the service hears.
#[derive(Debug)]
enum Seen {
    Connected(Peer<Gauges>),
    State(String),
}

#[derive(Debug)]
struct Service(Recorder<Seen>);

impl HandleClientToServer for Service {
    async fn on_client_connected(&self, peer: &Peer<Gauges>) {
        self.0.record(Seen::Connected(peer.clone()));
    }

    async fn on_level_state(&self, _: &Peer<Gauges>, state: Level) {
        let text = format!("level {} {}", state.gauge, state.level);
        self.0.record(Seen::State(text));
    }

    async fn on_state_cleared(&self, _: &Peer<Gauges>, state: ClientToServer) {
        if let ClientToServer::LevelState(state) = state {
            let text = format!("cleared {} {}", state.gauge, state.level);
            self.0.record(Seen::State(text));
        }
    }

    async fn on_echo_req(&self, _: &Peer<Gauges>, request: Line) -> Result<Line, Status> {
        Ok(request)
    }
}

/// A client in Python.
struct Program {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Program {
    fn start(url: &str) -> Option<Self> {
        let mut child = program("gauges_client.py")?
            .arg(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let input = child.stdin.take().expect("its input is piped");
        let output = child.stdout.take().expect("its output is piped");
        Some(Self {
            _child: child,
            input,
            output: BufReader::new(output).lines(),
        })
    }

    async fn line(&mut self) -> String {
        let line = soon("a line of the client", self.output.next_line()).await;
        line.expect("it can be read").expect("the client goes on")
    }

    async fn tell(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.input.write_all(line.as_bytes()).await.expect("told");
    }
}

fn level(gauge: &str, level: u64) -> Level {
    Level {
        gauge: gauge.to_owned(),
        level,
    }
}

#[tokio::test]
async fn states_are_kept_by_their_keys_until_they_are_cleared() {
    let (seen, mut events) = recorder();
    let place = format!("{THROUGH_A_BROKER}tcp://127.0.0.1:0");
    let (url, _serving) = msip_tests::serve::<Gauges, _>(&place, Service(seen)).await;
    let Some(mut client) = Program::start(&url.to_string()) else {
        return;
    };
    assert_eq!(client.line().await, "connected");
    // One after the other: under way a newer state takes the place of an older one.
    let mut peer = None;
    for (line, expected) in [
        ("set oil 1", "level oil 1"),
        ("set gas 2", "level gas 2"),
        ("clear oil", "cleared oil 0"),
        ("clear air", "cleared air 0"),
    ] {
        client.tell(line).await;
        let state = loop {
            match next(&mut events).await {
                Seen::Connected(client) => peer = Some(client),
                Seen::State(state) => break state,
            }
        };
        assert_eq!(state, expected);
    }

    let peer = peer.expect("the client was introduced");
    peer.everyone().level_state(level("oil", 3));
    assert_eq!(client.line().await, "level oil 3");
    peer.everyone().level_state(level("gas", 4));
    assert_eq!(client.line().await, "level gas 4");
    peer.everyone().clearing().level_state(level("oil", 0));
    assert_eq!(client.line().await, "cleared oil 0");
    // Whoever comes later hears what is kept.
    let mut late = Program::start(&url.to_string()).expect("there is Python");
    let mut said = [late.line().await, late.line().await];
    said.sort();
    assert_eq!(said, ["connected", "level gas 4"]);
    peer.everyone().clearing().level_state(level("gas", 0));
    assert_eq!(late.line().await, "cleared gas 0");
}
