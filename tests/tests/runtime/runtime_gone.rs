//! Handles whose tokio runtime was shut down, used from another one.

use std::{
    future::{Future, poll_fn},
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use msip_runtime::{
    CallError, CallOptions, Client, CloseReason, Code, ConnectionState, Peer, SendError, Server,
    Stream,
};
use msip_tests::{
    LabClient, LabServer, SeenByServer,
    lab::{
        AskReq, CountReq, EchoReq, Lab, NoteInd, SaveInd, SendClientToServer as _,
        SendServerToClient as _, ShoutReq, SumReq,
    },
    messages::act,
    next,
    proxy::Proxy,
    soon,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
};

/// A stream that yields nothing, and does not end.
struct Never<T>(PhantomData<fn() -> T>);

impl<T> Never<T> {
    fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Stream for Never<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Pending
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A server in a runtime of its own.
struct Host {
    runtime: Runtime,
    url: String,
    events: mpsc::Receiver<SeenByServer>,
}

impl Host {
    fn start() -> Self {
        let runtime = runtime();
        let (url, events) = runtime.block_on(async {
            let (handler, events) = LabServer::new();
            let server = Server::<Lab>::bind("tcp://127.0.0.1:0")
                .await
                .expect("binds");
            let url = server.local_url().to_string();
            tokio::spawn(server.serve(handler));
            (url, events)
        });
        Self {
            runtime,
            url,
            events,
        }
    }

    async fn peer(&mut self) -> Peer<Lab> {
        match next(&mut self.events).await {
            SeenByServer::Connected(peer) => peer,
            event => panic!("{event:?}"),
        }
    }
}

/// Longer than any test waits.
fn patient() -> CallOptions {
    CallOptions::new().timeout(Duration::from_secs(3600))
}

fn is_gone<T>(outcome: Result<T, CallError>) -> bool {
    matches!(
        outcome,
        Err(CallError::RuntimeGone | CallError::NotSent(SendError::RuntimeGone))
    )
}

/// Whether everything that a client can do fails at once.
async fn assert_all_fail(client: &Client<Lab>) {
    let at_once = async {
        let echo = client.echo_req(EchoReq::default()).await;
        assert!(
            matches!(echo, Err(CallError::NotSent(SendError::RuntimeGone))),
            "{echo:?}"
        );
        assert_eq!(
            client.note_ind(NoteInd::default()).await,
            Err(SendError::RuntimeGone)
        );
        assert!(is_gone(client.save_ind(SaveInd::default()).await));
        assert!(is_gone(client.count_req(CountReq::default()).await));
        assert!(is_gone(client.sum_req(Never::<SumReq>::new()).await));
        assert!(is_gone(client.shout_req(Never::<ShoutReq>::new()).await));
        assert!(is_gone(client.ping(0, Duration::from_secs(3600)).await));
        let info = client.connection();
        assert_eq!(info.state(), ConnectionState::Closed);
        assert!(matches!(info.closed(), Some(CloseReason::RuntimeGone)));
        client.close().await;
    };
    soon("all of it fails", at_once).await;
}

/// Begins everything that waits for the server, then shuts down what `shut_down` does, and sees that nothing waits any longer.
async fn assert_all_end(client: &Client<Lab>, mut host: Host, shut_down: impl FnOnce()) {
    let begin = |what: &'static str, call: Pin<Box<dyn Future<Output = bool> + Send>>| {
        tokio::spawn(async move { (what, soon(what, call).await) })
    };
    let [calling, uploading] = [client.clone(), client.clone()];
    let mut numbers = soon(
        "numbers",
        client.with(patient()).count_req(CountReq::default()),
    )
    .await
    .expect("begins");
    assert!(soon("a number", numbers.next()).await.is_some());
    let mut shouts = soon("shouts", client.with(patient()).shout_req(Never::new()))
        .await
        .expect("begins");
    let began = [
        begin(
            "a call",
            Box::pin(async move {
                let hang = calling.with(patient()).act_req(act("hang")).await;
                hang == Err(CallError::RuntimeGone)
            }),
        ),
        begin(
            "an upload",
            Box::pin(async move { is_gone(uploading.with(patient()).sum_req(Never::new()).await) }),
        ),
        begin(
            "a response stream",
            Box::pin(async move {
                loop {
                    match numbers.next().await {
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return error == CallError::RuntimeGone,
                        None => return false,
                    }
                }
            }),
        ),
        begin(
            "a stream both ways",
            Box::pin(async move { shouts.next().await == Some(Err(CallError::RuntimeGone)) }),
        ),
    ];
    while !matches!(next(&mut host.events).await, SeenByServer::Act(_)) {}
    shut_down();
    for begun in began {
        let (what, is_right) = begun.await.expect("no panic");
        assert!(is_right, "{what}");
    }
    assert_all_fail(client).await;
    host.runtime.shutdown_background();
}

#[test]
fn all_that_a_client_began_ends_with_its_runtime() {
    let host = Host::start();
    let first = runtime();
    let client = first
        .block_on(Client::<Lab>::connect(&host.url))
        .expect("connects");
    runtime().block_on(async {
        assert_all_end(&client, host, || first.shutdown_background()).await;
    });
}

#[test]
fn a_client_that_waits_to_connect_again_ends_with_its_runtime() {
    let host = Host::start();
    let first = runtime();
    let (proxy, client) = first.block_on(async {
        let proxy = Proxy::start(address(&host.url)).await;
        let url = format!(
            "{}?reconnect_min=1h&reconnect_max=24h&buffer_disconnected=1MiB",
            proxy.url()
        );
        (proxy, Client::<Lab>::connect(url).await.expect("connects"))
    });
    runtime().block_on(async {
        // Nothing listens there any more.
        drop(proxy);
        let mut state = client.connection().watch();
        let lost = state.wait_for(|state| *state != ConnectionState::Connected);
        soon("the loss", lost).await.expect("lives");
        let options = client.with(patient());
        let mut open = std::pin::pin!(options.echo_req(EchoReq::default()));
        // It is buffered, and waits for a connection.
        let begun = poll_fn(|task| Poll::Ready(open.as_mut().poll(task).is_pending())).await;
        assert!(begun);
        first.shutdown_background();
        let outcome = soon("the call", &mut open).await;
        assert_eq!(outcome, Err(CallError::NotSent(SendError::RuntimeGone)));
        assert_all_fail(&client).await;
    });
}

fn address(url: &str) -> std::net::SocketAddr {
    let authority = url.trim_start_matches("tcp://");
    authority.parse().expect("an address")
}

#[test]
fn all_that_a_server_began_ends_with_its_runtime() {
    let mut host = Host::start();
    runtime().block_on(async {
        let (handler, _events) = LabClient::new();
        let client = Client::<Lab>::builder(&host.url)
            .handler(handler)
            .connect()
            .await
            .expect("connects");
        let peer = host.peer().await;
        let asked = soon("an answer", peer.ask_req(AskReq::default())).await;
        assert!(asked.is_ok(), "{asked:?}");
        let Host { runtime, .. } = host;
        runtime.shutdown_background();
        // The task is dropped some time after this returns; a ping that waits sees it.
        let ping = soon("a ping", peer.ping(0, Duration::from_secs(3600)));
        let _ = ping.await;
        let gone = async {
            while peer.note_ind(NoteInd::default()).await != Err(SendError::RuntimeGone) {
                tokio::task::yield_now().await;
            }
        };
        soon("the end", gone).await;
        assert!(is_gone(peer.ask_req(AskReq::default()).await));
        assert!(is_gone(peer.save_ind(SaveInd::default()).await));
        assert!(peer.connection().is_gone());
        assert_eq!(SendError::RuntimeGone.code(), Code::Unavailable);
        drop(client);
    });
}

#[test]
fn a_call_from_another_runtime_keeps_its_deadline() {
    let host = Host::start();
    let first = runtime();
    let client = first
        .block_on(Client::<Lab>::connect(&host.url))
        .expect("connects");
    runtime().block_on(async {
        let timeout = Duration::from_millis(20);
        let options = CallOptions::new().timeout(timeout);
        let hang = soon("the deadline", client.with(options).act_req(act("hang"))).await;
        // Either side may be the first to see it.
        assert_eq!(
            hang.map_err(|error| error.code()),
            Err(Code::DeadlineExceeded)
        );
        client.close().await;
    });
}
