//! tarpc over TCP with bincode, as its documentation has it: a task for each request on the server, one client whose clones
//! all tasks share. Its queues are made longer, as its documentation advises for throughput, and `Bytes` spare bincode from
//! taking bytes one by one. It knows calls only: a one-way message is a call with an empty answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use msip_load::{Failure, Note, Outcome, Peer, Stop, Tally, Target, check_tally, data_of};
use tarpc::{
    client, context,
    server::{self, Channel as _},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_serde::formats::Bincode;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

/// How many requests or answers wait between a task and the transport.
const QUEUE_LEN: usize = 1024;
/// How many calls that answer nothing are open at once.
const TELLERS: u64 = 512;

#[tarpc::service]
trait Bench {
    /// Gives the same note back.
    async fn echo(number: u64, data: Bytes) -> (u64, Bytes);
    /// Takes a note.
    async fn tell(number: u64, data: Bytes);
    /// Says what came.
    async fn tally() -> (u64, u64);
}

#[derive(Debug, Clone, Default)]
struct Service {
    count: Arc<AtomicU64>,
    sum: Arc<AtomicU64>,
}

impl Bench for Service {
    async fn echo(self, _: context::Context, number: u64, data: Bytes) -> (u64, Bytes) {
        (number, data)
    }

    async fn tell(self, _: context::Context, number: u64, _data: Bytes) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(number, Ordering::Relaxed);
    }

    async fn tally(self, _: context::Context) -> (u64, u64) {
        (
            self.count.load(Ordering::Relaxed),
            self.sum.load(Ordering::Relaxed),
        )
    }
}

/// Serves until it is dropped.
pub(crate) async fn serve(announce: impl FnOnce(u16)) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    announce(listener.local_addr()?.port());
    let service = Service::default();
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let framed = Framed::new(stream, LengthDelimitedCodec::new());
        let transport = tarpc::serde_transport::new(framed, Bincode::default());
        let config = server::Config {
            pending_response_buffer: QUEUE_LEN,
        };
        let requests = config.channel(transport).execute(service.clone().serve());
        connections.spawn(requests.for_each(|request| async {
            tokio::spawn(request);
        }));
        while connections.try_join_next().is_some() {}
    }
}

/// A client, for as many tasks as there are.
#[derive(Debug, Clone)]
pub(crate) struct Connection(BenchClient);

/// Ten seconds, as `context::current()` has it where nothing else is said.
fn context() -> context::Context {
    context::current()
}

impl Peer for Connection {
    async fn connect(target: &Target) -> Result<Self, Failure> {
        let stream = TcpStream::connect(("127.0.0.1", target.port)).await?;
        stream.set_nodelay(true)?;
        let framed = Framed::new(stream, LengthDelimitedCodec::new());
        let transport = tarpc::serde_transport::new(framed, Bincode::default());
        let mut config = client::Config::default();
        config.max_in_flight_requests = 16 * 1024;
        config.pending_request_buffer = QUEUE_LEN;
        Ok(Self(BenchClient::new(config, transport).spawn()))
    }

    async fn call(&self, Note { number, data }: Note) -> Result<Note, Failure> {
        let answer = self.0.echo(context(), number, data).await;
        let (number, data) = answer.map_err(Failure::library)?;
        Ok(Note { number, data })
    }

    async fn tell(&self, Note { number, data }: Note) -> Result<(), Failure> {
        let told = self.0.tell(context(), number, data).await;
        told.map_err(Failure::library)
    }

    async fn tally(&self) -> Result<Tally, Failure> {
        let (count, sum) = self.0.tally(context()).await.map_err(Failure::library)?;
        Ok(Tally { count, sum })
    }

    async fn one_way(&self, size: usize, time: Duration) -> Result<Outcome, Failure> {
        let data = data_of(size);
        let started = Instant::now();
        let stop = Stop::after(time);
        let mut tasks = JoinSet::new();
        for task in 0..TELLERS {
            let (peer, data, stop) = (self.clone(), data.clone(), stop.clone());
            tasks.spawn(async move {
                let mut sent = Tally::default();
                while !stop.is_over() {
                    let number = (task << 32) + sent.count;
                    let data = data.clone();
                    peer.tell(Note { number, data }).await?;
                    sent.add(number);
                }
                Ok::<_, Failure>(sent)
            });
        }
        let mut sent = Tally::default();
        while let Some(told) = tasks.join_next().await {
            let told = told??;
            sent.count += told.count;
            sent.sum = sent.sum.wrapping_add(told.sum);
        }
        check_tally(sent, self.tally().await?)?;
        Ok(Outcome::since(started, sent.count))
    }
}
