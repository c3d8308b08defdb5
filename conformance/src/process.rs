//! A driver: its process, what it is told, and what it reports.

use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use msip_runtime::prost::Message as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command as Program},
    sync::{Mutex as AsyncMutex, watch},
    task::{AbortHandle, JoinSet},
    time::timeout,
};

use crate::{
    failure::fail,
    protocol::conformance::control::{
        Command, Done, Ready, Report, Reset, Status, command::Command as Told,
        report::Report as Event,
    },
};

/// The longest report: an item of the largest body, and what is around it.
const MAX_REPORT_LEN: u32 = 16 << 20;

/// How many lines of a driver's errors are kept.
const MAX_ERROR_LINES: usize = 20;

/// How a driver is started.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    /// `rust`.
    pub(crate) language: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
}

/// How long a driver may take to end with its input.
const END_LIMIT: Duration = Duration::from_secs(5);

/// A process of a driver. It is killed when the last handle is dropped.
#[derive(Clone)]
pub(crate) struct Process(Arc<Inner>);

struct Inner {
    language: &'static str,
    ready: Ready,
    /// None once it is to end.
    input: AsyncMutex<Option<ChildStdin>>,
    last: AtomicU64,
    log: Arc<Log>,
    readers: [AbortHandle; 2],
    /// Killed when it is dropped.
    child: AsyncMutex<Child>,
}

/// What was reported and not looked at.
#[derive(Default)]
struct Log {
    reports: Mutex<Reports>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Reports {
    waiting: VecDeque<Report>,
    errors: VecDeque<String>,
    has_ended: bool,
    /// What a case waits for, for the text of its failure.
    awaited: Option<String>,
}

impl Process {
    /// Starts a driver, and waits until it is there.
    pub(crate) async fn start(launch: &Launch) -> Result<Self, String> {
        let mut child = Program::new(&launch.program)
            .args(&launch.args)
            .envs(launch.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            // What a terminal says to the runner is not for it: the runner ends it, and waits for that.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("{}: {error}", launch.program.display()))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(mut output), Some(errors)) = pipes else {
            return Err("a driver without pipes".to_owned());
        };
        let log = Arc::<Log>::default();
        let mut errors = tokio::spawn(read_errors(errors, Arc::clone(&log)));
        let first = timeout(Duration::from_secs(30), read(&mut output)).await;
        let ready = match first {
            Ok(Ok(Report {
                report: Some(Event::Ready(ready)),
                ..
            })) => ready,
            other => {
                // What it says of its end comes by another pipe, which one that has not ended leaves open.
                let _ = timeout(Duration::from_secs(1), &mut errors).await;
                errors.abort();
                let said = log.lock().errors.make_contiguous().join("\n");
                return Err(format!(
                    "the driver does not say that it is there: {other:?}\n{said}"
                ));
            }
        };
        let reports = tokio::spawn(read_reports(output, Arc::clone(&log))).abort_handle();
        Ok(Self(Arc::new(Inner {
            language: launch.language,
            ready,
            input: AsyncMutex::new(Some(input)),
            last: AtomicU64::new(0),
            log,
            readers: [errors.abort_handle(), reports],
            child: AsyncMutex::new(child),
        })))
    }

    pub(crate) fn language(&self) -> &'static str {
        self.0.language
    }

    pub(crate) fn ready(&self) -> &Ready {
        &self.0.ready
    }

    /// Whether the driver has this profile.
    pub(crate) fn has(&self, profile: &str) -> bool {
        self.ready().profiles.iter().any(|has| has == profile)
    }

    /// A new odd number, for an endpoint or an exchange.
    pub(crate) fn number(&self) -> u64 {
        2 * self.0.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Tells it something that it does not answer.
    pub(crate) async fn tell(&self, command: Told) {
        self.send(0, command).await;
    }

    /// Tells it something, and waits until that is done.
    pub(crate) async fn ask(&self, command: Told) -> Result<Event, Status> {
        let id = self.begin(command).await;
        self.outcome(id).await
    }

    /// Tells it something, and returns the number by which the outcome is asked for.
    pub(crate) async fn begin(&self, command: Told) -> u64 {
        let id = self.number();
        self.send(id, command).await;
        id
    }

    /// What came of a command.
    pub(crate) async fn outcome(&self, id: u64) -> Result<Event, Status> {
        let what = format!("the answer to command {id}");
        let report = self.take(&what, |report| {
            (report.id == id).then(|| report.report.clone())
        });
        match report.await {
            Some(Event::Failed(status)) => Err(status),
            Some(event) => Ok(event),
            None => Ok(Event::Done(Done::default())),
        }
    }

    /// Waits for something that happens. Other events stay, for whoever waits for them.
    pub(crate) async fn event<T>(&self, what: &str, find: impl Fn(&Event) -> Option<T>) -> T {
        let found = self.take(what, |report| report.report.as_ref().and_then(&find));
        found.await
    }

    /// What has happened by now, if this has.
    pub(crate) fn seen<T>(&self, find: impl Fn(&Event) -> Option<T>) -> Option<T> {
        let mut reports = self.0.log.lock();
        reports.take(|report| report.report.as_ref().and_then(&find))
    }

    async fn take<T>(&self, what: &str, find: impl Fn(&Report) -> Option<T>) -> T {
        let mut changes = self.0.log.changed.subscribe();
        loop {
            {
                let mut reports = self.0.log.lock();
                if let Some(found) = reports.take(&find) {
                    reports.awaited = None;
                    return found;
                }
                if reports.has_ended {
                    let errors = reports.errors.make_contiguous().join("\n");
                    let language = self.language();
                    fail(format_args!(
                        "the driver of {language} ended before {what}: {errors}"
                    ));
                }
                reports.awaited = Some(what.to_owned());
            }
            // The sender is a part of this process.
            let _ = changes.changed().await;
        }
    }

    async fn send(&self, id: u64, command: Told) {
        let command = Command {
            id,
            command: Some(command),
        };
        let body = command.encode_to_vec();
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let bytes = [&len.to_be_bytes(), &*body].concat();
        let mut input = self.0.input.lock().await;
        if let Some(input) = &mut *input {
            let written = async {
                input.write_all(&bytes).await?;
                input.flush().await
            };
            // A driver that has ended says so where its reports are read.
            let _ = written.await;
        }
    }

    /// Ends the driver with its input, so that it can clean up, and kills it where that takes too long.
    pub(crate) async fn end(self) {
        let ended = async {
            // A command that it does not read may hold the input, until the time is up.
            drop(self.0.input.lock().await.take());
            self.0.child.lock().await.wait().await
        };
        if timeout(END_LIMIT, ended).await.is_err() {
            // One that cannot be killed has ended meanwhile.
            let _ = self.0.child.lock().await.kill().await;
        }
    }

    /// Ends a case. `false` where the driver is of no more use.
    pub(crate) async fn reset(&self) -> bool {
        // A task of its own, since it panics where the driver has ended; with the set it is aborted, or a driver that hangs would
        // never be killed.
        let mut reset = JoinSet::new();
        let process = self.clone();
        reset.spawn(async move { process.ask(Told::Reset(Reset {})).await.is_ok() });
        let is_done = timeout(Duration::from_secs(5), reset.join_next()).await;
        let mut reports = self.0.log.lock();
        (reports.waiting, reports.awaited) = (VecDeque::new(), None);
        matches!(is_done, Ok(Some(Ok(true)))) && !reports.has_ended
    }

    /// What it was waited for, what else it has reported, and what it says of errors.
    pub(crate) fn account(&self) -> String {
        let mut reports = self.0.log.lock();
        let mut account = String::new();
        if let Some(awaited) = &reports.awaited {
            account = format!("waiting for {awaited} from {}", self.language());
        }
        for report in reports.waiting.iter().take(8) {
            let event = format!("{:?}", report.report);
            let event: String = event.chars().take(200).collect();
            account = format!("{account}\n  {} also reported {event}", self.language());
        }
        for line in reports.errors.make_contiguous() {
            account = format!("{account}\n  {}: {line}", self.language());
        }
        account
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for reader in &self.readers {
            reader.abort();
        }
    }
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Reports)) {
        change(&mut self.lock());
        self.changed.send_modify(|count| *count += 1);
    }
}

impl Reports {
    fn take<T>(&mut self, find: impl Fn(&Report) -> Option<T>) -> Option<T> {
        let found = self.waiting.iter().enumerate();
        let (at, found) = found.fold(None, |first, (at, report)| {
            first.or_else(|| find(report).map(|found| (at, found)))
        })?;
        self.waiting.remove(at);
        Some(found)
    }
}

async fn read(output: &mut ChildStdout) -> io::Result<Report> {
    let len = output.read_u32().await?;
    if len > MAX_REPORT_LEN {
        return Err(io::Error::other(format!("a report of {len} bytes")));
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    output.read_exact(&mut bytes).await?;
    Report::decode(&*bytes).map_err(io::Error::other)
}

async fn read_reports(mut output: ChildStdout, log: Arc<Log>) {
    while let Ok(report) = read(&mut output).await {
        log.change(|reports| reports.waiting.push_back(report));
    }
    log.change(|reports| reports.has_ended = true);
}

async fn read_errors(errors: ChildStderr, log: Arc<Log>) {
    let mut lines = BufReader::new(errors).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        log.change(|reports| {
            if reports.errors.len() == MAX_ERROR_LINES {
                reports.errors.pop_front();
            }
            reports.errors.push_back(line);
        });
    }
}
