//! A client of the `lab` protocol in a process of its own that works without a pause, and writes down what came of it.
//!
//!     journal-client <address> <journal> <seed> [<first number>]
//!
//! It works until there is a line in its standard input, finishes what is open, and exits when that has ended. It says
//! `up <session> <new|resumed>`, `down <why>`, `lost <count>` when a session is lost, `done <count>` with each outcome that
//! is good, `got <number>` for each delivery of the server, and `finished` once nothing of its own is open. Its journal
//! has `begin <what> <number>` and `end <what> <number> <outcome> <rest>` for everything that it does, and
//! `got <number>` for each delivery of the server.

#![expect(
    clippy::print_stdout,
    reason = "whoever started it reads how far it has come"
)]

use std::{
    error::Error,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use msip_runtime::{
    CallError, CallOptions, Client, ConnectError, ConnectionState, DisconnectReason, Reconnect,
    Status, Stream,
};
use msip_tests::{
    journal::Journal,
    lab::{
        AskReq, AskRsp, CountReq, EchoReq, HandleServerToClient, Lab, SaveInd,
        SendClientToServer as _, ShoutReq, SumReq,
    },
    proxy::Random,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    task::JoinSet,
};

/// How much is under way at once.
const WORKERS: u64 = 12;

/// How long a delivery may take: longer than any outage, so that its outcome is the session's and not the clock's.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many items a stream has: more than its window.
const ITEMS: u64 = 40;

/// The first number; some small ones mean something to the server.
const FIRST: u64 = 1000;

struct Handler {
    journal: Arc<Journal>,
}

impl HandleServerToClient for Handler {
    async fn on_save_ind(&self, _: &Client<Lab>, message: SaveInd) -> Result<(), Status> {
        self.journal.line(&format!("got {}", message.number));
        println!("got {}", message.number);
        Ok(())
    }

    async fn on_ask_req(&self, _: &Client<Lab>, _: AskReq) -> Result<AskRsp, Status> {
        Err(Status::unimplemented("nobody asks here"))
    }

    async fn on_connected(&self, client: &Client<Lab>) -> Result<(), Status> {
        let connection = client.connection();
        let resumed = if connection.resumed() {
            "resumed"
        } else {
            "new"
        };
        println!("up {:x} {resumed}", connection.peer_id());
        Ok(())
    }

    async fn on_disconnected(&self, _: &Client<Lab>, reason: DisconnectReason) {
        println!("down {reason}");
    }

    async fn on_connect_failure(&self, _: &ConnectError, _: u32) -> Reconnect {
        Reconnect::Backoff
    }
}

/// How a piece of work ended.
enum Outcome {
    Good,
    /// An answer that answers something else.
    Wrong(String),
    Failed(CallError),
}

impl From<CallError> for Outcome {
    fn from(error: CallError) -> Self {
        Self::Failed(error)
    }
}

struct Work {
    client: Client<Lab>,
    journal: Arc<Journal>,
    next: AtomicU64,
    done: AtomicU64,
    is_over: AtomicBool,
}

impl Work {
    /// One piece of work after the other.
    async fn work(&self, mut random: Random) {
        let mut state = self.client.connection().watch();
        while !self.is_over.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let what = match random.below(16) {
                0..7 => "save",
                7..13 => "call",
                13 => "count",
                14 => "sum",
                _ => "shout",
            };
            self.journal.line(&format!("begin {what} {number}"));
            let outcome = match what {
                "save" => self.save(number).await,
                "call" => self.call(number).await,
                "count" => self.count(number).await,
                "sum" => self.sum(number).await,
                _ => self.shout(number).await,
            };
            let told = match &outcome {
                Outcome::Good => "good".to_owned(),
                Outcome::Wrong(how) => format!("wrong {how}"),
                Outcome::Failed(error) => format!("{} {error}", fate(error)),
            };
            self.journal.line(&format!("end {what} {number} {told}"));
            match outcome {
                Outcome::Good => {
                    let done = 1 + self.done.fetch_add(1, Ordering::Relaxed);
                    println!("done {done}");
                }
                Outcome::Wrong(_) => {}
                // Nothing can be sent now: what waits here is an event, and not a loop.
                Outcome::Failed(_) => {
                    let connected = state
                        .wait_for(|state| !matches!(state, ConnectionState::Reconnecting { .. }));
                    // A client that is closed has no more states.
                    let _ = connected.await;
                }
            }
        }
    }

    async fn save(&self, number: u64) -> Outcome {
        let patient = self.client.with(CallOptions::new().timeout(PATIENCE));
        match patient.save_ind(SaveInd { number }).await {
            Ok(()) => Outcome::Good,
            Err(error) => error.into(),
        }
    }

    async fn call(&self, number: u64) -> Outcome {
        let request = EchoReq {
            text: number.to_string(),
            ballast: vec![0; 300],
        };
        match self.client.echo_req(request).await {
            Ok(answer) if answer.text == number.to_string() => Outcome::Good,
            Ok(answer) => Outcome::Wrong(format!("the answer of {}", answer.text)),
            Err(error) => error.into(),
        }
    }

    async fn count(&self, number: u64) -> Outcome {
        let request = CountReq {
            from: number,
            to: number + ITEMS,
            ballast_len: 500,
        };
        let mut items = match self.client.count_req(request).await {
            Ok(items) => items,
            Err(error) => return error.into(),
        };
        for expected in number..number + ITEMS {
            match items.next().await {
                Some(Ok(item)) if item.number == expected => {}
                Some(Ok(item)) => {
                    return Outcome::Wrong(format!("{} instead of {expected}", item.number));
                }
                Some(Err(error)) => return error.into(),
                None => return Outcome::Wrong(format!("the end instead of {expected}")),
            }
        }
        match items.next().await {
            None => Outcome::Good,
            Some(Ok(_)) => Outcome::Wrong("an item behind the last".to_owned()),
            Some(Err(error)) => error.into(),
        }
    }

    async fn sum(&self, number: u64) -> Outcome {
        let numbers = Numbers(number..number + ITEMS, |number| SumReq { number });
        match self.client.sum_req(numbers).await {
            Ok(answer) if answer.sum == (number..number + ITEMS).sum::<u64>() => Outcome::Good,
            Ok(answer) => Outcome::Wrong(format!("the sum {}", answer.sum)),
            Err(error) => error.into(),
        }
    }

    async fn shout(&self, number: u64) -> Outcome {
        let texts = Numbers(number..number + ITEMS, |number| ShoutReq {
            text: format!("say {number}"),
        });
        let mut shouts = match self.client.shout_req(texts).await {
            Ok(shouts) => shouts,
            Err(error) => return error.into(),
        };
        let mut expected = number;
        loop {
            match shouts.next().await {
                Some(Ok(shout)) if shout.text == format!("SAY {expected}") => expected += 1,
                Some(Ok(shout)) => return Outcome::Wrong(shout.text),
                Some(Err(error)) => return error.into(),
                None if expected == number + ITEMS => return Outcome::Good,
                None => return Outcome::Wrong(format!("the end instead of {expected}")),
            }
        }
    }
}

/// Whether what has failed was done all the same.
fn fate(error: &CallError) -> &'static str {
    match error {
        error if error.is_safe_to_repeat() => "not-run",
        CallError::Status(status) if status.message() == "not received" => "not-run",
        CallError::DeadlineExceeded { .. } => "late",
        CallError::Status(_) => "refused",
        CallError::ConnectionLost => "unknown",
        _ => "wrong",
    }
}

/// Requests made of numbers.
struct Numbers<T>(std::ops::Range<u64>, fn(u64) -> T);

impl<T> Stream for Numbers<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        let make = self.1;
        Poll::Ready(self.0.next().map(make))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(url), Some(journal), Some(seed)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: journal-client <address> <journal> <seed> [<first number>]".into());
    };
    let seed: u64 = seed.to_string_lossy().parse()?;
    let first = arguments.next();
    let first = first.map_or(Ok(FIRST), |first| first.to_string_lossy().parse())?;
    let journal = Arc::new(Journal::open(&PathBuf::from(journal))?);
    let handler = Handler {
        journal: Arc::clone(&journal),
    };
    let client = Client::<Lab>::builder(url.to_string_lossy())
        .handler(handler)
        .connect()
        .await?;
    let mut lost_sessions = client.connection().lost_sessions();
    let work = Arc::new(Work {
        client: client.clone(),
        journal,
        next: AtomicU64::new(first),
        done: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
    });
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let work = Arc::clone(&work);
        workers.spawn(async move { work.work(Random(seed ^ (worker << 32))).await });
    }
    workers.spawn(async move {
        while lost_sessions.changed().await.is_ok() {
            let count = lost_sessions
                .borrow_and_update()
                .as_ref()
                .map(|lost| lost.count);
            println!("lost {}", count.unwrap_or(0));
        }
    });
    // The parent process writes a line when it is time, or closes the input at once.
    let mut input = BufReader::new(tokio::io::stdin());
    input.read_line(&mut String::new()).await?;
    work.is_over.store(true, Ordering::Relaxed);
    for _ in 0..WORKERS {
        workers.join_next().await;
    }
    println!("finished");
    input.read_line(&mut String::new()).await?;
    client.close().await;
    Ok(())
}
