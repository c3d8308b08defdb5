//! Who is there: authentication before anything else, sessions of principals, credentials of clients.

use std::{
    future::pending,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use msip_runtime::{
    Authenticator, CallError, CallOptions, Client, ClientBuilder, Code, ConnectError,
    ConnectRequest, Identity, Peer, Server, ServerBuilder, Status,
    middleware::{ExchangeContext, Middleware, Next},
    transport::{Address, Connection, PeerAddress, PeerCredential, ServiceUrl, memory_pair},
    untyped::{self, Event, Inbound, Reply, Service, UntypedProtocol, UntypedServer},
    wire::{Flags, FrameType, Header, Hello, MsgId, Side},
};
use msip_tests::{
    Echo, Recorder, advance, next,
    raw::{self, RawPeer, hello_frame, hello_of, resuming_frame},
    recorder,
    sampler::Sampler,
    soon,
};
use tokio::{
    io::AsyncReadExt as _,
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};

use door::{
    BroadcastServerToClient as _, ClientToServer, Door, HandleClientToServer, HandleServerToClient,
    Knock, SendClientToServer as _, SendServerToClient as _, Who,
};

/// A protocol that asks who is there.
#[expect(
    unreachable_pub,
    reason = "what is derived is public, and so is what it names"
)]
mod door {
    use msip_runtime::{ClientToServer, Message, ServerToClient};

    #[derive(Debug, ClientToServer)]
    #[msip(protocol = "door")]
    pub enum ClientToServer {
        #[msip(tag = 1)]
        WhoReq(Knock),
        #[msip(tag = 2)]
        KnockInd(Knock),
    }

    #[derive(Debug, ServerToClient)]
    pub enum ServerToClient {
        #[msip(tag = 1)]
        WhoRsp(Who),
        #[msip(tag = 2)]
        KnockInd(Knock),
    }

    #[derive(Debug, Default, Message)]
    pub struct Knock {
        #[msip(tag = 1)]
        pub number: u64,
    }

    #[derive(Debug, Message)]
    pub struct Who {
        #[msip(tag = 1)]
        pub name: String,
    }
}

/// Records what is handled, and for whom.
struct Doorman(Recorder<String>);

/// The session's identity and that of the message.
fn who(peer: &Peer<Door>) -> String {
    let of_message = peer.call().metadata().identity().map(describe);
    let of_session = peer.identity().as_deref().map(describe);
    assert_eq!(of_message, of_session);
    of_session.unwrap_or_else(|| "nobody".to_owned())
}

fn describe(identity: &Identity) -> String {
    assert!(identity.peer.is_some());
    [&identity.user, &*identity.roles.join("+")]
        .map(|part| if part.is_empty() { "-" } else { part })
        .join(" as ")
}

impl HandleClientToServer for Doorman {
    async fn on_who_req(&self, peer: &Peer<Door>, _: Knock) -> Result<Who, Status> {
        Ok(Who { name: who(peer) })
    }

    async fn on_knock_ind(&self, peer: &Peer<Door>, knock: Knock) {
        self.0
            .record(format!("{} from {}", knock.number, who(peer)));
    }

    async fn on_client_connected(&self, peer: &Peer<Door>) {
        self.0.record(format!("connected: {}", who(peer)));
    }
}

/// Records what the server says.
struct Guest(Recorder<u64>);

impl HandleServerToClient for Guest {
    async fn on_knock_ind(&self, _: &Client<Door>, knock: Knock) {
        self.0.record(knock.number);
    }
}

/// Tokens are `user` or `user:role`; `old` has expired, `banned` is known and unwelcome, and `panic` is what it says.
async fn tokens(client: ConnectRequest) -> Result<Identity, Status> {
    let token = std::str::from_utf8(client.credential()).unwrap_or_default();
    let (user, role) = token.split_once(':').unwrap_or((token, ""));
    let identity = Identity::new("token").with_user(user);
    match user {
        "ada" | "bob" if role.is_empty() => Ok(identity),
        "ada" | "bob" => Ok(identity.with_role(role)),
        "old" => Ok(identity.expires_at(SystemTime::now() - Duration::from_secs(1))),
        "banned" => Err(Status::permission_denied("not again")),
        "panic" => panic!("asked to"),
        _ => Err(Status::unauthenticated(format!("`{token}` is unknown"))),
    }
}

type ServerOf = ServerBuilder<Door>;

/// A server that records, its URL, and what it records.
struct House {
    url: ServiceUrl,
    everyone: msip_runtime::Broadcast<Door>,
    seen: mpsc::Receiver<String>,
    serving: JoinHandle<()>,
}

impl House {
    async fn open(query: &str, configure: impl FnOnce(ServerOf) -> ServerOf) -> Self {
        let builder = Server::<Door>::builder(format!("tcp://127.0.0.1:0{query}"));
        let server = configure(builder).bind().await.expect("binds");
        let (record, seen) = recorder();
        Self {
            url: server.local_url().clone(),
            everyone: server.broadcast(),
            seen,
            serving: tokio::spawn(server.serve(Doorman(record))),
        }
    }

    async fn with_tokens() -> Self {
        Self::open("", |server| server.authenticate(tokens)).await
    }

    fn client(&self) -> ClientBuilder<Door, ()> {
        Client::builder(self.url.to_string())
    }

    async fn guest(&self, token: &str) -> Client<Door> {
        let connecting = self.client().credential(token).connect();
        soon("a client", connecting).await.expect("connects")
    }
}

/// The Hello of a raw client with this token.
fn hello(token: &str) -> Hello {
    Hello {
        credential: token.into(),
        ..hello_of::<Door>()
    }
}

/// What a raw client with this token hears until it is thrown out.
async fn refused(url: &ServiceUrl, hello: &Hello) -> Vec<String> {
    let mut raw = RawPeer::dial(url).await;
    raw.say(&hello_frame(hello)).await;
    raw.hear_to_the_end().await
}

/// Tells when an authenticator begins, and when it is dropped.
#[derive(Clone)]
struct Slow {
    seen: Recorder<&'static str>,
    gate: Arc<Semaphore>,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

struct Running(Slow);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        self.0.seen.record("ended");
    }
}

impl Slow {
    fn new() -> (Self, mpsc::Receiver<&'static str>) {
        let (seen, events) = recorder();
        let slow = Self {
            seen,
            gate: Arc::new(Semaphore::new(0)),
            running: Arc::default(),
            most: Arc::default(),
        };
        (slow, events)
    }
}

impl Authenticator for Slow {
    async fn authenticate(&self, client: &ConnectRequest) -> Result<Option<Identity>, Status> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        self.seen.record("begun");
        let _running = Running(self.clone());
        if let Ok(permit) = self.gate.acquire().await {
            permit.forget();
        }
        tokens(client.clone()).await.map(Some)
    }
}

#[tokio::test]
async fn a_stranger_is_not_listed_nor_called_nor_handled() {
    let (slow, mut events) = Slow::new();
    let gate = Arc::clone(&slow.gate);
    let mut house = House::open("", |server| server.authenticate(slow)).await;
    let mut stranger = RawPeer::dial(&house.url).await;
    stranger.say(&hello_frame(&hello("a guess"))).await;
    assert_eq!(next(&mut events).await, "begun");
    assert!(house.everyone.peers().is_empty());
    assert_eq!(house.everyone.knock_ind(Knock { number: 1 }), 0);
    gate.add_permits(1);
    assert_eq!(
        soon("the end", stranger.hear_to_the_end()).await,
        ["ERROR c1: UNAUTHENTICATED: not authenticated"]
    );
    assert!(house.everyone.peers().is_empty());
    gate.add_permits(1);
    let ada = house.guest("ada").await;
    ada.knock_ind(Knock { number: 7 }).await.expect("sends");
    // The first that the handler sees.
    assert_eq!(next(&mut house.seen).await, "connected: ada as -");
    assert_eq!(next(&mut house.seen).await, "7 from ada as -");
    house.serving.abort();
}

#[tokio::test]
async fn a_client_is_not_told_what_is_wrong_with_its_credential() {
    let house = House::with_tokens().await;
    for token in ["", "a guess", "old"] {
        assert_eq!(
            refused(&house.url, &hello(token)).await,
            ["ERROR c1: UNAUTHENTICATED: not authenticated"],
            "`{token}`"
        );
    }
    // Nor what a server offers, while nobody knows who asks.
    let other = Hello {
        protocol: "shop".to_owned(),
        ..hello("a guess")
    };
    assert_eq!(
        refused(&house.url, &other).await,
        ["ERROR c1: UNAUTHENTICATED: not authenticated"]
    );
    let other = Hello {
        protocol: "shop".to_owned(),
        ..hello("ada")
    };
    assert_eq!(
        refused(&house.url, &other).await,
        ["ERROR c1: FAILED_PRECONDITION: this server speaks `door`, not `shop`"]
    );
    assert_eq!(
        refused(&house.url, &hello("banned")).await,
        ["ERROR c1: PERMISSION_DENIED: not again"]
    );
    assert_eq!(
        refused(&house.url, &hello("panic")).await,
        ["ERROR c1: INTERNAL: authentication failed"]
    );
    house.guest("ada").await.close().await;
}

#[tokio::test]
async fn authentication_ends_with_the_handshake_timeout() {
    let house = House::open("?handshake_timeout=50ms", |server| {
        server.authenticate(|_: ConnectRequest| pending::<Result<Identity, Status>>())
    })
    .await;
    assert_eq!(
        refused(&house.url, &hello("ada")).await,
        ["ERROR c1: UNAVAILABLE: the server took too long to authenticate this client"]
    );
    assert!(house.everyone.peers().is_empty());
}

#[tokio::test]
async fn authentication_holds_a_place_of_max_handshakes() {
    let (slow, mut events) = Slow::new();
    let (gate, most) = (Arc::clone(&slow.gate), Arc::clone(&slow.most));
    let house = House::open("?max_handshakes=2&handshake_timeout=10min", |server| {
        server.authenticate(slow)
    })
    .await;
    let guests = (0..6).map(|_| {
        let connecting = house.client().credential("ada").connect();
        tokio::spawn(connecting)
    });
    let guests: Vec<_> = guests.collect();
    gate.add_permits(6);
    for guest in guests {
        soon("a client", guest)
            .await
            .expect("no panic")
            .expect("connects");
    }
    for _ in 0..12 {
        next(&mut events).await;
    }
    assert!(most.load(Ordering::SeqCst) <= 2, "{most:?}");
}

#[tokio::test]
async fn a_client_that_leaves_or_does_not_wait_ends_its_authentication() {
    let (slow, mut events) = Slow::new();
    let house = House::open("?handshake_timeout=10min", |server| {
        server.authenticate(slow)
    })
    .await;
    let mut leaving = RawPeer::dial(&house.url).await;
    leaving.say(&hello_frame(&hello("ada"))).await;
    assert_eq!(next(&mut events).await, "begun");
    drop(leaving);
    assert_eq!(next(&mut events).await, "ended");

    let mut hasty = RawPeer::dial(&house.url).await;
    hasty.say(&hello_frame(&hello("ada"))).await;
    assert_eq!(next(&mut events).await, "begun");
    let id = MsgId::exchange(Side::Connecting, 2);
    let knock = ClientToServer::KnockInd(Knock::default());
    hasty
        .say(&raw::message(Side::Connecting, Flags::NONE, id, &knock))
        .await;
    assert_eq!(next(&mut events).await, "ended");
    let heard = soon("the end", hasty.hear_to_the_end()).await;
    assert!(
        heard
            .first()
            .is_some_and(|line| line.contains("before its HELLO was answered")),
        "{heard:?}"
    );
}

#[tokio::test]
async fn a_session_is_resumed_by_its_principal_alone_and_its_roles_are_read_anew() {
    let mut house = House::with_tokens().await;
    let mut first = RawPeer::dial(&house.url).await;
    first.say(&resuming_frame(&hello("ada"))).await;
    first.hear_type(FrameType::Ack).await;
    assert_eq!(next(&mut house.seen).await, "connected: ada as -");
    let peer = house.everyone.peers().pop().expect("is there");

    // With the right id and secret.
    let mut thief = RawPeer::dial(&house.url).await;
    thief.say(&resuming_frame(&hello("bob"))).await;
    assert_eq!(
        thief.hear_to_the_end().await,
        ["ERROR c1: UNAUTHENTICATED: the session cannot be resumed"]
    );
    let knock = |number, id| {
        let id = MsgId::exchange(Side::Connecting, id);
        let knock = ClientToServer::KnockInd(Knock { number });
        raw::message(Side::Connecting, Flags::NONE, id, &knock)
    };
    first.say(&knock(1, 2)).await;
    assert_eq!(next(&mut house.seen).await, "1 from ada as -");
    assert!(!peer.resumed());

    let mut second = RawPeer::dial(&house.url).await;
    second.say(&resuming_frame(&hello("ada:operator"))).await;
    second.hear_type(FrameType::Ack).await;
    assert_eq!(next(&mut house.seen).await, "connected: ada as operator");
    assert!(peer.resumed(), "the same session");
    second.say(&knock(2, 3)).await;
    assert_eq!(next(&mut house.seen).await, "2 from ada as operator");
    assert!(
        peer.identity()
            .is_some_and(|identity| identity.has_role("operator"))
    );
}

/// How long an identity lasts that runs out in a test.
const LIFE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_client_whose_identity_expires_is_told_and_closed() {
    let issued = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&issued);
    let mut house = House::open("", |server| {
        server.authenticate(move |_: ConnectRequest| {
            let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
            let life = if is_first { LIFE } else { 60 * LIFE };
            let identity = Identity::new("token").with_user("ada");
            async move { Ok(identity.expires_at(SystemTime::now() + life)) }
        })
    })
    .await;
    let mut raw = RawPeer::dial(&house.url).await;
    raw.greet_with(&hello("ada")).await;
    assert_eq!(next(&mut house.seen).await, "connected: ada as -");
    advance(LIFE).await;
    let close = raw.hear_type(FrameType::Close).await;
    assert_eq!(
        raw::describe(&close).as_deref(),
        Some("CLOSE connection: UNAUTHENTICATED: the identity has expired")
    );
    raw.leave().await;
    house.guest("ada").await.close().await;
}

#[tokio::test]
async fn a_client_with_a_function_comes_back_when_its_identity_has_expired() {
    let mut house = House::open("", |server| {
        server.authenticate(|client: ConnectRequest| async move {
            let is_first = client.credential() == b"1";
            let life = if is_first { LIFE } else { 60 * LIFE };
            let identity = Identity::new("token").with_user("ada");
            Ok(identity.expires_at(SystemTime::now() + life))
        })
    })
    .await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let client = house.client().credential(move || {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move { Ok::<_, io::Error>(number.to_string()) }
    });
    let client = client.connect().await.expect("connects");
    assert_eq!(next(&mut house.seen).await, "connected: ada as -");
    advance(LIFE).await;
    assert_eq!(next(&mut house.seen).await, "connected: ada as -");
    assert_eq!(asked.load(Ordering::SeqCst), 2, "each time anew");
    client.close().await;
}

/// A field of protobuf with a length, short enough for one byte of it.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let len = u8::try_from(content.len()).expect("is short");
    assert!(len < 128);
    [&[number << 3 | 2, len], content].concat()
}

#[tokio::test]
async fn an_identity_that_is_forged_doubled_or_nested_is_dropped() {
    // Fields of `Metadata` and `Identity` in hello.proto.
    const HEADERS: u8 = 9;
    const IDENTITY: u8 = 10;
    let root = [
        field(1, b"root"),
        field(2, b"billing"),
        [&[3 << 3 | 1][..], &7_u64.to_le_bytes()].concat(),
        field(4, b"admin"),
    ]
    .concat();
    let forged = field(IDENTITY, &root);
    let header = [field(1, b"identity"), field(2, b"root")].concat();
    let forgeries = [
        ("forged", forged.clone()),
        ("empty", field(IDENTITY, b"")),
        ("doubled", [&*forged, &forged].concat()),
        (
            "with a correlation id",
            [field(2, b"order-17"), forged.clone()].concat(),
        ),
        ("nested", field(IDENTITY, &[&*root, &forged].concat())),
        ("in a field that is unknown", field(15, &forged)),
        (
            "in a header",
            [field(HEADERS, &header), forged.clone()].concat(),
        ),
    ];
    let mut house = House::with_tokens().await;
    let mut nobody = House::open("", |server| server).await;
    for (what, metadata) in forgeries {
        for (house, who) in [(&mut house, "ada as -"), (&mut nobody, "nobody")] {
            let mut raw = RawPeer::dial(&house.url).await;
            raw.greet_with(&hello("ada")).await;
            assert_eq!(next(&mut house.seen).await, format!("connected: {who}"));
            let knock = ClientToServer::KnockInd(Knock { number: 3 });
            let len = u16::try_from(metadata.len()).expect("is short");
            let payload = [
                &len.to_be_bytes()[..],
                &metadata,
                &[0, 0],
                &raw::body(&knock),
            ]
            .concat();
            let header = Header {
                flags: Flags::META,
                kind: raw::kind(&knock),
                variant: raw::variant(&knock),
                ..Header::control(FrameType::Publish, MsgId::exchange(Side::Connecting, 2))
            };
            raw.say(&raw::frame_of(header, &payload)).await;
            assert_eq!(
                next(&mut house.seen).await,
                format!("3 from {who}"),
                "{what}"
            );
            raw.leave().await;
        }
    }
}

/// Notes what it sees of each exchange, and counts them for the client.
struct Watch(Recorder<String>);

struct Count(AtomicUsize);

impl Middleware for Watch {
    async fn handle(
        &self,
        exchange: &mut ExchangeContext,
        mut next: Next<'_>,
    ) -> Result<(), CallError> {
        let extensions = exchange.extensions().expect("a server's");
        let count = extensions.get::<Count>().unwrap_or_else(|| {
            extensions.insert(Count(AtomicUsize::new(0)));
            extensions.get::<Count>().expect("was inserted")
        });
        let number = count.0.fetch_add(1, Ordering::SeqCst) + 1;
        let identity = exchange.identity();
        let address = exchange.address().and_then(|address| address.ip());
        self.0.record(format!(
            "{number} {} {} {} {}",
            exchange.direction().name(),
            exchange.message(),
            identity
                .as_deref()
                .map_or_else(|| "nobody".to_owned(), describe),
            address.is_some_and(|ip| ip.is_loopback()),
        ));
        next.run(exchange).await
    }
}

#[tokio::test]
async fn handlers_and_middleware_see_who_it_is() {
    let mut house = House::with_tokens().await;
    let (record, mut heard) = recorder();
    let connecting = house
        .client()
        .credential("ada:operator")
        .handler(Guest(record))
        .connect();
    let ada = soon("a client", connecting).await.expect("connects");
    assert_eq!(next(&mut house.seen).await, "connected: ada as operator");
    for number in 1..4 {
        ada.knock_ind(Knock { number }).await.expect("sends");
    }
    let options = CallOptions::new().ack().header("lang", "en");
    ada.with(options)
        .knock_ind(Knock { number: 4 })
        .await
        .expect("is acknowledged");
    for number in 1..5 {
        assert_eq!(
            next(&mut house.seen).await,
            format!("{number} from ada as operator")
        );
    }
    let answer = ada.who_req(Knock::default()).await.expect("answers");
    assert_eq!(answer.name, "ada as operator");
    let answer = ada
        .with(CallOptions::new().correlation_id("order-17"))
        .who_req(Knock::default())
        .await
        .expect("answers");
    assert_eq!(answer.name, "ada as operator");
    let id = house.everyone.peers().pop().expect("is there").id();
    let peer = house.everyone.peer(id).expect("is found");
    peer.knock_ind(Knock { number: 9 }).await.expect("sends");
    assert_eq!(next(&mut heard).await, 9);
    assert!(house.everyone.clone().except(id).peer(id).is_none());
    assert!(house.everyone.clone().only([]).peer(id).is_none());

    let (record, mut watched) = recorder();
    let (incoming, outgoing) = (Watch(record.clone()), Watch(record));
    let watching = House::open("", |server| {
        let server = server.incoming(incoming).outgoing(outgoing);
        server.authenticate(tokens)
    })
    .await;
    let ada = watching.guest("ada").await;
    let answer = ada.who_req(Knock::default()).await.expect("answers");
    assert_eq!(answer.name, "ada as -");
    let peer = watching.everyone.peers().pop().expect("is there");
    peer.knock_ind(Knock::default()).await.expect("sends");
    ada.knock_ind(Knock::default()).await.expect("sends");
    assert_eq!(next(&mut watched).await, "1 incoming who_req ada as - true");
    assert_eq!(
        next(&mut watched).await,
        "2 outgoing knock_ind ada as - true"
    );
    assert_eq!(
        next(&mut watched).await,
        "3 incoming knock_ind ada as - true"
    );
}

#[tokio::test]
async fn without_authentication_nobody_has_an_identity() {
    let mut house = House::open("", |server| server).await;
    let client = house.guest("ada").await;
    assert_eq!(next(&mut house.seen).await, "connected: nobody");
    client.knock_ind(Knock { number: 1 }).await.expect("sends");
    assert_eq!(next(&mut house.seen).await, "1 from nobody");
}

/// Answers with what it knows of its caller.
struct Namer;

impl Service for Namer {
    async fn serve(&self, peer: untyped::UntypedPeer, mut inbound: Inbound) {
        let of_session = peer.identity().as_deref().map(describe);
        while let Some(event) = inbound.next().await {
            let Event::Exchange(exchange) = event else {
                continue;
            };
            let of_message = exchange.metadata().identity().map(describe);
            assert_eq!(of_message, of_session);
            if let Reply::Call(responder) = exchange.reply {
                let name = of_message.unwrap_or_default();
                responder.fail(&Status::not_found(name));
            }
        }
    }
}

#[tokio::test]
async fn every_protocol_of_a_server_is_behind_its_authentication() {
    let untyped = UntypedServer::builder("tcp://127.0.0.1:0")
        .untyped(UntypedProtocol::any(), Namer)
        .authenticate(tokens)
        .bind()
        .await
        .expect("binds");
    let url = untyped.local_url().clone();
    tokio::spawn(untyped.serve());
    assert_eq!(
        refused(&url, &hello("a guess")).await,
        ["ERROR c1: UNAUTHENTICATED: not authenticated"]
    );
    let ada = Client::<Door>::builder(url.to_string())
        .credential("ada:operator")
        .connect()
        .await
        .expect("connects");
    for options in [CallOptions::new(), CallOptions::new().header("a", "b")] {
        let answer = ada.with(options).who_req(Knock::default()).await;
        let answer = answer.expect_err("is an error").to_string();
        assert!(answer.contains("NOT_FOUND: ada as operator"), "{answer}");
    }

    let house = House::open("", |server| {
        server.protocol::<Sampler, _>(Echo).authenticate(tokens)
    })
    .await;
    let stranger = Client::<Sampler>::builder(house.url.to_string())
        .connect()
        .await;
    assert!(is_unauthenticated(&stranger), "{stranger:?}");
    let ada = Client::<Sampler>::builder(house.url.to_string());
    ada.credential("ada").connect().await.expect("connects");
}

fn is_unauthenticated<T>(result: &Result<T, ConnectError>) -> bool {
    matches!(result, Err(ConnectError::Refused { status, .. }) if status.code() == Code::Unauthenticated)
}

#[tokio::test]
async fn authenticators_are_asked_in_order_until_one_answers() {
    // Of processes on this machine by their user id, of others by their tokens.
    let by_user_id = |client: ConnectRequest| async move {
        match client.transport_credential() {
            PeerCredential::UnixUser { uid: 0, .. } => Err(Status::unauthenticated("not root")),
            PeerCredential::UnixUser { uid: id, .. } => {
                Ok(Some(Identity::new("uid").with_user(format!("user {id}"))))
            }
            _ => Ok(None),
        }
    };
    let server = Server::<Door>::builder("mem://asked-in-order")
        .authenticate(by_user_id)
        .authenticate(tokens)
        .bind()
        .await
        .expect("binds");
    let acceptor = server.acceptor();
    let (record, mut seen) = recorder();
    tokio::spawn(server.serve(Doorman(record)));
    let connect = |user: Option<u32>| {
        let acceptor = acceptor.clone();
        let connector = move |_: Address| {
            let acceptor = acceptor.clone();
            async move {
                let (near, mut far) = memory_pair();
                if let Some(user) = user {
                    far = far.with_credential(PeerCredential::UnixUser { uid: user, gid: 0 });
                }
                let accepted = acceptor.accept(far).await;
                accepted.map_err(io::Error::other).map(|()| near)
            }
        };
        let client = Client::<Door>::builder("tcp://127.0.0.1:1").connector(connector);
        client.credential("ada").connect()
    };
    let _user = connect(Some(7)).await.expect("connects");
    assert_eq!(next(&mut seen).await, "connected: user 7 as -");
    let _token = connect(None).await.expect("connects");
    assert_eq!(next(&mut seen).await, "connected: ada as -");
    let root = connect(Some(0)).await;
    assert!(
        is_unauthenticated(&root),
        "no weaker method is tried: {root:?}"
    );
}

#[tokio::test]
async fn a_credential_leaves_only_where_nobody_else_can_read_it() {
    let (hand, mut handed) = mpsc::channel(8);
    let connector = move |_: Address| {
        let hand = hand.clone();
        async move {
            let (near, far) = memory_pair();
            hand.send(far)
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            let named = |name: &str| PeerAddress::Named(name.into());
            // As over a network.
            Ok(Connection::new(near.stream, named("near"), named("far")))
        }
    };
    let client = || {
        let client = Client::<Door>::builder("tcp://127.0.0.1:1");
        client.connector(connector.clone()).credential("hunter2")
    };
    let error = client().connect().await.expect_err("is refused");
    assert!(
        matches!(error, ConnectError::NotConfidential { .. }),
        "{error:?}"
    );
    assert!(!format!("{error} {error:?} {:?}", client()).contains("hunter2"));
    let mut far = handed.recv().await.expect("is connected");
    let mut sent = Vec::new();
    soon("the end", far.stream.read_to_end(&mut sent))
        .await
        .expect("reads");
    assert!(sent.is_empty(), "nothing is sent");

    let connecting = tokio::spawn(client().insecure(true).connect());
    let far = handed.recv().await.expect("is connected");
    let mut server = RawPeer::new(far.stream);
    let hello = server.hear_type(FrameType::Hello).await;
    let hello = String::from_utf8_lossy(&hello.payload).into_owned();
    assert!(hello.contains("hunter2"), "{hello}");
    connecting.abort();
}

#[tokio::test]
async fn a_function_is_asked_for_another_credential_once() {
    let house = House::with_tokens().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let source = |tokens: [&'static str; 2]| {
        let asked = Arc::clone(&asked);
        asked.store(0, Ordering::SeqCst);
        move || {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            async move { tokens.get(number).copied().ok_or("none is left") }
        }
    };
    let ada = house.client().credential(source(["stale", "ada"]));
    let ada = ada.connect().await.expect("connects");
    assert_eq!(
        ada.who_req(Knock::default()).await.expect("answers").name,
        "ada as -"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let stale = house.client().credential(source(["stale", "stale"]));
    let stale = stale.connect().await;
    assert!(is_unauthenticated(&stale), "{stale:?}");
    assert_eq!(
        asked.load(Ordering::SeqCst),
        2,
        "once more, and not for ever"
    );
    let fixed = house.client().credential("stale").connect().await;
    assert!(is_unauthenticated(&fixed), "{fixed:?}");
    let failing = || async { Err::<String, _>("the vault is sealed") };
    let failing = house.client().credential(failing).connect().await;
    assert!(
        matches!(failing, Err(ConnectError::Credential { .. })),
        "{failing:?}"
    );
}
