//! Configuring, checking, reloading and stopping a broker.

use std::{error::Error, fs, time::Duration};

use msip_runtime::{
    CallOptions, ConnectionState, MsgKind, Variant,
    transport::{self, ServiceUrl, Stream},
    untyped::{
        Event, Inbound, Service, SubscribeOptions, UntypedClient, UntypedMessage, UntypedPeer,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{Broker, BrokerError};
use crate::config::Config;

fn with_causes(error: &dyn Error) -> String {
    let cause = error.source().map(with_causes);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

#[tokio::test]
async fn it_listens_at_every_url_and_says_where() {
    let broker = Broker::builder()
        .listen("tcp://127.0.0.1:0")
        .listen("mem://two-urls")
        .listen("tcp://127.0.0.1:0?insecure=true")
        .bind()
        .await
        .unwrap();
    let urls: Vec<_> = broker.local_urls().map(ToString::to_string).collect();
    assert_eq!(urls[1], "mem://two-urls");
    for url in [&urls[0], &urls[2]] {
        let port = url.rsplit(':').next().unwrap();
        assert_ne!(port, "0", "{url}");
    }
    assert!(broker.admin_address().is_none());
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let taken = Broker::builder()
        .listen("tcp://127.0.0.1:0")
        .bind()
        .await
        .unwrap();
    let url = taken.local_urls().next().unwrap().to_string();
    let error = Broker::builder().listen(&url).bind().await.unwrap_err();
    assert!(matches!(error, BrokerError::Bind(_)), "{error}");
    let text = with_causes(&error);
    assert!(
        text.starts_with(&format!("cannot listen at {url}: ")),
        "{text}"
    );

    let admin = url.trim_start_matches("tcp://").parse().unwrap();
    let error = Broker::builder()
        .listen("mem://no-admin")
        .admin(admin)
        .bind()
        .await
        .unwrap_err();
    assert!(
        with_causes(&error).starts_with(&format!("cannot listen at http://{admin}: ")),
        "{error}"
    );

    for (config, expected) in [
        (
            "[keys]\nfile = '/nowhere/keys'",
            "cannot use the file of keys: the file of API keys \"/nowhere/keys\" cannot be read: ",
        ),
        (
            "[[listener]]\nurl = 'tls://127.0.0.1:0?cert=/nowhere/a.pem&key=/nowhere/a.key'",
            "cannot listen at tls://127.0.0.1:0?cert=/nowhere/a.pem&key=/nowhere/a.key: setting `cert`: `/nowhere/a.pem` cannot be used: ",
        ),
        (
            "[[listener]]\nurl = 'tcp://127.0.0.1:0?ping_intervall=1s'",
            "listener tcp://127.0.0.1:0?ping_intervall=1s: unknown setting `ping_intervall`",
        ),
        (
            "[[listener]]\nurl = 'tcp://0.0.0.0:0'",
            "listener tcp://0.0.0.0:0: others could read what is sent",
        ),
        (
            "[[listener]]\nurl = 'unix:///nowhere/broker?mode=9'",
            "listener unix:///nowhere/broker?mode=9: setting `mode`: ",
        ),
        (
            "[[listener]]\nurl = 'tcp://127.0.0.1:0'\n[[listener]]\nurl = 'unix:///nowhere/broker?pin_interval=1s'",
            "listener unix:///nowhere/broker?pin_interval=1s: unknown setting `pin_interval`",
        ),
        (
            "[[listener]]\nurl = 'mem://checked?pin_interval=1s'",
            "listener mem://checked?pin_interval=1s: unknown setting `pin_interval`",
        ),
    ] {
        let config = Config::from_toml(config).unwrap();
        let checked = Broker::check(&config).await.unwrap_err();
        let bound = Broker::builder().config(config).bind().await.unwrap_err();
        for text in [with_causes(&checked), with_causes(&bound)] {
            assert!(text.contains(expected), "{text}");
        }
    }
    Broker::check(&Config::default()).await.unwrap();
}

/// A configuration is looked at without its addresses, so that they may be taken, or not there yet.
#[tokio::test]
async fn a_check_listens_nowhere() {
    let config = Config::from_toml(
        "[[listener]]\nurl = 'mem://check-listens-nowhere'\n\
         [[listener]]\nurl = 'unix:///nowhere/broker?mode=0660'",
    )
    .unwrap();
    let taken = Broker::builder().listen("mem://check-listens-nowhere");
    let _taken = taken.bind().await.unwrap();
    let side_by_side = tokio::join!(Broker::check(&config), Broker::check(&config));
    assert!(matches!(side_by_side, (Ok(()), Ok(()))), "{side_by_side:?}");
}

#[tokio::test]
async fn a_reload_takes_what_it_can_and_says_what_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    fs::write(&keys, "").unwrap();
    let file = |rest: &str| {
        let text = format!(
            "[[listener]]\nurl = 'mem://reload'\n[keys]\nfile = {:?}\n{rest}",
            keys.display().to_string()
        );
        Config::from_toml(&text).unwrap()
    };
    let config = file("");
    let broker = Broker::builder()
        .config(config.clone())
        .bind()
        .await
        .unwrap();
    let reloader = broker.reloader();
    assert_eq!(reloader.reload(&config), Vec::<String>::new());
    assert_eq!(
        reloader.reload(&file("[roles.a]\npublish = ['a']")),
        Vec::<String>::new()
    );

    fs::write(&keys, "not a key").unwrap();
    let mut other = file("");
    other.max_body = 2048;
    other.session_expiry = Duration::from_secs(1);
    let told = reloader.reload(&other);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("the keys stay what they are: "),
        "{told:?}"
    );
    assert_eq!(told[1], "needs a restart: max_body, session_expiry");

    let mut wrong = file("[roles.a]\npublish = ['a']");
    let role = wrong.roles.get_mut("a").unwrap();
    role.publish.deny.push("#/a".to_owned());
    let told = reloader.reload(&wrong);
    let expected = "roles and principals stay what they are: [roles.a]: `#/a` is no filter: ";
    assert!(told[1].starts_with(expected), "{told:?}");
}

/// Tells what it hears, and of each connection that is lost.
struct Tell(mpsc::Sender<String>);

impl Service for Tell {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            let said: Vec<String> = match event {
                Event::Messages(messages) => messages
                    .iter()
                    .map(|message| String::from_utf8_lossy(message.body()).into_owned())
                    .collect(),
                Event::Disconnected(reason) => vec![format!("lost: {reason}")],
                _ => Vec::new(),
            };
            for said in said {
                let _ = self.0.send(said).await;
            }
        }
    }
}

/// As after a machine was suspended: all timers are due at once.
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ends_nothing() {
    const NOTE: Variant = Variant::new(1, "note", MsgKind::Event);
    let url = "mem://clock-jump";
    let broker = Broker::builder().listen(url).bind().await.unwrap();
    let serving = tokio::spawn(broker.serve_until(std::future::pending()));
    let (tell, mut heard) = mpsc::channel(16);
    let subscriber = UntypedClient::builder(url, "raw", 0).service(Tell(tell.clone()));
    let subscriber = subscriber.connect().await.unwrap();
    let subscribed = subscriber.subscribe("news", &SubscribeOptions::new()).await;
    subscribed.unwrap();
    let publisher = UntypedClient::builder(url, "raw", 0).service(Tell(tell));
    let publisher = publisher.connect().await.unwrap();
    let mut mip = mip_peer(url).await;
    mip.write_all(&mip_frame(2, b"news")).await.unwrap();
    mip.read_exact(&mut [0; 24]).await.unwrap();
    for body in ["before", "after an hour", "after a day"] {
        let note = UntypedMessage::new(&NOTE, body).to_topic("news").unwrap();
        publisher.send(&note, &CallOptions::new()).await.unwrap();
        assert_eq!(heard.recv().await.unwrap(), body);
        let mut event = vec![0; 24 + 2 + "news".len() + body.len()];
        mip.read_exact(&mut event).await.unwrap();
        assert!(event[7] == 5 && event.ends_with(body.as_bytes()), "EVENT");
        let jump = match body {
            "before" => 3600,
            _ => 24 * 3600,
        };
        tokio::time::advance(Duration::from_secs(jump)).await;
    }
    serving.abort();
}

/// A frame of MIP with a payload.
fn mip_frame(frame_type: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = b"MSIP\x01\x01\0\0\0\x01\0\0".to_vec();
    frame[7] = frame_type;
    frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend([0; 8]);
    frame.extend(payload);
    frame
}

/// A MIP peer at this URL that has said HELLO.
async fn mip_peer(url: &str) -> Stream {
    let url = ServiceUrl::parse(url).unwrap();
    let mut peer = transport::connect(&url).await.unwrap().stream;
    peer.write_all(&mip_frame(1, b"")).await.unwrap();
    peer.read_exact(&mut [0; 32]).await.unwrap();
    peer
}

/// How long it takes until a peer is at the end of what it is told.
async fn end_of(mut peer: Stream) -> Duration {
    let began = Instant::now();
    let mut told = Vec::new();
    let ended = timeout(Duration::from_secs(600), peer.read_to_end(&mut told));
    ended.await.expect("an end").unwrap();
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn mip_peers_that_take_nothing_or_send_half_a_frame_are_not_waited_for() {
    let url = "mem://patience";
    let broker = Broker::builder().listen(url).bind().await.unwrap();
    let serving = tokio::spawn(broker.serve_until(std::future::pending()));
    let mut half = mip_peer(url).await;
    half.write_all(&mip_frame(4, b"topic")[..20]).await.unwrap();
    let waited = end_of(half).await;
    assert_eq!(waited.as_secs(), 30, "{waited:?}");

    let mut stuck = mip_peer(url).await;
    stuck.write_all(&mip_frame(2, b"t")).await.unwrap();
    stuck.read_exact(&mut [0; 24]).await.unwrap();
    let mut publisher = mip_peer(url).await;
    let message = [b"\0\x01t", &[7; 16 * 1024][..]].concat();
    for _ in 0..20 {
        publisher.write_all(&mip_frame(4, &message)).await.unwrap();
        publisher.read_exact(&mut [0; 24]).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert!(end_of(stuck).await < Duration::from_secs(2));
    serving.abort();
}

/// At how many moments 50 MSIP clients of a broker, and 50 MIP peers, hear that it stops.
async fn goodbyes(name: &str, spread: &str) -> [usize; 2] {
    let url = format!("mem://{name}");
    let config = format!("drain_spread = '{spread}'\n[[listener]]\nurl = '{url}'");
    let config = Config::from_toml(&config).unwrap();
    let broker = Broker::builder().config(config).bind().await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(broker.serve_until(async { drop(stopped.await) }));
    let [mut clients, mut peers] = [JoinSet::new(), JoinSet::new()];
    for _ in 0..50 {
        let client = UntypedClient::builder(&url, "raw", 0).connect();
        let client = client.await.unwrap();
        clients.spawn(async move {
            let mut states = client.connection().watch();
            let is_over = |state: &ConnectionState| *state != ConnectionState::Connected;
            drop(states.wait_for(is_over).await.unwrap());
            Instant::now()
        });
        let mut peer = mip_peer(&url).await;
        peers.spawn(async move {
            let mut close = [0; 24];
            peer.read_exact(&mut close).await.unwrap();
            assert_eq!(close[7], 10, "CLOSE");
            Instant::now()
        });
    }
    drop(stop);
    let moments = |mut times: Vec<Instant>| {
        times.sort_unstable();
        times.dedup();
        times.len()
    };
    let moments = [
        moments(clients.join_all().await),
        moments(peers.join_all().await),
    ];
    serving.await.unwrap();
    moments
}

/// They come back at the same moment otherwise.
#[tokio::test(start_paused = true)]
async fn clients_of_both_kinds_are_told_of_its_end_over_drain_spread() {
    assert_eq!(goodbyes("goodbyes-together", "0s").await, [1, 1]);
    let [clients, peers] = goodbyes("goodbyes-spread", "5s").await;
    assert!(clients > 10 && peers > 10, "{clients} and {peers}");
}

/// Takes calls, and never answers.
struct Hang(mpsc::Sender<()>);

impl Service for Hang {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        let mut open = Vec::new();
        while let Some(event) = inbound.next().await {
            if let Event::Exchange(exchange) = event {
                open.push(exchange);
                let _ = self.0.send(()).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_call_has_drain_timeout_when_it_stops() {
    const ASK: Variant = Variant::new(1, "ask", MsgKind::Command);
    let config = "drain_timeout = '20s'\ndrain_spread = '0s'\n[[listener]]\nurl = 'mem://hangs'";
    let config = Config::from_toml(config).unwrap();
    let broker = Broker::builder().config(config).bind().await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(broker.serve_until(async { drop(stopped.await) }));
    let (taken, mut is_taken) = mpsc::channel(1);
    let service = UntypedClient::builder("mem://hangs", "raw", 0).service(Hang(taken));
    let service = service.connect().await.unwrap();
    let serves = service
        .subscribe("work/$in", &SubscribeOptions::new())
        .await;
    serves.unwrap();
    let caller = UntypedClient::builder("mem://hangs", "raw", 0).connect();
    let caller = caller.await.unwrap();
    let calling = tokio::spawn(async move {
        let ask = UntypedMessage::new(&ASK, "").to_topic("work").unwrap();
        caller.call(&ask, &CallOptions::new()).await.map(drop)
    });
    is_taken.recv().await.unwrap();
    let began = Instant::now();
    drop(stop);
    serving.await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 20);
    calling.await.unwrap().unwrap_err();
}
