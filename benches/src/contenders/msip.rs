//! MSIP: what is generated from `proto/bench.proto`, with the settings that a builder begins with.

use std::{
    io::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use msip_load::{
    Arrivals, Counter, Failure, Note, Outcome, Stop, Tally, Target, check_tally, data_of,
};
use msip_runtime::{Client, DisconnectReason, Server, transport::ClientTls};

use super::{raw::trusting, scheme::Scheme};
use msip_benches::{
    Echo,
    bench::{self, Bench, HandleServerToClient, PushClientToServer as _, SendClientToServer as _},
};

/// Serves until it is dropped.
pub(crate) async fn serve(scheme: Scheme, announce: impl FnOnce(u16)) -> Result<(), Failure> {
    let mut place = scheme.place()?;
    let server = Server::<Bench>::bind(&place.url)
        .await
        .map_err(Failure::library)?;
    announce(place.port(server.local_url())?);
    server.serve(Echo::default()).await;
    Ok(())
}

/// The client's handler.
#[derive(Debug)]
struct Listener {
    counter: Option<Counter>,
    is_closing: Arc<AtomicBool>,
}

impl HandleServerToClient for Listener {
    async fn on_note_ind(&self, _: &Client<Bench>, message: bench::Note) {
        if let Some(counter) = &self.counter {
            counter.add(message.number);
        }
    }

    async fn on_disconnected(&self, _: &Client<Bench>, reason: DisconnectReason) {
        let is_meant = matches!(reason, DisconnectReason::ClosedByUs)
            || self.is_closing.load(Ordering::Relaxed);
        if !is_meant {
            // The bout fails, and this says why.
            let _ = writeln!(std::io::stderr(), ": disconnected: {reason}");
        }
    }
}

/// A handle that tasks share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    client: Client<Bench>,
    is_closing: Arc<AtomicBool>,
}

impl Shared {
    async fn connect_with(target: &Target, tls: Option<ClientTls>) -> Result<Self, Failure> {
        let counter = target.arrivals.as_ref().map(Arrivals::of_one);
        let is_closing = Arc::<AtomicBool>::default();
        let listener = Listener {
            counter,
            is_closing: Arc::clone(&is_closing),
        };
        let mut builder = Client::<Bench>::builder(&target.url).handler(listener);
        if let Some(tls) = tls {
            builder = builder.tls(tls);
        }
        let client = builder.connect().await.map_err(Failure::library)?;
        Ok(Self { client, is_closing })
    }
}

impl msip_load::Peer for Shared {
    async fn connect(target: &Target) -> Result<Self, Failure> {
        Self::connect_with(target, None).await
    }

    async fn call(&self, note: Note) -> Result<Note, Failure> {
        let answer = self.client.echo_req(note.into()).await;
        answer.map(Note::from).map_err(Failure::library)
    }

    async fn call_urgently(&self, note: Note) -> Result<Note, Failure> {
        let answer = self.client.ping_req(note.into()).await;
        answer.map(Note::from).map_err(Failure::library)
    }

    async fn tell(&self, note: Note) -> Result<(), Failure> {
        let sent = self.client.note_ind(note.into()).await;
        sent.map_err(Failure::library)
    }

    async fn tally(&self) -> Result<Tally, Failure> {
        let answer = self.client.tally_req(bench::TallyReq {}).await;
        let bench::Tally { count, sum } = answer.map_err(Failure::library)?;
        Ok(Tally { count, sum })
    }

    async fn take_answers(&self, size: usize, count: u64) -> Result<Tally, Failure> {
        let size = u32::try_from(size).map_err(Failure::library)?;
        let request = bench::FeedReq { count, size };
        let mut notes = self
            .client
            .feed_req(request)
            .await
            .map_err(Failure::library)?;
        let mut tally = Tally::default();
        while let Some(note) = notes.next().await {
            tally.add(note.map_err(Failure::library)?.number);
        }
        Ok(tally)
    }

    async fn shout(&self, note: Note) -> Result<(), Failure> {
        let answer = self.client.shout_req(note.into()).await;
        answer.map(drop).map_err(Failure::library)
    }

    async fn close(self) {
        self.is_closing.store(true, Ordering::Relaxed);
        self.client.close().await;
    }
}

/// A client that resumes the TLS session of those before it: a config of rustls keeps them.
#[derive(Debug, Clone)]
pub(crate) struct Resuming(Shared);

impl msip_load::Peer for Resuming {
    async fn connect(target: &Target) -> Result<Self, Failure> {
        /// That of the one server that a process connects to.
        static TLS: Mutex<Option<ClientTls>> = Mutex::new(None);
        let tls = {
            let mut kept = TLS.lock().unwrap_or_else(PoisonError::into_inner);
            match &*kept {
                Some(tls) => tls.clone(),
                None => {
                    let config = trusting(target.port, true)?;
                    kept.insert(ClientTls::from_rustls(config)).clone()
                }
            }
        };
        Shared::connect_with(target, Some(tls)).await.map(Self)
    }

    async fn call(&self, note: Note) -> Result<Note, Failure> {
        self.0.call(note).await
    }

    async fn close(self) {
        self.0.close().await;
    }
}

/// A client whose one-way messages go through a sender of their own.
#[derive(Debug, Clone)]
pub(crate) struct Sending(Shared);

impl msip_load::Peer for Sending {
    async fn connect(target: &Target) -> Result<Self, Failure> {
        Shared::connect(target).await.map(Self)
    }

    /// Its calls are those of any client: they are not measured twice.
    async fn call(&self, _: Note) -> Result<Note, Failure> {
        Err(Failure::NotOffered)
    }

    async fn one_way(&self, size: usize, time: Duration) -> Result<Outcome, Failure> {
        let data = data_of(size);
        let mut sender = self.0.client.sender();
        let mut sent = Tally::default();
        let started = Instant::now();
        let stop = Stop::after(time);
        while !stop.is_over() {
            let number = sent.count;
            let data = data.clone();
            let pushed = sender.note_ind(bench::Note { number, data }).await;
            pushed.map_err(Failure::library)?;
            sent.add(number);
        }
        sender.flush().await.map_err(Failure::library)?;
        check_tally(sent, self.0.tally().await?)?;
        Ok(Outcome::since(started, sent.count))
    }
}
