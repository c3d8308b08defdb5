//! A server of the `lab` protocol that tells the test what it sees.

use std::{
    future::pending,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use msip_broker::Broker;
use msip_runtime::{
    Code, DisconnectReason, Peer, ServeWith, Server, Status, Stream, Streaming,
    transport::ServiceUrl,
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use crate::{
    Recorder, THROUGH_A_BROKER,
    lab::{
        ActReq, ActRsp, AskReq, CountReq, CountRsp, EchoReq, EchoRsp, HandleClientToServer, Lab,
        NoteInd, SaveInd, SendServerToClient as _, ShoutReq, ShoutRsp, SumReq, SumRsp,
    },
    next,
    proxy::Proxy,
    recorder,
};

/// What happened to the server.
#[derive(Debug)]
pub enum SeenByServer {
    /// A client has connected.
    Connected(Peer<Lab>),
    /// A client's connection has ended.
    Disconnected(DisconnectReason),
    /// A note came.
    Note(u64),
    /// Something to save came.
    Save(u64),
    /// A tick came.
    Tick,
    /// An alarm came.
    Alarm(u64),
    /// A request came.
    Act(String),
    /// The handler of a request was dropped before its end.
    Dropped(String),
}

/// The handler.
#[derive(Debug, Clone)]
pub struct LabServer {
    seen: Recorder<SeenByServer>,
    /// Notes are handled only with a permit from here, where there is one.
    gate: Option<Arc<Semaphore>>,
}

impl LabServer {
    /// A handler, and what it sees.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<SeenByServer>) {
        let (seen, events) = recorder();
        (Self { seen, gate: None }, events)
    }

    /// Handles each note only once the gate gives a permit, which is used up.
    #[must_use]
    pub fn gated(mut self, gate: &Arc<Semaphore>) -> Self {
        self.gate = Some(Arc::clone(gate));
        self
    }
}

/// Tells when a handler is dropped before its end.
struct TellDrop(Option<(Recorder<SeenByServer>, String)>);

impl Drop for TellDrop {
    fn drop(&mut self) {
        if let Some((seen, what)) = self.0.take() {
            seen.record(SeenByServer::Dropped(what));
        }
    }
}

impl HandleClientToServer for LabServer {
    async fn on_echo_req(&self, _: &Peer<Lab>, request: EchoReq) -> Result<EchoRsp, Status> {
        Ok(EchoRsp {
            text: request.text,
            ballast: request.ballast,
        })
    }

    async fn on_act_req(&self, peer: &Peer<Lab>, request: ActReq) -> Result<ActRsp, Status> {
        self.seen.record(SeenByServer::Act(request.what.clone()));
        let mut told = TellDrop(Some((self.seen.clone(), request.what.clone())));
        let done = match request.what.as_str() {
            "panic" => panic!("asked to"),
            "fail" => Err(Status::not_found("no such thing")),
            "hang" => std::future::pending().await,
            "wait" => match &self.gate {
                Some(gate) => {
                    gate.acquire()
                        .await
                        .map_err(|error| Status::internal(error.to_string()))?
                        .forget();
                    Ok("waited".to_owned())
                }
                None => Err(Status::internal("no gate")),
            },
            "ask" => {
                let view = peer.with(peer.call());
                Ok(view
                    .ask_req(AskReq {
                        question: "who?".into(),
                    })
                    .await?
                    .answer)
            }
            "remaining" => Ok(peer
                .call()
                .remaining()
                .map_or_else(String::new, |left| left.as_millis().to_string())),
            "leave" => {
                peer.disconnect(Status::new(Code::Aborted, "asked to"));
                Ok("gone".to_owned())
            }
            "large" => Ok("x".repeat(5 << 20)),
            what => match what.split_once(' ') {
                Some(("answer", len)) => text_of(len),
                Some(("later", len)) => {
                    sleep(LATER).await;
                    text_of(len)
                }
                _ => Err(Status::invalid_argument(format!(
                    "`{what}` is nothing to do"
                ))),
            },
        };
        told.0 = None;
        done.map(|done| ActRsp { done })
    }

    async fn on_count_req(
        &self,
        _: &Peer<Lab>,
        request: CountReq,
    ) -> Result<impl Stream<Item = Result<CountRsp, Status>> + Send + 'static, Status> {
        if request.from == 13 {
            return Err(Status::failed_precondition("not from thirteen"));
        }
        let told = TellDrop(Some((self.seen.clone(), "count".to_owned())));
        Ok(Count {
            next: request.from,
            to: if request.to == 0 {
                u64::MAX
            } else {
                request.to
            },
            ballast_len: request.ballast_len as usize,
            is_superstitious: (1..13).contains(&request.from),
            told,
        })
    }

    async fn on_sum_req(
        &self,
        _: &Peer<Lab>,
        mut requests: Streaming<SumReq>,
    ) -> Result<SumRsp, Status> {
        let mut sum = 0;
        while let Some(request) = requests.next().await {
            let number = request?.number;
            if number == 13 {
                return Err(Status::failed_precondition("not thirteen"));
            }
            sum += number;
        }
        Ok(SumRsp { sum })
    }

    async fn on_shout_req(
        &self,
        _: &Peer<Lab>,
        requests: Streaming<ShoutReq>,
    ) -> Result<impl Stream<Item = Result<ShoutRsp, Status>> + Send + 'static, Status> {
        Ok(Shout(requests))
    }

    async fn on_save_ind(&self, _: &Peer<Lab>, message: SaveInd) -> Result<(), Status> {
        self.seen.record(SeenByServer::Save(message.number));
        if message.number == 13 {
            Err(Status::failed_precondition("not thirteen"))
        } else {
            Ok(())
        }
    }

    async fn on_note_ind(&self, _: &Peer<Lab>, message: NoteInd) {
        if let Some(gate) = &self.gate
            && let Ok(permit) = gate.acquire().await
        {
            permit.forget();
        }
        self.seen.record(SeenByServer::Note(message.number));
    }

    async fn on_tick_ind(&self, _: &Peer<Lab>) {
        self.seen.record(SeenByServer::Tick);
    }

    async fn on_alarm_ind(&self, _: &Peer<Lab>, message: NoteInd) {
        self.seen.record(SeenByServer::Alarm(message.number));
    }

    async fn on_client_connected(&self, peer: &Peer<Lab>) {
        self.seen.record(SeenByServer::Connected(peer.clone()));
    }

    async fn on_client_disconnected(&self, _: &Peer<Lab>, reason: DisconnectReason) {
        self.seen.record(SeenByServer::Disconnected(reason));
    }
}

/// How long a handler takes that answers later.
const LATER: Duration = Duration::from_millis(10);

/// A text of so many bytes.
pub(crate) fn text_of(len: &str) -> Result<String, Status> {
    let len = len
        .parse()
        .map_err(|_| Status::invalid_argument(format!("`{len}` is no length")))?;
    Ok("x".repeat(len))
}

/// Counts; tells when it is dropped before its end.
struct Count {
    next: u64,
    to: u64,
    ballast_len: usize,
    /// It goes no further than twelve.
    is_superstitious: bool,
    told: TellDrop,
}

impl Stream for Count {
    type Item = Result<CountRsp, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.next >= self.to {
            self.told.0 = None;
            return Poll::Ready(None);
        }
        let number = self.next;
        if self.is_superstitious && number == 13 {
            return Poll::Ready(Some(Err(Status::failed_precondition("not thirteen"))));
        }
        self.next += 1;
        Poll::Ready(Some(Ok(CountRsp {
            number,
            ballast: vec![0; self.ballast_len],
        })))
    }
}

/// Shouts what is said.
struct Shout(Streaming<ShoutReq>);

impl Stream for Shout {
    type Item = Result<ShoutRsp, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(context).map(|request| {
            request.map(|request| {
                Ok(ShoutRsp {
                    text: request?.text.to_uppercase(),
                })
            })
        })
    }
}

/// Serves at `url` in a task that the test's runtime ends, with a handler that records what it sees.
///
/// # Panics
///
/// When it cannot listen.
pub async fn start(url: &str) -> (ServiceUrl, mpsc::Receiver<SeenByServer>, JoinHandle<()>) {
    let (handler, events) = LabServer::new();
    let (url, serving) = serve::<Lab, _>(url, handler).await;
    (url, events, serving)
}

/// As [`start`], with a gate that is closed: each note and each `wait` needs a permit of it.
///
/// # Panics
///
/// When it cannot listen.
pub async fn start_gated(url: &str) -> (ServiceUrl, mpsc::Receiver<SeenByServer>, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let (handler, events) = LabServer::new();
    let (url, _serving) = serve::<Lab, _>(url, handler.gated(&gate)).await;
    (url, events, gate)
}

/// Serves at `url` in a task that the test's runtime ends. Where the URL says so, it is a service that is attached to a broker of its own.
///
/// # Panics
///
/// When it cannot listen.
pub async fn serve<P, H>(url: &str, handler: H) -> (ServiceUrl, JoinHandle<()>)
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    if let Some(place) = url.strip_prefix(THROUGH_A_BROKER) {
        return attach::<P, H>(place, handler).await;
    }
    let server = match Server::<P>::bind(url).await {
        Ok(server) => server,
        Err(error) => panic!("{error}"),
    };
    let url = server.local_url().clone();
    (url, tokio::spawn(server.serve(handler)))
}

/// Starts a broker that listens at `place`, and attaches to it a service that a task runs, as [`serve`] does a server. When the
/// task is aborted, the broker ends too.
async fn attach<P, H>(place: &str, handler: H) -> (ServiceUrl, JoinHandle<()>)
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    let mut builder = Broker::builder();
    let place = match place.split_once("?session_expiry=") {
        Some((place, expiry)) => {
            builder = builder.session_expiry(millis(expiry));
            place
        }
        None => place,
    };
    let broker = match builder.listen(place).bind().await {
        Ok(broker) => broker,
        Err(error) => panic!("{error}"),
    };
    let url = broker.local_urls().next().map(|url| format!("{url}/lab"));
    let url: ServiceUrl = match url.unwrap_or_default().parse() {
        Ok(url) => url,
        Err(error) => panic!("{error}"),
    };
    let mut running = JoinSet::new();
    running.spawn(broker.serve_until(pending()));
    let service = match Server::<P>::attach(url.to_string(), handler).await {
        Ok(service) => service,
        Err(error) => panic!("{error}"),
    };
    let serving = tokio::spawn(async move {
        service.closed().await;
        running.shutdown().await;
    });
    (url, serving)
}

/// `50ms` or `0s`.
fn millis(text: &str) -> Duration {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.trim_end_matches('s'), 1000),
    };
    match number.parse::<u64>() {
        Ok(number) => Duration::from_millis(number * unit),
        Err(error) => panic!("{text}: {error}"),
    }
}

/// A client's URL with these settings, `?compress=zstd`; a topic is a setting too.
#[must_use]
pub fn with_settings(url: &ServiceUrl, settings: &str) -> String {
    let url = url.to_string();
    match settings.strip_prefix('?') {
        Some(settings) if url.contains('?') => format!("{url}&{settings}"),
        _ => format!("{url}{settings}"),
    }
}

/// Where clients connect to by `proxy` that would connect to `url`.
#[must_use]
pub fn through(proxy: &Proxy, url: &ServiceUrl, settings: &str) -> String {
    let place = url.address().authority();
    let url = url.to_string();
    match url.replacen(place, &proxy.address().to_string(), 1).parse() {
        Ok(url) => with_settings(&url, settings),
        Err(error) => panic!("{url}: {error}"),
    }
}

/// The peer of the client that connects next.
///
/// # Panics
///
/// When the next event is another one.
pub async fn connected(events: &mut mpsc::Receiver<SeenByServer>) -> Peer<Lab> {
    match next(events).await {
        SeenByServer::Connected(peer) => peer,
        event => panic!("{event:?}"),
    }
}
