//! tonic, as its documentation has it: one channel, whose clones all tasks share, without Nagle's delay. Its windows are
//! made larger than HTTP/2's 64 KiB, which would hold up large messages, and as many streams are open as there are calls.
//! A stream of messages is made by an iterator where there is nothing to wait for, which is the fastest way there is.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::Stream;
use msip_load::{
    Arrivals, Certificate, Failure, Note, Outcome, Peer, Stop, Tally, Target, check_tally, data_of,
};
use tokio::{
    net::TcpListener,
    sync::{Mutex as AsyncMutex, mpsc},
    task::{AbortHandle, JoinHandle},
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{
        Channel, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig, server::TcpIncoming,
    },
};

/// What `proto/peers.proto` generates.
pub(crate) mod wire {
    tonic::include_proto!("peers");
}

use wire::{bench_client::BenchClient, bench_server};

const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
const STREAMS: u32 = 16 * 1024;
/// How many messages wait between a task and a stream.
const QUEUE_LEN: usize = 1024;

type Listener = mpsc::Sender<Result<wire::Note, Status>>;

/// The service.
#[derive(Debug, Default)]
struct Service {
    listeners: Mutex<Vec<Listener>>,
}

#[tonic::async_trait]
impl bench_server::Bench for Service {
    type EchoAllStream = Box<dyn Stream<Item = Result<wire::Note, Status>> + Send + Unpin>;
    type FeedStream = Feed;
    type ListenStream = ReceiverStream<Result<wire::Note, Status>>;

    async fn echo(&self, request: Request<wire::Note>) -> Result<Response<wire::Note>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn echo_all(
        &self,
        request: Request<Streaming<wire::Note>>,
    ) -> Result<Response<Self::EchoAllStream>, Status> {
        Ok(Response::new(Box::new(request.into_inner())))
    }

    async fn tell(
        &self,
        request: Request<Streaming<wire::Note>>,
    ) -> Result<Response<wire::Tally>, Status> {
        let mut notes = request.into_inner();
        let mut tally = Tally::default();
        while let Some(note) = notes.message().await? {
            tally.add(note.number);
        }
        let Tally { count, sum } = tally;
        Ok(Response::new(wire::Tally { count, sum }))
    }

    async fn feed(
        &self,
        request: Request<wire::FeedReq>,
    ) -> Result<Response<Self::FeedStream>, Status> {
        let wire::FeedReq { count, size } = request.into_inner();
        let data = data_of(size as usize);
        let notes: Notes = Box::new((0..count).map(move |number| {
            Ok(wire::Note {
                number,
                data: data.clone(),
            })
        }));
        Ok(Response::new(tokio_stream::iter(notes)))
    }

    async fn listen(
        &self,
        _: Request<wire::ListenReq>,
    ) -> Result<Response<Self::ListenStream>, Status> {
        let (listener, notes) = mpsc::channel(QUEUE_LEN);
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.push(listener);
        Ok(Response::new(ReceiverStream::new(notes)))
    }

    async fn shout(&self, request: Request<wire::Note>) -> Result<Response<wire::Tally>, Status> {
        let note = request.into_inner();
        let listeners = {
            let listeners = self.listeners.lock();
            listeners.unwrap_or_else(PoisonError::into_inner).clone()
        };
        for listener in &listeners {
            // A receiver that has left is skipped.
            let _ = listener.send(Ok(note.clone())).await;
        }
        Ok(Response::new(wire::Tally::default()))
    }
}

type Notes = Box<dyn Iterator<Item = Result<wire::Note, Status>> + Send>;
type Feed = tokio_stream::Iter<Notes>;

/// Serves until it is dropped.
pub(crate) async fn serve(has_tls: bool, announce: impl FnOnce(u16)) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let mut server = Server::builder();
    // Shown to clients until this is dropped.
    let mut certificate = None;
    if has_tls {
        let mut own = Certificate::new()?;
        own.show(port)?;
        let identity = Identity::from_pem(own.certificate(), own.key());
        server = server
            .tls_config(ServerTlsConfig::new().identity(identity))
            .map_err(Failure::library)?;
        certificate = Some(own);
    }
    announce(port);
    let served = server
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS)
        .add_service(bench_server::BenchServer::new(Service::default()))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await;
    drop(certificate);
    served.map_err(Failure::library)
}

/// Opens a channel, over TLS where the URL says so.
pub(crate) async fn open(target: &Target) -> Result<BenchClient<Channel>, Failure> {
    let mut endpoint = Endpoint::from_shared(target.url.clone()).map_err(Failure::library)?;
    if target.url.starts_with("https:") {
        let shown = fs::read(Certificate::shown(target.port))?;
        let config = ClientTlsConfig::new()
            .ca_certificate(tonic::transport::Certificate::from_pem(shown))
            .domain_name("localhost");
        endpoint = endpoint.tls_config(config).map_err(Failure::library)?;
    }
    let channel = endpoint
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .connect()
        .await
        .map_err(Failure::library)?;
    Ok(BenchClient::new(channel))
}

/// A channel, and the stream of notes sent over it.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    client: BenchClient<Channel>,
    telling: Arc<AsyncMutex<Option<Telling>>>,
    _listening: Option<Arc<Listening>>,
}

/// A stream of notes, and the server's answer at its end.
#[derive(Debug)]
struct Telling {
    notes: mpsc::Sender<wire::Note>,
    told: JoinHandle<Result<Response<wire::Tally>, Status>>,
}

/// The task that takes what is shouted.
#[derive(Debug)]
struct Listening(AbortHandle);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Peer for Connection {
    async fn connect(target: &Target) -> Result<Self, Failure> {
        let mut client = open(target).await?;
        let mut listening = None;
        if let Some(counter) = target.arrivals.as_ref().map(Arrivals::of_one) {
            let notes = client.listen(wire::ListenReq {}).await;
            let mut notes = notes.map_err(Failure::library)?.into_inner();
            let task = tokio::spawn(async move {
                while let Ok(Some(note)) = notes.message().await {
                    counter.add(note.number);
                }
            });
            listening = Some(Arc::new(Listening(task.abort_handle())));
        }
        Ok(Self {
            client,
            telling: Arc::default(),
            _listening: listening,
        })
    }

    async fn call(&self, Note { number, data }: Note) -> Result<Note, Failure> {
        let answer = self.client.clone().echo(wire::Note { number, data }).await;
        let wire::Note { number, data } = answer.map_err(Failure::library)?.into_inner();
        Ok(Note { number, data })
    }

    async fn tell(&self, Note { number, data }: Note) -> Result<(), Failure> {
        let mut telling = self.telling.lock().await;
        let telling = telling.get_or_insert_with(|| {
            let (notes, stream) = mpsc::channel(QUEUE_LEN);
            let mut client = self.client.clone();
            let told = tokio::spawn(async move { client.tell(ReceiverStream::new(stream)).await });
            Telling { notes, told }
        });
        let told = telling.notes.send(wire::Note { number, data }).await;
        told.map_err(Failure::library)
    }

    async fn tally(&self) -> Result<Tally, Failure> {
        let Some(Telling { notes, told }) = self.telling.lock().await.take() else {
            return Ok(Tally::default());
        };
        drop(notes);
        let wire::Tally { count, sum } = told.await?.map_err(Failure::library)?.into_inner();
        Ok(Tally { count, sum })
    }

    async fn one_way(&self, size: usize, time: Duration) -> Result<Outcome, Failure> {
        let data = data_of(size);
        let sent = Arc::new(Mutex::new(Tally::default()));
        let started = Instant::now();
        let stop = Stop::after(time);
        let notes = {
            let sent = Arc::clone(&sent);
            let mut tally = Tally::default();
            std::iter::from_fn(move || {
                if stop.is_over() {
                    *sent.lock().unwrap_or_else(PoisonError::into_inner) = tally;
                    return None;
                }
                let number = tally.count;
                tally.add(number);
                let data = data.clone();
                Some(wire::Note { number, data })
            })
        };
        let told = self.client.clone().tell(tokio_stream::iter(notes)).await;
        let wire::Tally { count, sum } = told.map_err(Failure::library)?.into_inner();
        let sent = *sent.lock().unwrap_or_else(PoisonError::into_inner);
        check_tally(sent, Tally { count, sum })?;
        Ok(Outcome::since(started, sent.count))
    }

    async fn take_answers(&self, size: usize, count: u64) -> Result<Tally, Failure> {
        let size = u32::try_from(size).map_err(Failure::library)?;
        let notes = self
            .client
            .clone()
            .feed(wire::FeedReq { count, size })
            .await;
        let mut notes = notes.map_err(Failure::library)?.into_inner();
        let mut tally = Tally::default();
        while let Some(note) = notes.next().await {
            tally.add(note.map_err(Failure::library)?.number);
        }
        Ok(tally)
    }

    async fn shout(&self, Note { number, data }: Note) -> Result<(), Failure> {
        let told = self.client.clone().shout(wire::Note { number, data }).await;
        told.map(drop).map_err(Failure::library)
    }
}
