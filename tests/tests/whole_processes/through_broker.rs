//! A client, a broker and two attached services, each a process of its own, with a proxy on each connection: what holds on a
//! direct connection holds through a broker, as long as that lives.
//!
//! Both services hear each delivery, and one of them each call. The first is never killed.

use std::{collections::BTreeSet, net::SocketAddr, path::Path, process::Stdio, time::Instant};

use msip_tests::{
    journal::Journal,
    proxy::{Plan, Proxy, Random},
    soon,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
};

use crate::{CLIENT, ClientProcess, FIRST, Figures, OFTEN, SERVER, STRETCH, seeds};

/// How many connections the network breaks, of the client and of each service: each way in which it can.
const TROUBLES: u64 = 7;

/// How often a service or the broker is killed, or a service is drained.
const ROUNDS: u64 = 8;

/// No process is given up that is only slow: where none falls silent, and a call must not be lost.
const SELDOM: &str = "ping_interval=20s";

/// The numbers that one service sends back, from those of the other.
const OFFSET: u64 = 1_000_000_000;

/// The numbers of one client, from those of the next.
const NUMBERS: u64 = 1_000_000;

/// With whom messages may have gone that were acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GoneWith {
    Nobody,
    /// What is in its memory alone.
    Broker,
    /// What was on its way to it.
    Client,
}

/// A broker or a service, and what it has said first.
async fn start(command: &mut Command) -> (Child, String) {
    let spawned = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = spawned.expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let line = soon("the first word of a process", lines.next_line()).await;
    (child, line.expect("text").unwrap_or_default())
}

/// Starts a broker, and returns where it listens.
async fn start_broker(pings: &str) -> (Child, SocketAddr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_journal-broker"));
    let (child, line) = start(command.arg(format!("tcp://{SERVER}&{pings}"))).await;
    let address = line.trim_start_matches("tcp://").parse();
    (child, address.expect("an address"))
}

/// Starts a service, again until it is attached: as with a client, the first attempt is not repeated.
async fn start_service(proxy: &Proxy, pings: &str, folder: &Path, number: u64) -> Child {
    loop {
        let mut command = Command::new(env!("CARGO_BIN_EXE_journal-server"));
        command
            .arg(url(proxy, pings))
            .arg(folder.join(format!("service-{number}")))
            .arg((number * OFFSET).to_string())
            .stderr(Stdio::null());
        let (child, line) = start(&mut command).await;
        if !line.is_empty() {
            return child;
        }
    }
}

fn url(proxy: &Proxy, pings: &str) -> String {
    format!("{}/lab?{CLIENT}&{pings}", proxy.url())
}

/// The processes with the proxies between them.
struct Stage {
    /// How often each process looks for silence.
    pings: &'static str,
    folder: tempfile::TempDir,
    broker: Child,
    client: ClientProcess,
    to_client: Proxy,
    steady: Child,
    to_steady: Proxy,
    other: Child,
    to_other: Proxy,
    /// How many services there were, with a journal each.
    services: u64,
    /// How many clients there were, with one journal for all.
    clients: u64,
    begun: Instant,
}

impl Stage {
    async fn open(seed: u64, troubles: u64, pings: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (broker, address) = start_broker(pings).await;
        let plan = |part: u64| Plan::seeded(seed ^ part, troubles, 60_000);
        let to_steady = Proxy::with_plan(address, plan(1)).await;
        let to_other = Proxy::with_plan(address, plan(2)).await;
        let to_client = Proxy::with_plan(address, plan(3)).await;
        let steady = start_service(&to_steady, pings, folder.path(), 0).await;
        let other = start_service(&to_other, pings, folder.path(), 1).await;
        let client = ClientProcess::start(&url(&to_client, pings), folder.path(), seed).await;
        Self {
            pings,
            folder,
            broker,
            client,
            to_client,
            steady,
            to_steady,
            other,
            to_other,
            services: 2,
            clients: 1,
            begun: Instant::now(),
        }
    }

    /// The client works for a while.
    async fn work(&mut self, random: &mut Random) {
        self.client.work(1 + random.below(STRETCH)).await;
    }

    fn proxies(&self) -> [&Proxy; 3] {
        [&self.to_client, &self.to_steady, &self.to_other]
    }

    /// Starts another in place of the second service, which has gone.
    async fn replace_other(&mut self) {
        self.other = start_service(
            &self.to_other,
            self.pings,
            self.folder.path(),
            self.services,
        )
        .await;
        self.services += 1;
    }

    /// Kills the client, and starts another. What the first did not hear of may have happened.
    async fn replace_client(&mut self, seed: u64) {
        self.client.child.kill().await.expect("it runs");
        let mut open = BTreeSet::new();
        for line in self.journal("client") {
            match &line[..] {
                [begin, what, number] if begin == "begin" => {
                    open.insert((what.clone(), number.clone()));
                }
                [end, what, number, ..] if end == "end" => {
                    open.remove(&(what.clone(), number.clone()));
                }
                _ => {}
            }
        }
        let journal = Journal::open(&self.folder.path().join("client")).expect("can be written");
        for (what, number) in open {
            journal.line(&format!(
                "end {what} {number} unknown its client was killed"
            ));
        }
        let first = FIRST + self.clients * NUMBERS;
        let url = url(&self.to_client, self.pings);
        self.client = ClientProcess::start_at(&url, self.folder.path(), seed, first).await;
        self.clients += 1;
    }

    /// Kills the broker, and starts another, which knows nothing.
    async fn replace_broker(&mut self) {
        let lost = self.client.progress.borrow().lost_sessions;
        self.broker.kill().await.expect("it runs");
        let address;
        (self.broker, address) = start_broker(self.pings).await;
        for proxy in self.proxies() {
            proxy.aim(address);
        }
        let told = |progress: &crate::Progress| progress.lost_sessions > lost;
        self.client
            .until("the loss of the session to be told", told)
            .await;
    }

    /// A service handles what it was given, and ends.
    async fn drain(service: &mut Child) {
        drop(service.stdin.take());
        let status = soon("the end of a drained service", service.wait()).await;
        assert!(status.expect("it ran").success(), "the service failed");
    }

    fn journal(&self, name: &str) -> Vec<Vec<String>> {
        Journal::read(&self.folder.path().join(name)).expect("can be read")
    }

    /// What services sent back and the broker has acknowledged.
    fn sent_back(&self) -> Vec<u64> {
        let journals = (0..self.services).map(|one| self.journal(&format!("service-{one}")));
        let sent = journals.flatten().filter_map(|line| match &line[..] {
            [sent, number, ok] if sent == "sent" && ok == "ok" => Some(number.parse()),
            _ => None,
        });
        sent.collect::<Result<_, _>>().expect("numbers")
    }

    /// Lets all finish what is open, and compares what they have written down.
    async fn close(mut self, name: &str, gone_with: GoneWith) -> Figures {
        self.client.input.write_all(b"\n").await.expect("it reads");
        self.client
            .until("the client to finish", |progress| progress.is_finished)
            .await;
        Self::drain(&mut self.steady).await;
        Self::drain(&mut self.other).await;
        if gone_with == GoneWith::Nobody {
            let sent = self.sent_back();
            self.client
                .until("all that services sent back", |progress| {
                    sent.iter().all(|number| progress.got.contains(number))
                })
                .await;
        }
        let told = self.client.progress.clone();
        let tallies = self.proxies().map(|proxy| *proxy.tally().borrow());
        let folder = self.folder;
        let read = |name: &str| Journal::read(&folder.path().join(name)).expect("can be read");
        self.client.close().await;

        let client = read("client");
        let mut services = read("service-0");
        let mut saves = Vec::new();
        for number in 1..self.services {
            let journal = read(&format!("service-{number}"));
            let (handled, rest) = journal.into_iter().partition(|line| line[0] == "save");
            saves.push(handled);
            services.extend::<Vec<_>>(rest);
        }
        let mut figures = Figures::of(&client, &services, |words| {
            matches!(words, ["UNKNOWN:" | "UNAVAILABLE:", ..])
        });
        for handled in saves {
            figures.once(&handled, "save");
        }
        for line in &client {
            if let [_, what, number, refused, code, ..] = &line[..]
                && (what == "call" && refused == "refused" && code == "UNAVAILABLE:")
                && services
                    .iter()
                    .any(|one| one[0] == "call" && one[1] == *number)
            {
                figures.mistake(format!("{number} was handled: {}", line.join(" ")));
            }
        }
        if gone_with != GoneWith::Nobody {
            let mistakes = figures.mistakes.len();
            figures.mistakes.retain(|mistake| {
                let is_save = mistake.starts_with("save") && mistake.ends_with("never handled");
                let is_gone = is_save && gone_with == GoneWith::Broker
                    || mistake.starts_with("the client acknowledged");
                !is_gone
            });
            let gone = u64::try_from(mistakes - figures.mistakes.len()).expect("fits");
            figures.add("gone with whom was killed", gone);
        }
        let progress = told.borrow().clone();
        let sum = |count: fn(&msip_tests::proxy::Tally) -> u64| tallies.iter().map(count).sum();
        for (what, count) in [
            ("services", self.services),
            ("cuts", sum(|tally| tally.cuts)),
            ("troubles", sum(|tally| tally.troubles())),
            ("connections", sum(|tally| tally.connections)),
            ("resumes of the client", progress.resumes),
            ("sessions lost", progress.lost_sessions),
        ] {
            figures.add(what, count);
        }
        figures.check(name, self.begun);
        figures
    }
}

/// Each of these has ended well.
fn all_are_good(figures: &Figures, what: &str) {
    let kind = format!("{what}: ");
    let ended = figures
        .counts
        .iter()
        .filter(|(how, _)| how.starts_with(&kind));
    let ended: u64 = ended.map(|(_, count)| count).sum();
    assert_eq!(figures.count(&format!("{what}: good")), ended, "{figures}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn connections_to_a_broker_that_break_lose_and_repeat_nothing() {
    for seed in seeds() {
        let mut stage = Stage::open(seed, TROUBLES, OFTEN).await;
        for mut tally in stage.proxies().map(Proxy::tally) {
            let over = tally.wait_for(|tally| tally.troubles() == TROUBLES);
            soon("the end of the plan", over).await.expect("runs");
        }
        stage.client.work(STRETCH).await;
        for round in 0..9 {
            stage.proxies()[round % 3].cut();
            stage.client.work(STRETCH / 4).await;
        }
        let figures = stage
            .close(&format!("broker, network, seed {seed}"), GoneWith::Nobody)
            .await;
        assert_eq!(figures.count("sessions lost"), 0, "{figures}");
        assert!(figures.count("resumes of the client") > 0, "{figures}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_service_that_is_killed_takes_no_acknowledged_message_with_it() {
    for seed in seeds() {
        let mut stage = Stage::open(seed, 0, SELDOM).await;
        let mut random = Random(seed);
        for _ in 0..ROUNDS {
            stage.work(&mut random).await;
            stage.other.kill().await.expect("it runs");
            stage.work(&mut random).await;
            stage.replace_other().await;
        }
        let figures = stage
            .close(
                &format!("broker, kill -9 of a service, seed {seed}"),
                GoneWith::Nobody,
            )
            .await;
        all_are_good(&figures, "save");
        assert_eq!(figures.count("call: late"), 0, "{figures}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_client_that_is_killed_takes_no_acknowledged_message_with_it() {
    for seed in seeds() {
        let mut stage = Stage::open(seed, 0, SELDOM).await;
        let mut random = Random(seed);
        for _ in 0..ROUNDS {
            stage.work(&mut random).await;
            stage.replace_client(random.draw()).await;
        }
        stage.client.work(STRETCH).await;
        let clients = stage.clients;
        let figures = stage
            .close(
                &format!("broker, kill -9 of a client, seed {seed}"),
                GoneWith::Client,
            )
            .await;
        assert_eq!(clients, 1 + ROUNDS);
        assert_eq!(figures.count("sessions lost"), 0, "{figures}");
        assert_eq!(figures.count("call: late"), 0, "{figures}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_call_through_a_broker_that_is_killed_has_one_outcome() {
    for seed in seeds() {
        let mut stage = Stage::open(seed, 0, SELDOM).await;
        let mut random = Random(seed);
        for _ in 0..ROUNDS {
            stage.work(&mut random).await;
            stage.replace_broker().await;
        }
        stage.client.work(STRETCH).await;
        let figures = stage
            .close(
                &format!("broker, kill -9 of it, seed {seed}"),
                GoneWith::Broker,
            )
            .await;
        assert_eq!(figures.count("sessions lost"), ROUNDS, "{figures}");
        assert_eq!(figures.count("call: late"), 0, "{figures}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn services_that_drain_under_load_cost_no_call() {
    for seed in seeds() {
        let mut stage = Stage::open(seed, 0, SELDOM).await;
        let mut random = Random(seed);
        for _ in 0..ROUNDS {
            stage.work(&mut random).await;
            Stage::drain(&mut stage.other).await;
            stage.work(&mut random).await;
            stage.replace_other().await;
        }
        let figures = stage
            .close(&format!("broker, drains, seed {seed}"), GoneWith::Nobody)
            .await;
        for what in ["save", "call", "count", "sum", "shout"] {
            all_are_good(&figures, what);
        }
    }
}

/// It is stopped for longer than it takes the broker to find that, and goes on in its session.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_service_that_is_stopped_loses_and_repeats_nothing_when_it_goes_on() {
    for seed in seeds() {
        let mut stage = Stage::open(seed, 0, OFTEN).await;
        let mut random = Random(seed);
        for _ in 0..ROUNDS / 2 {
            stage.work(&mut random).await;
            let pid = stage.other.id().and_then(|id| i32::try_from(id).ok());
            let pid = pid.and_then(Pid::from_raw).expect("it runs");
            kill_process(pid, Signal::STOP).expect("it runs");
            // The broker gives its work to the other one.
            stage.client.work(STRETCH).await;
            kill_process(pid, Signal::CONT).expect("it is there");
        }
        stage.client.work(STRETCH).await;
        let figures = stage
            .close(
                &format!("broker, SIGSTOP of a service, seed {seed}"),
                GoneWith::Nobody,
            )
            .await;
        all_are_good(&figures, "save");
        assert_eq!(figures.count("sessions lost"), 0, "{figures}");
    }
}
