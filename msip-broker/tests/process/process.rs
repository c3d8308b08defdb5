//! The program in a process.

use std::{
    io,
    process::{Output, Stdio},
    sync::{Arc, Mutex},
};

use msip_tests::{memory::Memory, soon};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdout, Command},
    sync::watch,
    task::JoinHandle,
};

/// A broker that runs. It is killed when this is dropped.
pub(crate) struct Broker {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    /// Where it listens, in the order in which it has said so.
    pub(crate) urls: Vec<String>,
    /// What it has logged.
    log: Arc<Mutex<String>>,
    grown: watch::Receiver<()>,
    reading: JoinHandle<()>,
}

/// The program, without what the environment of the tests may say to it.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_msip-broker"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MSIP_BROKER_") {
            command.env_remove(name);
        }
    }
    command.kill_on_drop(true).stdin(Stdio::null());
    command
}

/// Runs it to its end: the code, what it has said, and what it has complained about.
pub(crate) async fn run(arguments: &[&str]) -> (i32, String, String) {
    ended(command().args(arguments)).await
}

/// The same of a command.
pub(crate) async fn ended(command: &mut Command) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = soon("its end", command.output()).await.expect("starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code().expect("a code"), text(stdout), text(stderr))
}

impl Broker {
    /// Starts it with these arguments, and waits until it listens at so many URLs.
    pub(crate) async fn start(arguments: &[&str], urls: usize) -> Self {
        Self::spawn(command().args(arguments), urls).await
    }

    /// At one port that the system chooses.
    pub(crate) async fn plain() -> Self {
        Self::start(&["--listen", "tcp://127.0.0.1:0"], 1).await
    }

    pub(crate) async fn spawn(command: &mut Command, urls: usize) -> Self {
        let spawned = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.expect("starts");
        let output = BufReader::new(child.stdout.take().expect("is piped")).lines();
        let mut errors = BufReader::new(child.stderr.take().expect("is piped")).lines();
        let log = Arc::<Mutex<String>>::default();
        let (grows, grown) = watch::channel(());
        let writing = Arc::clone(&log);
        let reading = tokio::spawn(async move {
            while let Ok(Some(line)) = errors.next_line().await {
                let mut log = writing.lock().expect("no panic");
                log.push_str(&line);
                log.push('\n');
                drop(log);
                grows.send_replace(());
            }
        });
        let mut broker = Self {
            child,
            output,
            urls: Vec::new(),
            log,
            grown,
            reading,
        };
        for _ in 0..urls {
            let line = broker.line().await;
            let url = line.strip_prefix("listening on ");
            broker
                .urls
                .push(url.unwrap_or_else(|| panic!("{line}")).to_owned());
        }
        broker
    }

    /// The next line that it says.
    pub(crate) async fn line(&mut self) -> String {
        let line = soon("a line", self.output.next_line()).await.expect("text");
        line.unwrap_or_else(|| panic!("it has ended: {}", self.log()))
    }

    /// `127.0.0.1:4000` of its first URL.
    pub(crate) fn address(&self) -> &str {
        self.urls[0]
            .split("://")
            .nth(1)
            .expect("a URL")
            .trim_end_matches('/')
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }

    /// Waits until its log has this text.
    pub(crate) async fn logged(&mut self, text: &str) {
        self.logged_times(text, 1).await;
    }

    /// Waits until its log has this text so many times.
    pub(crate) async fn logged_times(&mut self, text: &str, times: usize) {
        let waiting = async {
            while self.log.lock().expect("no panic").matches(text).count() < times {
                let grown = self.grown.changed().await;
                grown.unwrap_or_else(|_| panic!("it has ended without `{text}`: {}", self.log()));
            }
        };
        let what = format!("`{text}` in its log");
        soon(&what, waiting).await;
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.id()).expect("an id")).expect("an id")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it runs");
    }

    pub(crate) fn memory(&self) -> Memory {
        Memory::of(self.id()).expect("it runs")
    }

    /// What the system says that it does: `T` where it is stopped.
    pub(crate) fn state(&self) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id()));
        let stat = stat.expect("it runs");
        // After the name, which is in brackets.
        let state = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next());
        state.expect("a state")
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> u64 {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.id()));
        open.expect("it runs").count() as u64
    }

    /// Lets it open so many descriptors, until it is said otherwise.
    pub(crate) fn limit_descriptors(&self, most: u64) {
        // It has inherited what may be at most.
        let limit = Rlimit {
            current: Some(most),
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        prlimit(Some(self.pid()), Resource::Nofile, limit).expect("it runs");
    }

    /// Its end: the code, and its log.
    pub(crate) async fn end(mut self) -> (Option<i32>, String) {
        let status = soon("its end", self.child.wait()).await.expect("a status");
        soon("the rest of its log", &mut self.reading)
            .await
            .expect("no panic");
        (status.code(), self.log())
    }

    /// Has it stop, and checks that it does so in peace.
    pub(crate) async fn stop(self) -> String {
        self.signal(Signal::TERM);
        let (code, log) = self.end().await;
        assert_eq!(code, Some(0), "{log}");
        log
    }
}

/// The status and the body of an answer.
pub(crate) async fn get(address: &str, path: &str) -> io::Result<(u16, String)> {
    get_with(address, path, "").await
}

/// The same, with these headers.
pub(crate) async fn get_with(
    address: &str,
    path: &str,
    headers: &str,
) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((status.unwrap_or(0), body.to_owned()))
}
