//! The driver of Rust: what conformance/control.proto says, with the typed client and server of `msip-runtime`.

mod calls;
mod endpoint;
mod endpoints;
mod handlers;
mod handling;
mod versions;

use std::{
    collections::HashMap,
    io::{self, Write as _},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use msip_runtime::{
    CallError, Code, Protocol as _, Status,
    prost::{DecodeError, Message},
};
use tokio::{
    io::AsyncReadExt as _,
    sync::{Mutex as AsyncMutex, mpsc},
    task::JoinSet,
};

use self::endpoint::Endpoint;
use crate::protocol::conformance::{
    Conformance,
    control::{
        self, Command, Done, ExchangeFailed, Ready, Report, command::Command as Told,
        report::Report as Event,
    },
};

/// How many steps of one exchange may wait to be done.
const MAX_STEPS: usize = 4_096;

/// What this driver has.
const PROFILES: [&str; 16] = [
    "tcp",
    "core",
    "metadata",
    "resume",
    "codecs",
    "gzip",
    "zstd",
    "lz4",
    "tls",
    "unix",
    "websocket",
    "websocket-server",
    "topics",
    "services",
    "cleared-states",
    "versions",
];

/// Does what standard input says until that ends.
pub(crate) async fn run() -> io::Result<()> {
    let driver = Arc::new(Driver::default());
    driver.report(Event::Ready(Ready {
        language: "rust".to_owned(),
        profiles: PROFILES.map(str::to_owned).to_vec(),
        fingerprint: Conformance::fingerprint(),
    }));
    let mut input = tokio::io::stdin();
    loop {
        let Ok(len) = input.read_u32().await else {
            return Ok(());
        };
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        input.read_exact(&mut bytes).await?;
        let command = Command::decode(&*bytes).map_err(io::Error::other)?;
        Arc::clone(&driver).take(command).await;
    }
}

/// All that a process of the driver has.
#[derive(Default)]
struct Driver {
    /// The number that was given last, halved.
    last: AtomicU64,
    endpoints: Mutex<HashMap<u64, Endpoint>>,
    exchanges: Mutex<HashMap<u64, Exchange>>,
    /// By endpoint: its messages are handed over one after the other.
    send_locks: Mutex<HashMap<u64, Arc<AsyncMutex<()>>>>,
    /// What takes time: connects, calls, and servers.
    tasks: Mutex<JoinSet<()>>,
}

/// Where the steps of an exchange go.
struct Exchange {
    steps: mpsc::Sender<Told>,
    /// Items that this side sends, where another part of the exchange takes them.
    items: Option<mpsc::Sender<Told>>,
}

impl Driver {
    /// Begins to do what was said. What takes longer is a task.
    async fn take(self: Arc<Self>, command: Command) {
        let id = command.id;
        match command.command {
            Some(Told::Connect(connect)) => {
                let driver = Arc::clone(&self);
                self.spawn(async move {
                    let connected = endpoints::connect(&driver, connect).await;
                    driver.reply(id, connected.map(|()| Event::Done(Done::default())));
                });
            }
            Some(Told::Serve(serve)) => {
                let serving = endpoints::serve(&self, serve).await;
                self.reply(id, serving.map(Event::Serving));
            }
            Some(Told::Start(start)) => calls::start(&self, start).await,
            Some(Told::Close(close)) => {
                let driver = Arc::clone(&self);
                self.spawn(async move {
                    endpoints::close(&driver, close.endpoint).await;
                    driver.reply(id, Ok(Event::Done(Done::default())));
                });
            }
            Some(Told::Disconnect(told)) => {
                let done = endpoints::disconnect(&self, told.endpoint, told.status);
                self.reply(id, done.map(|()| Event::Done(Done::default())));
            }
            Some(Told::Broadcast(broadcast)) => {
                let count = endpoints::broadcast(&self, &broadcast);
                self.reply(id, count.map(|count| Event::Done(Done { count })));
            }
            Some(Told::Ping(ping)) => {
                let driver = Arc::clone(&self);
                self.spawn(async move {
                    let ponged = endpoints::ping(&driver, &ping).await;
                    driver.reply(id, ponged.map(|()| Event::Done(Done::default())));
                });
            }
            Some(Told::Reset(_)) => {
                self.reset().await;
                self.reply(id, Ok(Event::Done(Done::default())));
            }
            Some(step) => self.step(step),
            None => self.reply(id, Err(Status::unimplemented("unknown command"))),
        }
    }

    /// Passes a step on to its exchange. One that has ended needs none.
    fn step(&self, step: Told) {
        let (id, is_item) = match &step {
            Told::Send(step) => (step.exchange, true),
            Told::End(step) => (step.exchange, true),
            Told::Read(step) => (step.exchange, false),
            Told::Cancel(step) => (step.exchange, false),
            Told::Answer(step) => (step.exchange, false),
            Told::Fail(step) => (step.exchange, false),
            _ => return,
        };
        if let Some(exchange) = self.exchanges().get(&id) {
            let items = exchange.items.as_ref().filter(|_| is_item);
            // One that has ended meanwhile takes no more.
            let _ = items.unwrap_or(&exchange.steps).try_send(step);
        }
    }

    /// Ends all at once, and forgets it.
    async fn reset(&self) {
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        self.exchanges().clear();
        self.endpoints().clear();
        lock(&self.send_locks).clear();
        tasks.shutdown().await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// A new number for a peer or for an exchange that the other side has begun.
    fn number(&self) -> u64 {
        2 * (self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Under which the messages of an endpoint are handed over. Who waits for it gets it in the order of asking.
    fn send_lock(&self, endpoint: u64) -> Arc<AsyncMutex<()>> {
        Arc::clone(lock(&self.send_locks).entry(endpoint).or_default())
    }

    fn endpoints(&self) -> MutexGuard<'_, HashMap<u64, Endpoint>> {
        lock(&self.endpoints)
    }

    fn exchanges(&self) -> MutexGuard<'_, HashMap<u64, Exchange>> {
        lock(&self.exchanges)
    }

    /// Reports what came of a command.
    fn reply(&self, id: u64, outcome: Result<Event, Status>) {
        let event = outcome.unwrap_or_else(|status| Event::Failed(told(&status)));
        self.write(id, event);
    }

    /// Reports something that happened.
    fn report(&self, event: Event) {
        self.write(0, event);
    }

    /// Reports that an exchange has failed, with these headers.
    fn fail(&self, exchange: u64, error: impl Into<Status>, headers: HashMap<String, String>) {
        let status = control::Status {
            headers,
            ..told(&error.into())
        };
        self.report(Event::ExchangeFailed(ExchangeFailed {
            exchange,
            status: Some(status),
        }));
    }

    fn write(&self, id: u64, event: Event) {
        let report = Report {
            id,
            report: Some(event),
        };
        let body = report.encode_to_vec();
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let bytes = [&len.to_be_bytes(), &*body].concat();
        let mut output = io::stdout().lock();
        // A runner that has gone is told nothing.
        let _ = output.write_all(&bytes).and_then(|()| output.flush());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A status as it is reported.
fn told(status: &Status) -> control::Status {
    let details = status.details();
    control::Status {
        code: status.code().name().to_owned(),
        message: status.message().to_owned(),
        details: details
            .map(|(name, value)| (name.to_owned(), value.to_vec()))
            .collect(),
        ..control::Status::default()
    }
}

/// A status as it was told.
fn status(told: Option<control::Status>) -> Status {
    let told = told.unwrap_or_default();
    let code = Code::from_name(&told.code).unwrap_or(Code::Unknown);
    let status = Status::new(code, told.message);
    let details = told.details.into_iter();
    details.fold(status, |status, (name, value)| {
        status.with_encoded_detail(name, value)
    })
}

/// A message as it was told.
fn decode<T: Message + Default>(bytes: &[u8]) -> Result<T, CallError> {
    let wrong = |error: DecodeError| Status::internal(format!("told no message: {error}"));
    T::decode(bytes).map_err(|error| wrong(error).into())
}
