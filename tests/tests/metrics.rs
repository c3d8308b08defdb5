//! What is measured of clients and servers that talk. In a process and a thread of its own: all tasks of a test run in the
//! thread whose recorder is installed.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use msip_runtime::{
    CallOptions, Client, ConnectError, Server,
    middleware::Metrics,
    transport::{Listener, ServiceUrl},
};
use msip_tests::{
    LabServer, advance,
    lab::{ActReq, CountReq, EchoReq, Lab, NoteInd, SendClientToServer as _},
    raw::RawPeer,
    sampler::Sampler,
    soon,
};
use tokio::net::UdpSocket;

/// The value of each series, by its name and labels.
#[derive(Debug, Default, Clone)]
struct Book(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    series: BTreeMap<String, f64>,
    help: BTreeMap<String, String>,
}

struct Line(Book, String);

impl Line {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut state = self.0.state();
        let value = state.series.entry(self.1.clone()).or_default();
        *value = change(*value);
    }
}

impl CounterFn for Line {
    fn increment(&self, value: u64) {
        self.change(|before| before + f64::from(u32::try_from(value).expect("few")));
    }
    fn absolute(&self, _: u64) {}
}

impl GaugeFn for Line {
    fn increment(&self, value: f64) {
        self.change(|before| before + value);
    }
    fn decrement(&self, value: f64) {
        self.change(|before| before - value);
    }
    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

/// A histogram is the number of its values.
impl HistogramFn for Line {
    fn record(&self, _: f64) {
        self.change(|before| before + 1.0);
    }
}

impl Book {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, key: &Key) -> Arc<Line> {
        let mut labels: Vec<String> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        labels.sort();
        let series = format!("{}{{{}}}", key.name(), labels.join(","));
        Arc::new(Line(self.clone(), series))
    }

    /// Waits until a series has this value.
    async fn until(&self, series: &str, value: f64) {
        self.until_it_is(series, |now| now.to_bits() == value.to_bits())
            .await;
    }

    async fn until_it_is(&self, series: &str, is_right: impl Fn(f64) -> bool) {
        let reached = async {
            while !is_right(self.value(series)) {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(60), reached)
            .await
            .is_err()
        {
            panic!("{series}: {:#?}", self.state().series);
        }
    }

    fn value(&self, series: &str) -> f64 {
        self.state().series.get(series).copied().unwrap_or_default()
    }

    fn describe(&self, name: &KeyName, help: &SharedString) {
        let mut state = self.state();
        state
            .help
            .insert(name.as_str().to_owned(), help.to_string());
    }
}

impl Recorder for Book {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&name, &help);
    }
    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&name, &help);
    }
    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&name, &help);
    }
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.line(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.line(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.line(key))
    }
}

/// Runs a test in this thread alone, and records what is measured.
fn record<F: Future<Output = ()>>(test: impl FnOnce(Book) -> F) {
    let book = Book::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    metrics::with_local_recorder(&book, || runtime.block_on(test(book.clone())));
}

async fn serve(query: &str) -> (ServiceUrl, tokio::task::JoinHandle<()>) {
    let server = Server::<Lab>::builder(format!("tcp://127.0.0.1:0?{query}"))
        .incoming(Metrics::new())
        .bind()
        .await
        .expect("binds");
    let url = server.local_url().clone();
    let (handler, events) = LabServer::new();
    let serving = tokio::spawn(async move {
        server.serve(handler).await;
        drop(events);
    });
    (url, serving)
}

async fn connect(url: &ServiceUrl) -> Client<Lab> {
    Client::<Lab>::builder(url.to_string())
        .outgoing(Metrics::new())
        .reconnect_max(Duration::from_millis(20))
        .connect()
        .await
        .expect("connects")
}

#[test]
fn connections_sessions_and_calls_are_counted_on_both_sides() {
    record(|book| async move {
        let (url, _) = serve("").await;
        let client = connect(&url).await;
        for series in [
            "msip_connections{side=client}",
            "msip_connections{side=server}",
            "msip_sessions{side=client}",
            "msip_sessions{side=server}",
        ] {
            book.until(series, 1.0).await;
        }
        let watching = client.count_req(CountReq::default()).await.expect("opens");
        book.until("msip_open_calls{direction=incoming,side=server}", 1.0)
            .await;
        book.until("msip_open_calls{direction=outgoing,side=client}", 1.0)
            .await;
        drop(watching);
        book.until("msip_open_calls{direction=incoming,side=server}", 0.0)
            .await;
        book.until("msip_open_calls{direction=outgoing,side=client}", 0.0)
            .await;
        client.echo_req(EchoReq::default()).await.expect("answers");
        for direction in ["incoming", "outgoing"] {
            let labels = format!("code=OK,direction={direction},message=echo_req,shape=call");
            book.until(&format!("msip_exchanges_total{{{labels}}}"), 1.0)
                .await;
            book.until(&format!("msip_exchange_seconds{{{labels}}}"), 1.0)
                .await;
        }
        client.close().await;
        for series in [
            "msip_connections{side=client}",
            "msip_connections{side=server}",
            "msip_sessions{side=client}",
            "msip_sessions{side=server}",
            "msip_outgoing_queue_bytes{side=client}",
            "msip_outgoing_queue_bytes{side=server}",
        ] {
            book.until(series, 0.0).await;
        }
        let state = book.state();
        assert_eq!(
            state.help["msip_connections"],
            "connections whose handshake is done"
        );
        let undescribed: Vec<&String> = state
            .series
            .keys()
            .filter(|series| {
                let name = series.split('{').next().unwrap_or_default();
                !state.help.contains_key(name)
            })
            .collect();
        assert!(undescribed.is_empty(), "{undescribed:?}");
    });
}

#[test]
fn a_timeout_has_one_code_on_both_sides() {
    record(|book| async move {
        let (url, _) = serve("").await;
        let client = connect(&url).await;
        let limit = Duration::from_secs(10);
        let hurried = client.with(CallOptions::new().timeout(limit));
        let hang = ActReq {
            what: "hang".into(),
        };
        let (late, ()) = tokio::join!(hurried.act_req(hang), async {
            book.until("msip_open_calls{direction=incoming,side=server}", 1.0)
                .await;
            advance(limit).await;
        });
        late.expect_err("too late");
        let mut items = hurried.count_req(CountReq::default()).await.expect("opens");
        assert!(matches!(items.next().await, Some(Ok(_))));
        advance(limit).await;
        while let Some(Ok(_)) = items.next().await {}
        for direction in ["incoming", "outgoing"] {
            for (message, shape) in [("act_req", "call"), ("count_req", "response_stream")] {
                let labels = format!("direction={direction},message={message},shape={shape}");
                book.until(
                    &format!("msip_exchanges_total{{code=DEADLINE_EXCEEDED,{labels}}}"),
                    1.0,
                )
                .await;
            }
        }
        let others: Vec<String> = book
            .state()
            .series
            .keys()
            .filter(|series| series.contains("CANCELLED") || series.contains("code=UNKNOWN"))
            .cloned()
            .collect();
        assert!(others.is_empty(), "{others:?}");
    });
}

#[test]
fn refused_handshakes_are_counted_by_reason() {
    record(|book| async move {
        let limit = Duration::from_secs(60);
        let (url, _) = serve("max_connections=1&handshake_timeout=60s").await;
        let refused = |reason: &str| format!("msip_handshakes_refused_total{{reason={reason}}}");
        let silent = RawPeer::dial(&url).await;
        drop(RawPeer::dial(&url).await);
        // The silent one has been accepted before.
        book.until(&refused("closed"), 1.0).await;
        advance(limit).await;
        book.until(&refused("timed_out"), 1.0).await;
        drop(silent);
        let mut web = RawPeer::dial(&url).await;
        web.say(b"GET / HTTP/1.1\r\n\r\n").await;
        book.until(&refused("protocol"), 1.0).await;
        drop(web);
        let other = Client::<Sampler>::connect(url.to_string()).await;
        assert!(
            matches!(&other, Err(ConnectError::Refused { .. })),
            "{other:?}"
        );
        book.until(&refused("FAILED_PRECONDITION"), 1.0).await;
        let client = connect(&url).await;
        let second = soon("an answer", Client::<Lab>::connect(url.to_string())).await;
        second.expect_err("one is the most");
        book.until(&refused("too_many_connections"), 1.0).await;
        client.close().await;
    });
}

#[test]
fn waits_drops_and_reconnects_are_counted() {
    record(|book| async move {
        let url = ServiceUrl::parse("mem://measured").expect("an address");
        let listener = Listener::bind(&url).await.expect("binds");
        let connecting = tokio::spawn({
            let url = url.clone();
            async move { connect(&url).await }
        });
        let mut server = RawPeer::accept(&listener).await;
        server.welcome().await;
        let client = connecting.await.expect("no panic");
        // The server takes nothing: the window is used up.
        let flooding = tokio::spawn({
            let client = client.clone();
            async move {
                loop {
                    if client.note_ind(NoteInd::default()).await.is_err() {
                        return;
                    }
                }
            }
        });
        let is_some = |value: f64| value >= 1.0;
        book.until_it_is("msip_send_waits_total{queue=messages,side=client}", is_some)
            .await;
        drop(server);
        book.until("msip_connections{side=client}", 0.0).await;
        flooding.await.expect("ends");
        let mut server = RawPeer::accept(&listener).await;
        server.welcome().await;
        book.until("msip_reconnects_total{resumed=false}", 1.0)
            .await;
        book.until("msip_sessions_lost_total{}", 1.0).await;
        drop(listener);
        drop(server);
        book.until("msip_connections{side=client}", 0.0).await;
        book.until_it_is("msip_connect_failures_total{}", is_some)
            .await;
    });
}

#[test]
fn datagrams_that_are_not_taken_are_counted_by_the_reason() {
    record(|book| async move {
        let builder = Server::<Lab>::builder("tcp://127.0.0.1:0").also("udp://127.0.0.1:0");
        let server = builder.bind().await.expect("binds");
        let urls: Vec<_> = server.local_urls().map(ToString::to_string).collect();
        let (handler, _events) = LabServer::new();
        let serving = tokio::spawn(server.serve(handler));
        let server_udp = urls[1].strip_prefix("udp://").expect("is of datagrams");
        // Between the two, so that it sees a datagram.
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
        let between = socket.local_addr().expect("bound");
        let url = format!("{}?channel=log:udp://{between}", urls[0]);
        let client = soon("a client", Client::<Lab>::connect(url)).await;
        let client = client.expect("connects");
        let mut buffer = [0; 2000];
        let received = soon("a datagram", socket.recv_from(&mut buffer)).await;
        let (len, client_udp) = received.expect("received");
        let known = buffer[..len].to_vec();
        let mut forged = known.clone();
        forged[len - 1] ^= 1;
        let mut unknown = known.clone();
        unknown[0] ^= 1;
        let to_server = [
            ("length", vec![0; 31]),
            ("length", vec![0; 1201]),
            ("unknown_tag", unknown.clone()),
            ("forged", forged.clone()),
            // The first one is taken.
            ("repeated", known.clone()),
            ("repeated", known.clone()),
            ("repeated", known.clone()),
        ];
        for (_, datagram) in &to_server {
            socket.send_to(datagram, server_udp).await.expect("sent");
        }
        // What the client has made is forged where the server should have made it.
        let to_client = [
            ("length", vec![0; 1500]),
            ("unknown_tag", unknown),
            ("forged", known),
        ];
        for (_, datagram) in &to_client {
            socket.send_to(datagram, client_udp).await.expect("sent");
        }
        for (side, reason, count) in [
            ("server", "length", 2.0),
            ("server", "unknown_tag", 1.0),
            ("server", "forged", 1.0),
            ("server", "repeated", 2.0),
            ("client", "length", 1.0),
            ("client", "unknown_tag", 1.0),
            ("client", "forged", 1.0),
        ] {
            let labels = format!("reason={reason},side={side}");
            let series = format!("msip_datagrams_refused_total{{{labels}}}");
            book.until(&series, count).await;
        }
        client.close().await;
        serving.abort();
    });
}
