//! MSIP: what is generated from `proto/bench.proto`, with the settings that a builder begins with.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use msip_load::{Failure, Job, Load, Note, Outcome, Tally, Teller, calls, data_of, one_way};
use msip_runtime::{Client, DisconnectReason, Peer, Server, Status, Stream};

use msip_benches::bench::{
    self, Bench, BroadcastServerToClient as _, HandleClientToServer, HandleServerToClient,
    SendClientToServer as _,
};

/// The handler: as a user would write it.
#[derive(Debug, Default)]
struct Handler {
    count: AtomicU64,
    sum: AtomicU64,
}

impl HandleClientToServer for Handler {
    async fn on_echo_req(
        &self,
        _: &Peer<Bench>,
        request: bench::Note,
    ) -> Result<bench::Note, Status> {
        Ok(request)
    }

    async fn on_ping_req(
        &self,
        _: &Peer<Bench>,
        request: bench::Note,
    ) -> Result<bench::Note, Status> {
        Ok(request)
    }

    async fn on_note_ind(&self, _: &Peer<Bench>, message: bench::Note) {
        // One client tells notes, and its messages are handled one after the other: nobody else writes here.
        let add = |total: &AtomicU64, more: u64| {
            let before = total.load(Ordering::Relaxed);
            total.store(before.wrapping_add(more), Ordering::Relaxed);
        };
        add(&self.count, 1);
        add(&self.sum, message.number);
    }

    async fn on_tally_req(
        &self,
        _: &Peer<Bench>,
        _: bench::TallyReq,
    ) -> Result<bench::Tally, Status> {
        Ok(bench::Tally {
            count: self.count.load(Ordering::Relaxed),
            sum: self.sum.load(Ordering::Relaxed),
        })
    }

    async fn on_feed_req(
        &self,
        _: &Peer<Bench>,
        request: bench::FeedReq,
    ) -> Result<impl Stream<Item = Result<bench::Note, Status>> + Send + 'static, Status> {
        let data = data_of(request.size as usize);
        Ok(Feed {
            notes: 0..request.count,
            data,
        })
    }

    async fn on_shout_req(
        &self,
        peer: &Peer<Bench>,
        request: bench::Note,
    ) -> Result<bench::Tally, Status> {
        let number = request.number;
        let told = peer.everyone().note_ind(request);
        Ok(bench::Tally {
            count: told as u64,
            sum: number,
        })
    }
}

/// Notes, one after the other.
struct Feed {
    notes: std::ops::Range<u64>,
    data: Bytes,
}

impl Stream for Feed {
    type Item = Result<bench::Note, Status>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let next = self.notes.next().map(|number| {
            Ok(bench::Note {
                number,
                data: self.data.clone(),
            })
        });
        std::task::Poll::Ready(next)
    }
}

/// Serves until it is dropped.
pub(crate) async fn serve(announce: impl FnOnce(u16)) -> Result<(), Failure> {
    let server = Server::<Bench>::bind("tcp://127.0.0.1:0")
        .await
        .map_err(Failure::library)?;
    let url = server.local_url().to_string();
    let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
    announce(port.ok_or_else(|| Failure::Protocol(format!("no port in {url}")))?);
    server.serve(Handler::default()).await;
    Ok(())
}

/// Puts a load on the server at this port; `settings` is the query of its address.
pub(crate) async fn drive(port: u16, settings: &str, job: Job) -> Result<Outcome, Failure> {
    let url = format!("tcp://127.0.0.1:{port}{settings}");
    match job.load {
        Load::Calls {
            size,
            in_flight,
            connections,
        } => {
            let mut peers = Vec::new();
            for _ in 0..connections {
                peers.push(connect(&url).await?);
            }
            calls(peers, size, in_flight, job.time).await
        }
        Load::OneWay { size } => one_way(connect(&url).await?, size, job.time).await,
    }
}

/// The client's handler.
#[derive(Debug)]
struct Listener;

impl HandleServerToClient for Listener {
    async fn on_disconnected(&self, _: &Client<Bench>, reason: DisconnectReason) {
        // No load ends a connection: the bout fails, and this says why.
        let _ = writeln!(std::io::stderr(), ": disconnected: {reason}");
    }
}

/// A handle that tasks share, as users would share it.
#[derive(Debug, Clone)]
struct Shared(Arc<Client<Bench>>);

async fn connect(url: &str) -> Result<Shared, Failure> {
    let client = Client::<Bench>::builder(url)
        .handler(Listener)
        .connect()
        .await
        .map_err(Failure::library)?;
    Ok(Shared(Arc::new(client)))
}

impl msip_load::Peer for Shared {
    async fn call(&self, Note { number, data }: Note) -> Result<Note, Failure> {
        let request = bench::Note { number, data };
        let bench::Note { number, data } =
            self.0.echo_req(request).await.map_err(Failure::library)?;
        Ok(Note { number, data })
    }
}

impl Teller for Shared {
    async fn tell(&mut self, Note { number, data }: Note) -> Result<(), Failure> {
        let message = bench::Note { number, data };
        self.0.note_ind(message).await.map_err(Failure::library)
    }

    async fn tally(&mut self) -> Result<Tally, Failure> {
        let request = bench::TallyReq {};
        let bench::Tally { count, sum } =
            self.0.tally_req(request).await.map_err(Failure::library)?;
        Ok(Tally { count, sum })
    }
}
