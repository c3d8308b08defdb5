//! `relay`: the cost of a relay that never decodes a body, compared with the typed sender and receiver around it.
//!
//! All three are in one process, each on a thread of its own with a runtime of its own, and talk over loopback. What is compared
//! is the processor time of their threads for the same messages in the same run.

use std::{
    io::{self, Write as _},
    sync::mpsc as std_mpsc,
    thread,
    time::Duration,
};

use msip_benches::{
    Echo,
    bench::{self, Bench, PushClientToServer as _, SendClientToServer as _},
};
use msip_runtime::{
    Client, Server, Status,
    untyped::{self, Handle, Inbound, Service, UntypedPeer, UntypedProtocol},
};
use nix::time::{ClockId, clock_gettime};
use tokio::sync::{mpsc, oneshot};

use crate::problem::Problem;

/// The most that a relay may take of what the sender and the receiver take together.
const MOST: f64 = 1.2;

/// How a note is as long as 32 bytes in its envelope.
const DATA: usize = 19;

/// What to relay.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RelayJob {
    /// How many messages a round has.
    #[arg(long, default_value_t = 1_000_000)]
    messages: u64,
    /// How many rounds; the median counts.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Fails where the relay takes more than 1.2 times as much as the sender and the receiver together.
    #[arg(long)]
    check: bool,
}

/// Asks a thread how much processor time it has taken.
type Meter = mpsc::Sender<oneshot::Sender<Duration>>;

/// Passes each session on to a server.
struct Relay(String);

/// Passes what that server sends back to the client.
struct Back(Handle);

impl Service for Relay {
    async fn serve(&self, peer: UntypedPeer, inbound: Inbound) {
        let upstream = untyped::UntypedClient::builder(&self.0, "bench", peer.fingerprint())
            .service(Back(peer.handle().clone()))
            .connect()
            .await;
        match upstream {
            Ok(upstream) => untyped::relay(inbound, upstream.handle()).await,
            Err(error) => peer.disconnect(Status::unavailable(error.to_string())),
        }
    }
}

impl Service for Back {
    async fn serve(&self, _: UntypedPeer, inbound: Inbound) {
        untyped::relay(inbound, &self.0).await;
    }
}

/// The processor time of the three threads.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    sender: Duration,
    relay: Duration,
    receiver: Duration,
}

impl Times {
    fn since(self, before: Self) -> Self {
        Self {
            sender: self.sender.saturating_sub(before.sender),
            relay: self.relay.saturating_sub(before.relay),
            receiver: self.receiver.saturating_sub(before.receiver),
        }
    }

    fn ratio(self) -> f64 {
        self.relay.as_secs_f64() / (self.sender + self.receiver).as_secs_f64()
    }
}

/// Measures, and prints.
pub(crate) fn relay(job: &RelayJob) -> Result<(), Problem> {
    let (receiver, receiver_url) = begin(|_| async {
        let server = Server::<Bench>::bind("tcp://127.0.0.1:0").await.ok()?;
        let url = server.local_url().to_string();
        Some((url, server.serve(Echo::default())))
    })?;
    let (relay, relay_url) = begin(move |()| async move {
        let server = untyped::UntypedServer::builder("tcp://127.0.0.1:0")
            .untyped(UntypedProtocol::named("bench"), Relay(receiver_url))
            .bind()
            .await
            .ok()?;
        let url = server.local_url().to_string();
        Some((url, server.serve()))
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Problem::Process)?;
    let mut rounds = runtime.block_on(measure(job, &relay_url, &relay, &receiver))?;
    rounds.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
    let median = rounds.get(rounds.len() / 2).copied().unwrap_or_default();
    print(job, median, &rounds).map_err(Problem::Print)?;
    if job.check && median.ratio() > MOST {
        return Err(Problem::Relay {
            ratio: median.ratio(),
        });
    }
    Ok(())
}

fn print(job: &RelayJob, median: Times, rounds: &[Times]) -> io::Result<()> {
    let mut out = io::stdout();
    let each = |time: Duration| time.as_secs_f64() * 1e9 / job.messages as f64;
    writeln!(
        out,
        "one-way messages of 32 B through a relay, {} a round, ns of processor time each",
        job.messages
    )?;
    writeln!(out, "  typed sender    {:7.1}", each(median.sender))?;
    writeln!(out, "  untyped relay   {:7.1}", each(median.relay))?;
    writeln!(out, "  typed receiver  {:7.1}", each(median.receiver))?;
    let all: Vec<String> = rounds
        .iter()
        .map(|times| format!("{:.2}", times.ratio()))
        .collect();
    writeln!(
        out,
        "relay / (sender + receiver): {:.2}, of {}",
        median.ratio(),
        all.join(" ")
    )
}

/// Sends round after round.
async fn measure(
    job: &RelayJob,
    url: &str,
    relay: &Meter,
    receiver: &Meter,
) -> Result<Vec<Times>, Problem> {
    let failed =
        |error: &dyn std::error::Error| Problem::Process(io::Error::other(error.to_string()));
    let client = Client::<Bench>::connect(url)
        .await
        .map_err(|error| failed(&error))?;
    let mut rounds = Vec::new();
    let mut total = 0;
    // The first is not counted.
    for round in 0..=job.rounds {
        let before = times(relay, receiver).await?;
        let mut sender = client.sender();
        for number in 0..job.messages {
            let note = bench::Note {
                number,
                data: vec![1; DATA].into(),
            };
            sender
                .note_ind(note)
                .await
                .map_err(|error| failed(&error))?;
        }
        sender.flush().await.map_err(|error| failed(&error))?;
        let tally = client.tally_req(bench::TallyReq {}).await;
        let tally = tally.map_err(|error| failed(&error))?;
        total += job.messages;
        if tally.count != total {
            return Err(Problem::Process(io::Error::other(format!(
                "{} of {total} messages have come",
                tally.count
            ))));
        }
        let after = times(relay, receiver).await?;
        if round > 0 {
            rounds.push(after.since(before));
        }
    }
    Ok(rounds)
}

async fn times(relay: &Meter, receiver: &Meter) -> Result<Times, Problem> {
    Ok(Times {
        sender: own_time(),
        relay: ask(relay).await?,
        receiver: ask(receiver).await?,
    })
}

async fn ask(meter: &Meter) -> Result<Duration, Problem> {
    let gone = || Problem::Process(io::ErrorKind::BrokenPipe.into());
    let (answer, answered) = oneshot::channel();
    meter.send(answer).await.map_err(|_| gone())?;
    answered.await.map_err(|_| gone())
}

/// The processor time of this thread.
fn own_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Runs a server on a thread of its own, which ends with the process. Returns its meter and its URL.
fn begin<F, S>(bind: impl FnOnce(()) -> F + Send + 'static) -> Result<(Meter, String), Problem>
where
    F: Future<Output = Option<(String, S)>>,
    S: Future<Output = ()>,
{
    let (meter, mut asked) = mpsc::channel::<oneshot::Sender<Duration>>(1);
    let (tell, told) = std_mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .ok()?;
        runtime.block_on(async move {
            let (url, serving) = bind(()).await?;
            tell.send(url).ok()?;
            let metering = async {
                while let Some(answer) = asked.recv().await {
                    // Whoever asked waits.
                    let _ = answer.send(own_time());
                }
            };
            tokio::join!(serving, metering);
            Some(())
        })
    });
    let url = told
        .recv()
        .map_err(|error| Problem::Process(io::Error::other(error)))?;
    Ok((meter, url))
}
