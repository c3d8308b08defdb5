//! The admin listener, asked over TCP.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use msip_runtime::auth::{ApiKey, ApiKeys};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};

use super::{Admin, AdminServer, metrics::INSTRUMENTS};
use crate::{
    access::{Principal, Rights},
    broker::Broker,
    clock::Clock,
    config::Config,
    connections::Connections,
    directory::Directory,
    router::{
        Dialect, EndReason, Limits, Router, SessionHandle, SubscribeRequest, Totals, WakeList,
    },
    shared::BrokerShared,
    topic::{Filter, TopicFilter},
};

struct Asked {
    address: SocketAddr,
    shared: BrokerShared,
    admin: Arc<Admin>,
    serving: JoinHandle<()>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Asked {
    async fn start(keys: Option<ApiKeys>) -> Self {
        let shared = BrokerShared {
            router: Router::new(Limits::default()),
            directory: Directory::new(&Config::default()),
            connections: Connections::default(),
            clock: Clock::start(),
        };
        let admin = Arc::new(Admin::new(&shared, keys));
        let server = AdminServer::bind("127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        Self {
            address: server.address(),
            serving: tokio::spawn(server.serve(Arc::clone(&admin))),
            shared,
            admin,
        }
    }

    fn session(&self, name: &str, dialect: Dialect) -> SessionHandle {
        let rights = Arc::new(Rights::all());
        self.shared
            .router
            .connect(Principal::new(name), rights, dialect)
    }

    fn subscribe(&self, session: &SessionHandle, filter: &str, group: Option<&str>) {
        let mut request = SubscribeRequest::new(Filter::Pattern(TopicFilter::new(filter).unwrap()));
        request.group = group.map(str::to_owned);
        let now = self.shared.clock.now();
        self.shared.router.subscribe(session, request, now).unwrap();
    }

    fn suspend(&self, session: &SessionHandle) {
        let mut wakes = WakeList::new();
        self.shared
            .router
            .suspend(session, self.shared.clock.now(), &mut wakes);
        wakes.wake();
    }

    fn end(&self, session: &SessionHandle, reason: EndReason) {
        let mut wakes = WakeList::new();
        self.shared
            .router
            .end(session, reason, self.shared.clock.now(), &mut wakes);
        wakes.wake();
    }

    /// The status, the head and the body of an answer.
    async fn send(&self, request: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // It may be refused before all of it is written.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.unwrap_or(0), head.to_owned(), body.to_owned())
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let (status, _, body) = self.send(&request).await;
        (status, body)
    }

    async fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
    }
}

#[tokio::test]
async fn it_is_ready_until_it_drains_and_healthy_all_the_time() {
    let asked = Asked::start(None).await;
    assert_eq!(asked.get("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(asked.get("/readyz").await, (200, "ready\n".to_owned()));
    asked.admin.drain();
    assert_eq!(asked.get("/healthz").await.0, 200);
    assert_eq!(asked.get("/readyz").await, (503, "draining\n".to_owned()));
    assert_eq!(asked.json("/").await["is_draining"], true);
}

#[tokio::test]
async fn every_path_that_it_names_is_there() {
    let asked = Asked::start(None).await;
    let index = asked.json("/").await;
    for path in index["paths"].as_array().unwrap() {
        let path = path["path"].as_str().unwrap();
        assert_eq!(asked.get(path).await.0, 200, "{path}");
    }
    assert_eq!(asked.get("/nothing").await.0, 404);
}

#[tokio::test]
async fn lists_have_what_there_is_sorted_and_in_parts() {
    let asked = Asked::start(None).await;
    let [one, two] = [("ada", Dialect::Msip), ("plant", Dialect::Mip)]
        .map(|(name, dialect)| asked.session(name, dialect));
    asked.subscribe(&one, "a/+", None);
    asked.subscribe(&one, "b", Some("workers"));
    asked.subscribe(&two, "b", Some("workers"));
    let (open, closed) = (
        asked.shared.connections.opened("127.0.0.1:5000", &one),
        asked.shared.connections.opened("127.0.0.1:5001", &two),
    );
    closed.closed("slow consumer");
    asked.suspend(&two);

    let connections = asked.json("/connections").await;
    assert_eq!(connections["total"], 1);
    let entry = &connections["entries"][0];
    assert_eq!(
        (&entry["address"], &entry["principal"], &entry["dialect"]),
        (&"127.0.0.1:5000".into(), &"ada".into(), &"msip".into())
    );
    let closed = asked.json("/connections?state=closed").await;
    assert_eq!(closed["entries"][0]["why"], "slow consumer");
    assert_eq!(closed["entries"][0]["dialect"], "mip");

    let sessions = asked.json("/sessions?sort=id").await;
    assert_eq!(sessions["entries"][0]["subscriptions"], 2);
    assert_eq!(sessions["entries"][1]["is_connected"], false);
    assert!(
        sessions["entries"][1]["expires_in_seconds"]
            .as_f64()
            .unwrap()
            > 200.0
    );
    let part = asked.json("/sessions?sort=id&offset=1&limit=1").await;
    assert_eq!(
        (&part["total"], &part["entries"][0]["principal"]),
        (&2.into(), &"plant".into())
    );

    asked.subscribe(&two, "c", None);
    let topics = asked.json("/topics").await;
    let names = |topics: &Value| -> Vec<String> {
        let entries = topics["entries"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["topic"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&topics), ["b", "c"], "no filters with wildcards");
    assert_eq!(
        (&topics["entries"][0]["subscriptions"], &topics["next"]),
        (&2.into(), &Value::Null)
    );
    let first = asked.json("/topics?limit=1").await;
    assert_eq!(names(&first), ["b"]);
    let next = first["next"].as_str().unwrap();
    assert_eq!(
        names(&asked.json(&format!("/topics?after={next}")).await),
        ["c"]
    );
    assert_eq!(asked.json("/slow").await["total"], 0);
    assert_eq!(asked.json("/rates").await.as_array().unwrap().len(), 3);

    asked.end(&two, EndReason::Closed);
    drop(open);
    assert_eq!(asked.json("/connections").await["total"], 0);
}

/// What a list does not have is refused, and what it has is named.
#[tokio::test]
async fn a_parameter_that_a_list_does_not_have_is_refused_with_those_that_it_has() {
    let asked = Asked::start(None).await;
    let paged = "`sort`, `limit`, `offset`";
    for (wrong, named) in [
        ("/sessions?sort=size", "`pending`, `age`, `id`"),
        ("/sessions?sorted=id", paged),
        ("/sessions?state=away", paged),
        ("/connections?limit=-1", "limit"),
        (
            "/connections?after=00",
            "`state`, `sort`, `limit`, `offset`",
        ),
        ("/connections?state=away", "`open` or `closed`"),
        ("/connections?state=closed&sort=id", "`sort` is for open"),
        ("/slow?sort=id", "`limit` or `offset`"),
        ("/topics?after=a", "`after`"),
        ("/topics?after=xx", "`after`"),
        ("/topics?offset=1", "`after` or `limit`"),
        ("/rates?limit=1", "`limit`"),
    ] {
        let (status, body) = asked.get(wrong).await;
        assert_eq!(status, 400, "{wrong}: {body}");
        assert!(body.contains(named), "{wrong}: {body}");
    }
    for right in [
        "/connections?state=closed&limit=1&offset=1",
        "/connections?state=open&sort=age",
        "/sessions?sort=age&limit=1&offset=1",
        "/slow?limit=1&offset=1",
        "/topics?limit=1",
    ] {
        assert_eq!(asked.get(right).await.0, 200, "{right}");
    }
}

#[tokio::test]
async fn metrics_have_no_label_that_a_peer_chooses() {
    let asked = Asked::start(None).await;
    let session = asked.session("a-name-of-a-principal", Dialect::Msip);
    asked.subscribe(&session, "a/secret/topic", Some("a-group"));
    let open = asked.shared.connections.opened("192.0.2.7:5000", &session);
    let gone = asked.session("gone", Dialect::Mip);
    asked.end(&gone, EndReason::SlowConsumer);
    let (_, text) = asked.get("/metrics").await;
    for (name, ..) in INSTRUMENTS {
        assert!(text.contains(&format!("# HELP {name} ")), "{name}: {text}");
    }
    for line in [
        "msip_broker_connections{dialect=\"msip\"} 1",
        "msip_broker_connections{dialect=\"mip\"} 0",
        "msip_broker_sessions{state=\"connected\"} 1",
        "msip_broker_sessions_ended_total{reason=\"slow_consumer\"} 1",
        "msip_broker_subscriptions 1",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}: {text}");
    }
    for of_a_peer in ["principal", "secret", "group", "192.0.2.7"] {
        assert!(!text.contains(of_a_peer), "{of_a_peer}: {text}");
    }
    drop(open);
}

#[tokio::test]
async fn what_was_counted_stays_counted_when_a_session_ends() {
    use msip_session::MsgKind;

    let asked = Asked::start(None).await;
    let (from, to) = (
        asked.session("from", Dialect::Msip),
        asked.session("to", Dialect::Msip),
    );
    asked.subscribe(&to, "a", None);
    let mut publisher = crate::router::Publisher::new(&asked.shared.router, &from);
    let now = asked.shared.clock.now();
    let mut wakes = WakeList::new();
    let frames = Bytes::from_static(&[0; 24]);
    let publication = crate::router::Publication::new(
        from.key(),
        Bytes::from_static(b"a"),
        MsgKind::Event,
        frames,
        3,
    );
    publisher.publish(publication, now, &mut wakes).unwrap();
    let sums = |totals: Totals| (totals.published, totals.queued);
    assert_eq!(sums(asked.shared.router.totals()), (3, 3));
    assert_eq!(to.waiting(), 3);
    let slow = asked.json("/slow").await;
    assert_eq!(
        (&slow["total"], &slow["entries"][0]["pending_messages"]),
        (&1.into(), &3.into())
    );
    let connections = asked.json("/sessions").await;
    assert_eq!(
        connections["entries"][0]["principal"], "to",
        "the longest queue first"
    );
    for session in [&from, &to] {
        asked.end(session, EndReason::Closed);
        asked.end(session, EndReason::Closed);
    }
    let totals = asked.shared.router.totals();
    let ended = totals
        .ended
        .iter()
        .find(|(reason, _)| *reason == EndReason::Closed);
    assert_eq!(ended, Some(&(EndReason::Closed, 2)), "each once");
    assert_eq!((totals.sessions, totals.waiting), (0, 0));
    assert_eq!(sums(totals), (3, 3));
}

#[tokio::test]
async fn a_page_that_has_rebound_its_name_is_refused() {
    let asked = Asked::start(None).await;
    let host = |host: &str| format!("GET /sessions HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for (name, expected) in [
        ("127.0.0.1:9001", 200),
        ("[::1]:9001", 200),
        ("evil.example.org", 403),
    ] {
        assert_eq!(asked.send(&host(name)).await.0, expected, "{name}");
    }
    let none = "GET /sessions HTTP/1.0\r\n\r\n";
    assert_eq!(asked.send(none).await.0, 400);
}

#[tokio::test]
async fn beyond_loopback_it_takes_the_role_admin() {
    let [admin, other, stranger] = [(); 3].map(|()| ApiKey::generate().unwrap());
    let entries = [
        admin.entry("ada").with_role("admin"),
        other.entry("eve").with_role("operator"),
    ];
    let asked = Asked::start(Some(ApiKeys::from_entries(entries).unwrap())).await;
    let shows = |value: &str| {
        format!(
            "GET /sessions HTTP/1.1\r\nHost: broker.example.org\r\nAuthorization: {value}\r\n\r\n"
        )
    };
    let bearer = |key: &ApiKey| shows(&format!("Bearer {}", key.as_str()));
    assert_eq!(asked.send(&bearer(&admin)).await.0, 200);
    assert_eq!(asked.send(&bearer(&other)).await.0, 403);
    let (status, head, body) = asked.send(&bearer(&stranger)).await;
    assert_eq!((status, &*body), (401, "not authenticated\n"));
    assert!(
        head.to_ascii_lowercase()
            .contains("www-authenticate: bearer"),
        "{head}"
    );
    for wrong in ["Bearer x", "Basic YWRhOmE=", ""] {
        assert_eq!(asked.send(&shows(wrong)).await.0, 401, "{wrong}");
    }
    for path in ["/", "/metrics", "/connections", "/nothing"] {
        assert_eq!(asked.get(path).await.0, 401, "{path}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(asked.get(path).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn hostile_requests_are_refused_and_others_answered() {
    let asked = Asked::start(None).await;
    let long = "a".repeat(100_000);
    let many: String = (0..1000)
        .map(|number| format!("x-{number}: 1\r\n"))
        .collect();
    for (what, request) in [
        (
            "a long header",
            format!("GET / HTTP/1.1\r\nHost: localhost\r\nx: {long}\r\n\r\n"),
        ),
        (
            "a long path",
            format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ),
        (
            "many headers",
            format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"),
        ),
        (
            "another protocol",
            "MSIP\u{1}\u{0}\u{0}\u{0}\r\n\r\n".to_owned(),
        ),
        (
            "another method",
            "POST /sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".to_owned(),
        ),
        (
            "a body that is announced",
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999\r\n\r\n".to_owned(),
        ),
    ] {
        let (status, ..) = asked.send(&request).await;
        assert!(
            status == 0 || (400..500).contains(&status),
            "{what}: {status}"
        );
    }
    assert_eq!(asked.get("/healthz").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn whoever_says_nothing_is_let_go() {
    let asked = Asked::start(None).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(asked.address).await.unwrap();
        stream.write_all(b"GET / HT").await.unwrap();
        silent.push(stream);
    }
    // More than it serves at once.
    assert_eq!(asked.get("/healthz").await.0, 200);
    for mut stream in silent {
        let mut rest = Vec::new();
        let mut is_kept = true;
        // A paused clock does not wait for the system to tell that a socket was closed.
        for _ in 0..1000 {
            let ended = timeout(Duration::from_secs(120), stream.read_to_end(&mut rest)).await;
            is_kept = ended.is_err();
            if !is_kept {
                break;
            }
        }
        assert!(!is_kept, "it is kept");
    }
}

#[tokio::test]
async fn an_embedded_broker_has_it_too() {
    let broker = Broker::builder()
        .listen("mem://embedded-admin")
        .admin("127.0.0.1:0".parse().unwrap());
    let broker = broker.bind().await.unwrap();
    let address = broker.admin_address().unwrap();
    assert_ne!(address.port(), 0);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(broker.serve_until(async move { drop(stopped.await) }));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("ready\n"), "{answer}");
    drop(stop);
    serving.await.unwrap();
}

#[test]
fn the_page_has_every_instrument() {
    const PAGE: &str = include_str!("../../../docs/broker.md");
    for (name, _, is_counter, labels, help) in INSTRUMENTS {
        let kind = if is_counter { "counter" } else { "gauge" };
        let labels = match labels {
            "" => String::new(),
            labels => format!("`{labels}`"),
        };
        let row = format!("| `{name}` | {kind} | {labels} | {help} |");
        assert!(PAGE.lines().any(|line| line == row), "{row}");
        assert_eq!(name.ends_with("_total"), is_counter, "{name}");
    }
}
