//! The ready-made authenticators, alone and in a chain; how long a refusal takes, and how many there may be.

use std::{
    fs, io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use msip_runtime::{
    Acceptor, Client, ConnectError, ConnectRequest, Identity, Peer, Server, ServerBuilder, Status,
    auth::{Anonymous, ApiKey, ApiKeys, ClientCertificates, UnixUsers},
    transport::{Address, CertificateName, PeerCredential, memory_pair},
    wire::{FrameType, Hello},
};
use msip_tests::{
    LabServer, SeenByServer, connected,
    lab::{Lab, SendClientToServer as _},
    messages::echo,
    next,
    raw::{RawPeer, hello, resuming_frame},
    soon,
};
use tokio::{sync::mpsc, time::Instant};

/// A server whose clients are what a test says they are.
struct Gate {
    acceptor: Acceptor,
    events: mpsc::Receiver<SeenByServer>,
}

impl Gate {
    async fn open(
        url: &str,
        configure: impl FnOnce(ServerBuilder<Lab>) -> ServerBuilder<Lab>,
    ) -> Self {
        let server = configure(Server::builder(url)).bind().await.expect("binds");
        let acceptor = server.acceptor();
        let (handler, events) = LabServer::new();
        tokio::spawn(server.serve(handler));
        Self { acceptor, events }
    }

    /// Connects as a client that the transport knows in this way, with this credential; empty for none.
    async fn connect(
        &self,
        known: PeerCredential,
        credential: &str,
    ) -> Result<Client<Lab>, ConnectError> {
        let acceptor = self.acceptor.clone();
        let connector = move |_: Address| {
            let (acceptor, known) = (acceptor.clone(), known.clone());
            async move {
                let (near, far) = memory_pair();
                let accepted = acceptor.accept(far.with_credential(known)).await;
                accepted.map_err(io::Error::other).map(|()| near)
            }
        };
        let client = Client::<Lab>::builder("tcp://127.0.0.1:1").connector(connector);
        let connecting = client.credential(credential).connect();
        soon("an answer", connecting).await
    }

    /// Who it is, or why it is refused.
    async fn who(&mut self, known: PeerCredential, credential: &str) -> String {
        match self.connect(known, credential).await {
            Ok(client) => {
                let who = describe(&connected(&mut self.events).await);
                client.close().await;
                assert!(matches!(
                    next(&mut self.events).await,
                    SeenByServer::Disconnected(_)
                ));
                who
            }
            Err(ConnectError::Refused { status, .. }) => status.to_string(),
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn describe(peer: &Peer<Lab>) -> String {
    let identity = peer.identity().expect("is known");
    let name = [&identity.user, &identity.service]
        .map(String::as_str)
        .concat();
    format!("{} {name} as {}", identity.method, identity.roles.join("+"))
}

fn uid(uid: u32) -> PeerCredential {
    PeerCredential::UnixUser { uid, gid: 7 }
}

fn certificate(uri: &str) -> PeerCredential {
    PeerCredential::CertificateNames(Arc::new([CertificateName::Uri(uri.to_owned())]))
}

const REFUSED: &str = "UNAUTHENTICATED: not authenticated";

#[tokio::test]
async fn a_credential_that_is_recognised_and_wrong_ends_the_chain() {
    let [ada, old] = [(); 2].map(|()| ApiKey::generate().expect("random numbers"));
    let unknown = ApiKey::generate().expect("random numbers");
    let keys = ApiKeys::from_entries([
        ada.entry("ada").with_role("operator"),
        old.entry("old")
            .expires_at(SystemTime::now() - Duration::from_secs(1)),
    ])
    .expect("are right");
    let users = UnixUsers::new().user(1, "root's cousin", ["admin"]);
    let certificates = ClientCertificates::new().uri("spiffe://a/relay", "relay", ["relay"]);
    let with_all = |server: ServerBuilder<Lab>, passes: bool| {
        let (users, certificates) = if passes {
            (
                users.clone().pass_unlisted(),
                certificates.clone().pass_unlisted(),
            )
        } else {
            (users.clone(), certificates.clone())
        };
        server
            .authenticate(users)
            .authenticate(certificates)
            .authenticate(keys.clone())
            .authenticate(Anonymous::new().with_role("guest"))
    };
    let none = || PeerCredential::None;
    let mut gate = Gate::open("mem://chain", |server| with_all(server, false)).await;
    let forged = format!("{}{}", &ada.as_str()[..22], &old.as_str()[22..]);
    let cases = [
        (none(), "", "anonymous  as guest"),
        (none(), ada.as_str(), "api-key ada as operator"),
        // Nobody with a wrong credential is taken for a guest.
        (none(), old.as_str(), REFUSED),
        (none(), unknown.as_str(), REFUSED),
        (none(), &forged, REFUSED),
        (none(), "msip_", REFUSED),
        (none(), "hunter2", REFUSED),
        (uid(1), "", "unix root's cousin as admin"),
        (uid(1), "hunter2", "unix root's cousin as admin"),
        (uid(2), "", REFUSED),
        (uid(2), ada.as_str(), REFUSED),
        (
            certificate("spiffe://a/relay"),
            "",
            "certificate relay as relay",
        ),
        (certificate("spiffe://a/other"), "", REFUSED),
        (certificate("spiffe://a/other"), ada.as_str(), REFUSED),
        (
            PeerCredential::CertificateNames(Arc::new([])),
            ada.as_str(),
            REFUSED,
        ),
    ];
    for (known, credential, who) in cases {
        let found = gate.who(known.clone(), credential).await;
        assert_eq!(found, who, "{known:?} {credential}");
    }

    let mut gate = Gate::open("mem://passing-chain", |server| with_all(server, true)).await;
    let cases = [
        (uid(2), ada.as_str(), "api-key ada as operator"),
        (uid(2), "hunter2", REFUSED),
        (uid(2), old.as_str(), REFUSED),
        (
            certificate("spiffe://a/other"),
            ada.as_str(),
            "api-key ada as operator",
        ),
        (certificate("spiffe://a/other"), unknown.as_str(), REFUSED),
        (certificate("spiffe://a/other"), "", "anonymous  as guest"),
    ];
    for (known, credential, who) in cases {
        let found = gate.who(known.clone(), credential).await;
        assert_eq!(found, who, "{known:?} {credential}");
    }
}

/// Takes its time to find out that it knows nobody.
async fn slow(client: ConnectRequest) -> Result<Option<Identity>, Status> {
    match client.credential() {
        b"slow" => {
            tokio::time::sleep(Duration::from_millis(70)).await;
            Err(Status::unauthenticated("never heard of it"))
        }
        b"banned" => Err(Status::permission_denied("not again")),
        _ => Ok(None),
    }
}

#[tokio::test(start_paused = true)]
async fn every_refusal_takes_the_same_time() {
    let [ada, old] = [(); 2].map(|()| ApiKey::generate().expect("random numbers"));
    let past = SystemTime::now() - Duration::from_secs(1);
    let keys = ApiKeys::from_entries([ada.entry("ada"), old.entry("old").expires_at(past)]);
    let keys = keys.expect("are right");
    let gate = Gate::open("mem://same-time", |server| {
        server.authenticate(slow).authenticate(keys)
    })
    .await;
    let forged = format!("{}{}", &ada.as_str()[..22], &old.as_str()[22..]);
    let unknown = ApiKey::generate().expect("random numbers");
    let cases = [
        ("", 50),
        ("hunter2", 50),
        ("msip_", 50),
        (unknown.as_str(), 50),
        (&forged, 50),
        (old.as_str(), 50),
        ("slow", 100),
        // It is told why, and need not wait.
        ("banned", 0),
    ];
    for (credential, millis) in cases {
        let begun = Instant::now();
        let refused = gate.connect(PeerCredential::None, credential).await;
        let status = refused.expect_err("is refused");
        assert_eq!(
            begun.elapsed(),
            Duration::from_millis(millis),
            "{credential}: {status}"
        );
    }
    let begun = Instant::now();
    let client = gate.connect(PeerCredential::None, ada.as_str()).await;
    client.expect("connects");
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn tries_are_limited_for_each_source() {
    let key = ApiKey::generate().expect("random numbers");
    let keys = ApiKeys::from_entries([key.entry("ada")]).expect("is right");
    let mut gate = Gate::open("mem://tries?max_auth_failures=3", |server| {
        server
            .authenticate(UnixUsers::new().pass_unlisted())
            .authenticate(keys)
            .authenticate(Anonymous::new())
    })
    .await;
    let over =
        "RESOURCE_EXHAUSTED: too many failed authentications from there: try again in a minute";
    for _ in 0..3 {
        assert_eq!(gate.who(uid(1), "guess").await, REFUSED);
    }
    for _ in 0..10 {
        let begun = Instant::now();
        assert_eq!(gate.who(uid(1), "guess").await, over);
        assert_eq!(begun.elapsed(), Duration::ZERO, "at once");
    }
    assert_eq!(
        gate.who(uid(1), key.as_str()).await,
        over,
        "it is not looked at"
    );
    // What has no credential is no try, and other sources have tries of their own.
    assert_eq!(gate.who(uid(1), "").await, "anonymous  as ");
    assert_eq!(gate.who(uid(2), key.as_str()).await, "api-key ada as ");
    let none = PeerCredential::None;
    assert_eq!(gate.who(none, key.as_str()).await, "api-key ada as ");
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(gate.who(uid(1), key.as_str()).await, "api-key ada as ");
    assert_eq!(gate.who(uid(1), "guess").await, REFUSED);
    assert_eq!(gate.who(uid(1), "guess").await, over);

    let mut gate = Gate::open("mem://any-tries?max_auth_failures=0", |server| {
        server.authenticate(Anonymous::new())
    })
    .await;
    for _ in 0..1000 {
        assert_eq!(gate.who(uid(1), "guess").await, REFUSED);
    }
}

#[tokio::test]
async fn a_key_is_replaced_while_clients_are_there_and_their_sessions_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys");
    let [first, second] = [(); 2].map(|()| ApiKey::generate().expect("random numbers"));
    let write = |keys: &[&ApiKey]| {
        let lines: Vec<_> = keys
            .iter()
            .map(|key| key.entry("ada").with_role("operator").to_string())
            .collect();
        fs::write(&file, lines.join("\n")).expect("writes");
    };
    write(&[&first]);
    let keys = ApiKeys::from_file(&file).expect("is right");
    let server = Server::<Lab>::builder("tcp://127.0.0.1:0").authenticate(keys.clone());
    let server = server.bind().await.expect("binds");
    let url = server.local_url().clone();
    let (handler, mut events) = LabServer::new();
    tokio::spawn(server.serve(handler));

    let greeting = |key: &ApiKey| {
        resuming_frame(&Hello {
            credential: key.as_str().into(),
            ..hello()
        })
    };
    let mut before = RawPeer::dial(&url).await;
    before.say(&greeting(&first)).await;
    before.hear_type(FrameType::Ack).await;
    let peer = connected(&mut events).await;
    assert_eq!(describe(&peer), "api-key ada as operator");

    // Both keys are right for a while.
    write(&[&first, &second]);
    keys.reload().expect("is right");
    let mut after = RawPeer::dial(&url).await;
    after.say(&greeting(&second)).await;
    after.hear_type(FrameType::Ack).await;
    soon("the end of the first", before.hear_to_the_end()).await;
    assert!(peer.resumed(), "the same session");

    write(&[&second]);
    keys.reload().expect("is right");
    let client = Client::<Lab>::builder(url.to_string()).credential(second.as_str());
    let client = soon("a client", client.connect()).await.expect("connects");
    client.echo_req(echo("hi")).await.expect("answers");
    let old = Client::<Lab>::builder(url.to_string()).credential(first.as_str());
    let refused = soon("a refusal", old.connect()).await.expect_err("is gone");
    assert!(refused.to_string().contains(REFUSED), "{refused}");
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_token_runs_out_is_closed_in_time_and_comes_back_by_itself() {
    const LIFE: Duration = Duration::from_secs(300);
    let server = Server::<Lab>::builder("mem://runs-out")
        .authenticate(|client: ConnectRequest| async move {
            let token = String::from_utf8_lossy(client.credential()).into_owned();
            let expires = SystemTime::now() + LIFE;
            let identity = Identity::new("token").with_user("ada");
            Ok(identity.with_role(token).expires_at(expires))
        })
        .bind()
        .await
        .expect("binds");
    let (handler, mut events) = LabServer::new();
    tokio::spawn(server.serve(handler));
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let token = move || {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        async move { Ok::<_, io::Error>(format!("token {number}")) }
    };
    let begun = Instant::now();
    let client = Client::<Lab>::builder("mem://runs-out?reconnect_max=1ms");
    let client = client.credential(token).connect().await.expect("connects");
    let mut peer = connected(&mut events).await;
    for life in 1..4 {
        assert_eq!(describe(&peer), format!("token ada as token {life}"));
        let ended = soon_enough(&mut events).await;
        assert!(matches!(ended, SeenByServer::Disconnected(_)), "{ended:?}");
        let late = begun.elapsed().saturating_sub(LIFE * life);
        assert!(late < Duration::from_secs(1), "{late:?} late");
        assert!(
            begun.elapsed() + Duration::from_secs(1) > LIFE * life,
            "early"
        );
        peer = connected(&mut events).await;
        client.echo_req(echo("still here")).await.expect("answers");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 4);
    client.close().await;
}

/// The next event, however long it takes by a clock that is moved on.
async fn soon_enough(events: &mut mpsc::Receiver<SeenByServer>) -> SeenByServer {
    let event = tokio::time::timeout(Duration::from_secs(3600), events.recv()).await;
    event.expect("within an hour").expect("it serves")
}

#[tokio::test]
async fn a_process_is_known_by_its_user_over_a_unix_socket() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let own = fs::metadata(folder.path()).expect("is there");
    let url = format!("unix://{}", folder.path().join("lab.sock").display());
    let users = [
        UnixUsers::new().user(own.uid(), "ada", ["operator"]),
        UnixUsers::new().user(own.uid() + 1, "ada", ["operator"]),
    ];
    for (users, is_known) in users.into_iter().zip([true, false]) {
        let server = Server::<Lab>::builder(&url).authenticate(users);
        let server = server.bind().await.expect("binds");
        let (handler, mut events) = LabServer::new();
        let serving = tokio::spawn(server.serve(handler));
        let connecting = soon("an answer", Client::<Lab>::connect(&url)).await;
        if is_known {
            let _client = connecting.expect("connects");
            let peer = connected(&mut events).await;
            assert_eq!(describe(&peer), "unix ada as operator");
        } else {
            let refused = connecting.expect_err("is another").to_string();
            assert!(refused.contains(REFUSED), "{refused}");
        }
        serving.abort();
        assert!(serving.await.is_err());
    }
}

#[tokio::test]
async fn an_authenticator_sees_by_which_listener_a_client_has_come() {
    let server = Server::<Lab>::builder("mem://front-door")
        .also("mem://back-door")
        .authenticate(|client: ConnectRequest| async move {
            let door = client.local_address().to_string();
            Ok(Identity::new("door").with_user(door))
        })
        .bind()
        .await
        .expect("binds");
    let (handler, mut events) = LabServer::new();
    tokio::spawn(server.serve(handler));
    for door in ["mem://front-door", "mem://back-door"] {
        let client = Client::<Lab>::connect(door).await;
        let client = client.expect("connects");
        let peer = connected(&mut events).await;
        assert_eq!(peer.identity().expect("is known").user, door);
        client.close().await;
        let ended = next(&mut events).await;
        assert!(matches!(ended, SeenByServer::Disconnected(_)), "{ended:?}");
    }
}
