//! A server and a client, each a process of its own, under load, while connections break and processes are stopped,
//! killed and started again: no acknowledged message is lost, none is handled twice, each call has one outcome, and a
//! stream ends, with or without an error.
//!
//! Both write down what they do, and the test compares. It waits for what they print, never for the clock.
//!
//! `MSIP_FAULTS_ROUNDS=100 cargo test -p msip-tests --test whole_processes -- --nocapture` goes on for longer, with
//! other seeds, and prints what was counted, which a short run does too.

#![cfg(unix)]
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "what was counted is worth a look")]

#[path = "whole_processes/through_broker.rs"]
mod through_broker;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use msip_tests::{
    Authority,
    journal::Journal,
    proxy::{DatagramProxy, Plan, Proxy, Random, Tally},
    soon,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    sync::watch,
    task::JoinHandle,
};

/// Short waits, so that much happens in little time; long ones would only make the test longer.
const CLIENT: &str = "handshake_timeout=1s&connect_timeout=1s&reconnect_min=5ms&reconnect_max=50ms&call_timeout=20s&\
                      write_timeout=20s&buffer_disconnected=1MiB";
const SERVER: &str = "127.0.0.1:0?write_timeout=20s";

/// Both ends find a silent one soon. A process that a busy machine holds up is given up too.
const OFTEN: &str = "ping_interval=400ms";

/// Whether this transport has certificates.
fn has_tls(scheme: &str) -> bool {
    matches!(scheme, "tls" | "wss" | "quic")
}

/// Writes the certificates of a transport that has some.
fn write_certificates(scheme: &str, folder: &Path) {
    if has_tls(scheme) {
        let authority = Authority::new("authority");
        fs::write(folder.join("ca.pem"), authority.pem()).expect("written");
        let issued = authority.issue_local();
        issued.write(folder, "certificate").expect("written");
    }
}

/// The URL of a server at any port.
fn server_url(scheme: &str, folder: &Path) -> String {
    let url = format!("{scheme}://{SERVER}&{OFTEN}");
    if !has_tls(scheme) {
        return url;
    }
    let path = |name| folder.join(name).display().to_string();
    let (cert, key) = (path("certificate.pem"), path("certificate.key"));
    format!("{url}&cert={cert}&key={key}")
}

/// The URL of a client.
fn client_url(scheme: &str, address: SocketAddr, folder: &Path) -> String {
    let url = format!("{scheme}://{address}?{CLIENT}&{OFTEN}");
    if !has_tls(scheme) {
        return url;
    }
    format!("{url}&ca={}", folder.join("ca.pem").display())
}

/// The first number of a client; smaller ones mean something to the server.
const FIRST: u64 = 1000;

/// How much good comes of each stretch of work between two faults, at least.
const STRETCH: u64 = 200;

/// How many connections the network breaks: each way in which it can, three times.
const TROUBLES: u64 = 21;

/// How often a server is killed.
const KILLS: u64 = 16;

/// What the client has said.
#[derive(Debug, Clone, Default)]
struct Progress {
    done: u64,
    connections: u64,
    resumes: u64,
    disconnects: u64,
    lost_sessions: u64,
    /// What has come from the server.
    got: HashSet<u64>,
    is_finished: bool,
    has_ended: bool,
}

impl Progress {
    fn hear(&mut self, line: &str) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["done", _] => self.done += 1,
            ["up", _, resumed] => {
                self.connections += 1;
                self.resumes += u64::from(resumed == "resumed");
            }
            ["down", ..] => self.disconnects += 1,
            ["got", number] => {
                self.got.insert(number.parse().expect("a number"));
            }
            ["finished"] => self.is_finished = true,
            ["lost", count] => self.lost_sessions = count.parse().expect("a number"),
            _ => panic!("the client said `{line}`"),
        }
    }
}

/// A server process.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    async fn start(scheme: &str, folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_journal-server"))
            .arg(server_url(scheme, folder))
            .arg(folder.join("server"))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let line = soon("where the server listens", lines.next_line()).await;
        let line = line.expect("text").expect("a line");
        // A WebSocket's address has a path.
        let (_, address) = line.split_once("://").expect("a URL");
        let address = address.trim_end_matches('/').parse();
        Self {
            child,
            address: address.expect("an address"),
        }
    }
}

/// The proxy of a transport.
enum AnyProxy {
    Streams(Proxy),
    Datagrams(DatagramProxy),
}

impl AnyProxy {
    async fn start(scheme: &str, target: SocketAddr, plan: Plan) -> Self {
        match scheme {
            "quic" => Self::Datagrams(DatagramProxy::with_plan(target, plan).await),
            _ => Self::Streams(Proxy::with_plan(target, plan).await),
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Streams(proxy) => proxy.address(),
            Self::Datagrams(proxy) => proxy.address(),
        }
    }

    fn aim(&self, target: SocketAddr) {
        match self {
            Self::Streams(proxy) => proxy.aim(target),
            Self::Datagrams(proxy) => proxy.aim(target),
        }
    }

    fn cut(&self) {
        match self {
            Self::Streams(proxy) => proxy.cut(),
            Self::Datagrams(proxy) => proxy.cut(),
        }
    }

    fn tally(&self) -> watch::Receiver<Tally> {
        match self {
            Self::Streams(proxy) => proxy.tally(),
            Self::Datagrams(proxy) => proxy.tally(),
        }
    }
}

/// A client process.
struct ClientProcess {
    child: Child,
    input: ChildStdin,
    progress: watch::Receiver<Progress>,
    listening: JoinHandle<()>,
}

impl ClientProcess {
    /// Starts a client, again until it has connected: the first attempt is not repeated by the client, and may be one that a
    /// plan breaks.
    async fn start(url: &str, folder: &Path, seed: u64) -> Self {
        Self::start_at(url, folder, seed, FIRST).await
    }

    /// Starts one whose numbers begin with `first`: one of before has used those below.
    async fn start_at(url: &str, folder: &Path, seed: u64, first: u64) -> Self {
        let (mut child, mut lines) = loop {
            let mut child = Command::new(env!("CARGO_BIN_EXE_journal-client"))
                .arg(url)
                .arg(folder.join("client"))
                .arg(seed.to_string())
                .arg(first.to_string())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .expect("starts");
            let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
            if let Some(line) = soon("a first word", lines.next_line()).await.expect("text") {
                let mut progress = Progress::default();
                progress.hear(&line);
                break (child, lines);
            }
        };
        let (told, progress) = watch::channel(Progress {
            connections: 1,
            ..Progress::default()
        });
        let listening = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                told.send_modify(|progress| progress.hear(&line));
            }
            told.send_modify(|progress| progress.has_ended = true);
        });
        Self {
            input: child.stdin.take().expect("piped"),
            child,
            progress,
            listening,
        }
    }

    async fn until(&mut self, what: &str, reached: impl Fn(&Progress) -> bool) {
        let wait = self
            .progress
            .wait_for(|progress| reached(progress) || progress.has_ended);
        let progress = soon(what, wait).await.expect("is listened to");
        assert!(reached(&progress), "the client ended early: {progress:?}");
    }

    /// Waits until so much more is well done.
    async fn work(&mut self, stretch: u64) {
        let wanted = self.progress.borrow().done + stretch;
        self.until("work that gets done", |progress| progress.done >= wanted)
            .await;
    }

    /// Lets it finish what is open, and end.
    async fn close(mut self) {
        drop(self.input);
        let status = soon("the client to finish", self.child.wait()).await;
        assert!(status.expect("it ran").success(), "the client failed");
        self.listening.await.expect("no panic");
    }
}

/// The two processes with the proxy between them.
struct Stage {
    /// Of the transport.
    scheme: &'static str,
    folder: tempfile::TempDir,
    server: Server,
    client: ClientProcess,
    proxy: AnyProxy,
    kills: u64,
    stops: u64,
}

impl Stage {
    async fn open(scheme: &'static str, seed: u64, plan: Plan) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        write_certificates(scheme, folder.path());
        let server = Server::start(scheme, folder.path()).await;
        let proxy = AnyProxy::start(scheme, server.address, plan).await;
        let url = client_url(scheme, proxy.address(), folder.path());
        let client = ClientProcess::start(&url, folder.path(), seed).await;
        Self {
            scheme,
            folder,
            server,
            client,
            proxy,
            kills: 0,
            stops: 0,
        }
    }

    /// Waits until so much more is well done.
    async fn work(&mut self, stretch: u64) {
        self.client.work(stretch).await;
    }

    async fn kill_and_restart_server(&mut self) {
        let lost = self.client.progress.borrow().lost_sessions;
        self.server.child.kill().await.expect("it runs");
        self.kills += 1;
        self.server = Server::start(self.scheme, self.folder.path()).await;
        self.proxy.aim(self.server.address);
        self.client
            .until("the loss of the session to be told", |progress| {
                progress.lost_sessions > lost
            })
            .await;
    }

    fn signal(child: &Child, signal: Signal) {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let pid = id.and_then(Pid::from_raw).expect("it runs");
        kill_process(pid, signal).expect("can be sent");
    }

    /// Stops the server until the client has given it up, and lets it go on.
    async fn stop_server_until_given_up(&mut self) {
        let disconnects = self.client.progress.borrow().disconnects;
        Self::signal(&self.server.child, Signal::STOP);
        self.stops += 1;
        self.client
            .until("a server that stands still to be given up", |progress| {
                progress.disconnects > disconnects
            })
            .await;
        Self::signal(&self.server.child, Signal::CONT);
    }

    /// Stops the client, and cuts its connection meanwhile; it goes on with a broken one.
    async fn stop_client_while_cut(&mut self) {
        let disconnects = self.client.progress.borrow().disconnects;
        let mut tally = self.proxy.tally();
        let cuts = tally.borrow().cuts;
        Self::signal(&self.client.child, Signal::STOP);
        self.stops += 1;
        self.proxy.cut();
        soon("the cut", tally.wait_for(|tally| tally.cuts > cuts))
            .await
            .expect("runs");
        Self::signal(&self.client.child, Signal::CONT);
        self.client
            .until("the cut to be seen", |progress| {
                progress.disconnects > disconnects
            })
            .await;
    }

    /// Lets what is open finish, and compares what both have written down.
    async fn close(mut self, name: &str, begun: Instant) -> Figures {
        let told = self.client.progress.clone();
        self.client.close().await;
        self.server.child.kill().await.expect("it runs");
        let read = |name: &str| -> Vec<Vec<String>> {
            let path: PathBuf = self.folder.path().join(name);
            Journal::read(&path).expect("can be read")
        };
        let mut figures = Figures::of(&read("client"), &read("server"), may_refuse);
        let progress = told.borrow().clone();
        let tally = *self.proxy.tally().borrow();
        for (what, count) in [
            ("kills", self.kills),
            ("stops", self.stops),
            ("cuts", tally.cuts),
            ("resets", tally.resets),
            ("truncations", tally.truncations),
            ("blackholes", tally.blackholes),
            ("connections", progress.connections),
            ("resumes", progress.resumes),
            ("sessions lost", progress.lost_sessions),
            ("bytes", tally.bytes),
        ] {
            figures.add(what, count);
        }
        figures.check(name, begun);
        figures
    }
}

/// What was done, how often, and what should not have been.
#[derive(Default)]
struct Figures {
    counts: BTreeMap<String, u64>,
    mistakes: Vec<String>,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (what, count) in &self.counts {
            writeln!(f, "  {what}: {count}")?;
        }
        Ok(())
    }
}

impl Figures {
    fn add(&mut self, what: &str, count: u64) {
        *self.counts.entry(what.to_owned()).or_default() += count;
    }

    fn count(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }

    /// Prints what was counted; there may be no mistakes.
    fn check(&self, name: &str, begun: Instant) {
        println!("{name}, {:.1} s\n{self}", begun.elapsed().as_secs_f64());
        assert!(
            self.mistakes.is_empty(),
            "{name}: {} mistakes: {:#?}",
            self.mistakes.len(),
            &self.mistakes[..self.mistakes.len().min(20)]
        );
    }

    fn mistake(&mut self, mistake: String) {
        self.mistakes.push(mistake);
    }

    /// Compares the journals of a client and of its servers.
    fn of(
        client: &[Vec<String>],
        server: &[Vec<String>],
        may_refuse: impl Fn(&[&str]) -> bool,
    ) -> Self {
        let mut figures = Self::default();
        // Nothing is sent again by the application, so that nothing may be there twice, in whatever session.
        let called = figures.once(server, "call");
        let saved = figures.once(server, "save");
        let got = figures.once(client, "got");
        let mut open: HashSet<(&str, &str)> = HashSet::new();
        let mut outcomes: HashMap<(&str, &str), &str> = HashMap::new();
        for line in client {
            let words: Vec<&str> = line.iter().map(String::as_str).collect();
            match words[..] {
                ["begin", what, number] => {
                    if !open.insert((what, number)) {
                        figures.mistake(format!("{what} {number} began twice"));
                    }
                }
                ["end", what, number, outcome, ref rest @ ..] => {
                    let code = match (outcome, rest) {
                        ("refused", [code, ..]) => format!(" {}", code.trim_end_matches(':')),
                        _ => String::new(),
                    };
                    figures.add(&format!("{what}: {outcome}{code}"), 1);
                    if !open.remove(&(what, number)) {
                        figures.mistake(format!("{what} {number} has two outcomes"));
                    }
                    if outcome == "wrong" || outcome == "refused" && !may_refuse(rest) {
                        figures.mistake(line.join(" "));
                    }
                    outcomes.insert((what, number), outcome);
                }
                ["got", _] => {}
                _ => figures.mistake(format!("the client wrote `{}`", line.join(" "))),
            }
        }
        for (what, number) in open {
            figures.mistake(format!("{what} {number} has no outcome"));
        }
        for (&(what, number), &outcome) in &outcomes {
            let handled = match what {
                "save" => &saved,
                "call" => &called,
                _ => continue,
            };
            match outcome {
                "good" if !handled.contains(number) => {
                    figures.mistake(format!("{what} {number} was answered and never handled"));
                }
                "not-run" if handled.contains(number) => {
                    figures.mistake(format!("{what} {number} was handled, and said not to be"));
                }
                _ => {}
            }
        }
        for line in server {
            if let ["sent", number, outcome] =
                line.iter().map(String::as_str).collect::<Vec<_>>()[..]
            {
                figures.add(&format!("sent back: {outcome}"), 1);
                if outcome == "ok" && !got.contains(number) {
                    figures.mistake(format!("the client acknowledged {number} and never got it"));
                }
            }
        }
        figures
    }

    /// The numbers behind this word, none of which may be there twice.
    fn once<'a>(&mut self, journal: &'a [Vec<String>], word: &str) -> HashSet<&'a str> {
        let mut seen = HashSet::new();
        for line in journal {
            if let [first, number, ..] = &line[..]
                && first == word
                && !seen.insert(number.as_str())
            {
                self.mistake(format!("{word} {number} was handled twice"));
            }
        }
        self.add(
            &format!("{word}s handled"),
            u64::try_from(seen.len()).expect("fits"),
        );
        seen
    }
}

/// Whether it may be refused in these words: what the resumption of a session tells of its exchanges.
fn may_refuse(words: &[&str]) -> bool {
    matches!(
        words,
        ["UNKNOWN:", "reply", "lost"] | ["UNAVAILABLE:", "not", "received"]
    )
}

/// The seeds of this run: one, or as many as are asked for.
fn seeds() -> impl Iterator<Item = u64> {
    let rounds = std::env::var("MSIP_FAULTS_ROUNDS").ok();
    let rounds: u64 = rounds.map_or(1, |rounds| rounds.parse().expect("a number"));
    (0..rounds).map(|round| Random(round).draw() >> 8)
}

async fn a_network_that_breaks(scheme: &'static str) {
    for seed in seeds() {
        let begun = Instant::now();
        let mut stage = Stage::open(scheme, seed, Plan::seeded(seed, TROUBLES, 60_000)).await;
        let mut tally = stage.proxy.tally();
        soon(
            "the end of the plan",
            tally.wait_for(|tally| tally.troubles() == TROUBLES),
        )
        .await
        .expect("runs");
        stage.work(STRETCH).await;
        for _ in 0..5 {
            stage.proxy.cut();
            stage.work(STRETCH).await;
        }
        let figures = stage
            .close(&format!("network, {scheme}, seed {seed}"), begun)
            .await;
        assert!(figures.count("resumes") >= TROUBLES / 2, "{figures}");
        assert_eq!(
            figures.count("sessions lost"),
            0,
            "both processes lived: {figures}"
        );
        assert_eq!(figures.count("save: good"), figures.count("saves handled"));
    }
}

async fn a_server_that_is_killed(scheme: &'static str) {
    for seed in seeds() {
        let begun = Instant::now();
        let mut stage = Stage::open(scheme, seed, Plan::calm()).await;
        let mut random = Random(seed);
        for _ in 0..KILLS {
            stage.work(1 + random.below(2 * STRETCH)).await;
            stage.kill_and_restart_server().await;
        }
        stage.work(STRETCH).await;
        let figures = stage
            .close(&format!("kill -9, {scheme}, seed {seed}"), begun)
            .await;
        assert_eq!(figures.count("sessions lost"), KILLS, "{figures}");
    }
}

async fn processes_that_stand_still(scheme: &'static str) {
    for seed in seeds() {
        let begun = Instant::now();
        let mut stage = Stage::open(scheme, seed, Plan::calm()).await;
        for _ in 0..3 {
            stage.work(STRETCH).await;
            stage.stop_server_until_given_up().await;
            stage.work(STRETCH).await;
            stage.stop_client_while_cut().await;
        }
        stage.work(STRETCH).await;
        let figures = stage
            .close(&format!("SIGSTOP, {scheme}, seed {seed}"), begun)
            .await;
        assert_eq!(figures.count("sessions lost"), 0, "{figures}");
        assert_eq!(figures.count("save: good"), figures.count("saves handled"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_network_that_breaks_loses_and_repeats_nothing() {
    a_network_that_breaks("tcp").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tls_over_a_network_that_breaks_loses_and_repeats_nothing() {
    a_network_that_breaks("tls").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn websockets_over_a_network_that_breaks_lose_and_repeat_nothing() {
    a_network_that_breaks("ws").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn quic_over_a_network_that_breaks_loses_and_repeats_nothing() {
    a_network_that_breaks("quic").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_that_is_killed_takes_no_acknowledged_message_with_it() {
    a_server_that_is_killed("tcp").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tls_to_a_server_that_is_killed_loses_no_acknowledged_message() {
    a_server_that_is_killed("tls").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn websockets_to_a_server_that_is_killed_lose_no_acknowledged_message() {
    a_server_that_is_killed("ws").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn quic_to_a_server_that_is_killed_loses_no_acknowledged_message() {
    a_server_that_is_killed("quic").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn processes_that_stand_still_go_on_where_they_were() {
    processes_that_stand_still("tcp").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tls_of_processes_that_stand_still_goes_on_where_it_was() {
    processes_that_stand_still("tls").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn websockets_of_processes_that_stand_still_go_on_where_they_were() {
    processes_that_stand_still("ws").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn quic_of_processes_that_stand_still_goes_on_where_it_was() {
    processes_that_stand_still("quic").await;
}

#[test]
fn what_should_not_be_is_found() {
    let good = (
        "begin call 1000\nend call 1000 good\nbegin save 1001\nend save 1001 good\ngot 1001",
        "call 1000\nsave 1001 7\nsent 1001 ok",
    );
    let cases = [
        (good, None),
        (("begin call 1", ""), Some("call 1 has no outcome")),
        (
            ("begin call 1\nend call 1 good\nend call 1 good", "call 1"),
            Some("call 1 has two outcomes"),
        ),
        (
            ("begin call 1\nend call 1 good", ""),
            Some("call 1 was answered and never handled"),
        ),
        (
            ("begin save 1\nend save 1 good", ""),
            Some("save 1 was answered and never handled"),
        ),
        (
            ("begin save 1\nend save 1 not-run", "save 1 7"),
            Some("save 1 was handled, and said not to be"),
        ),
        (
            ("begin save 1\nend save 1 good", "save 1 7\nsave 1 7"),
            Some("save 1 was handled twice"),
        ),
        (
            ("begin call 1\nend call 1 unknown", "call 1\ncall 1"),
            Some("call 1 was handled twice"),
        ),
        (("got 1\ngot 1", ""), Some("got 1 was handled twice")),
        (
            ("", "sent 1 ok"),
            Some("the client acknowledged 1 and never got it"),
        ),
        (
            ("begin count 1\nend count 1 wrong 3 instead of 2", ""),
            Some("end count 1 wrong 3 instead of 2"),
        ),
        (
            (
                "begin call 1\nend call 1 refused INTERNAL: panicked",
                "call 1",
            ),
            Some("end call 1 refused INTERNAL: panicked"),
        ),
    ];
    for ((client, server), mistake) in cases {
        let lines = |text: &str| -> Vec<Vec<String>> {
            text.lines()
                .map(|line| line.split(' ').map(str::to_owned).collect())
                .collect()
        };
        let figures = Figures::of(&lines(client), &lines(server), may_refuse);
        let expected: Vec<&str> = mistake.into_iter().collect();
        assert_eq!(figures.mistakes, expected, "{client:?} and {server:?}");
    }
}
