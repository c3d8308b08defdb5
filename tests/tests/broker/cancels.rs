//! Callers who give up calls one after the other: their service does not take it for a flood of the broker's.

use std::time::Duration;

use msip_broker::{access::Rights, router::Limits};
use msip_runtime::{
    CallOptions, MsgKind,
    transport::ServiceUrl,
    untyped::{
        Event, Inbound, Reply, Service, SubscribeOptions, UntypedClient, UntypedMessage,
        UntypedPeer,
    },
    wire::{Flags, FrameType, Header, MsgId, RawKind, Side},
};
use msip_tests::{
    raw::{self, RawPeer},
    soon,
};
use tokio::{sync::watch, task::JoinSet, time::Instant};

use crate::fixture::{ASK, Broker, message};

/// What an instance has seen.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    begun: u64,
    disconnected: u64,
    /// Whether the call that says "mine" was begun, and given up.
    mine: (bool, bool),
}

/// Answers calls that say "?", and waits until all others are given up.
struct Hang(watch::Sender<Seen>);

impl Service for Hang {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        let mut open = JoinSet::new();
        while let Some(event) = inbound.next().await {
            match event {
                Event::Exchange(exchange) => {
                    let Reply::Call(responder) = exchange.reply else {
                        continue;
                    };
                    let is_mine = match &exchange.message.raw_body()[..] {
                        b"?" => {
                            responder.answer(&UntypedMessage::new(&ASK, "here".as_bytes()));
                            continue;
                        }
                        body => body == b"mine",
                    };
                    if is_mine {
                        self.0.send_modify(|seen| seen.mine.0 = true);
                        let seen = self.0.clone();
                        open.spawn(async move {
                            responder.cancellation().cancelled().await;
                            seen.send_modify(|seen| seen.mine.1 = true);
                        });
                        continue;
                    }
                    open.spawn(async move { responder.cancellation().cancelled().await });
                    self.0.send_modify(|seen| seen.begun += 1);
                }
                Event::Disconnected(_) => self.0.send_modify(|seen| seen.disconnected += 1),
                _ => {}
            }
            while open.try_join_next().is_some() {}
        }
    }
}

/// A caller that does not pace itself.
struct Attacker {
    peer: RawPeer,
    last: u64,
}

impl Attacker {
    async fn enter(url: &ServiceUrl) -> Self {
        let mut peer = RawPeer::dial(url).await;
        peer.greet_with(&raw::hello()).await;
        Self { peer, last: 1 }
    }

    /// Makes so many calls, and returns what gives them up.
    async fn call(&mut self, count: u64) -> Vec<u8> {
        let (mut calls, mut cancels) = (Vec::new(), Vec::new());
        for _ in 0..count {
            self.last += 1;
            let id = MsgId::exchange(Side::Connecting, self.last);
            let header = Header {
                flags: Flags::ACK_REQUIRED,
                kind: RawKind::from(MsgKind::Command),
                variant: 6,
                ..Header::control(FrameType::Publish, id)
            };
            calls.extend(raw::frame_of(header, b"\0\x03ask"));
            cancels.extend(raw::frame(FrameType::Cancel, id, b""));
        }
        self.peer.say(&calls).await;
        cancels
    }

    /// Gives calls up, and returns once the broker has read it.
    async fn give_up(&mut self, cancels: &[u8]) {
        self.last += 1;
        let ping = MsgId::exchange(Side::Connecting, self.last);
        self.peer.say(cancels).await;
        self.peer.say(&raw::frame(FrameType::Ping, ping, b"")).await;
        self.peer.hear_type(FrameType::Pong).await;
    }
}

/// A broker, an instance of its service `ask`, and callers who do not pace themselves.
struct Attacked {
    broker: Broker,
    _service: UntypedClient,
    sees: watch::Receiver<Seen>,
    attackers: [Attacker; 2],
    begun: u64,
}

impl Attacked {
    async fn start(url: &str) -> Self {
        let broker = Broker::listening(url, Limits::default(), |_| Rights::all()).await;
        let (seen, sees) = watch::channel(Seen::default());
        let service = UntypedClient::builder(&broker.url, "raw", 0)
            .service(Hang(seen))
            .connect()
            .await
            .expect("connects");
        service
            .subscribe("ask/$in", &SubscribeOptions::new())
            .await
            .expect("is allowed");
        let url: ServiceUrl = broker.url.parse().expect("a URL");
        let attackers = [Attacker::enter(&url).await, Attacker::enter(&url).await];
        Self {
            broker,
            _service: service,
            sees,
            attackers,
            begun: 0,
        }
    }

    /// Each attacker makes 500 calls, and gives them up. It gives up no more than it may, 10,000 at once; the service would end the
    /// connection for that, too.
    async fn attack(&mut self) {
        let round = 500;
        for attacker in &mut self.attackers {
            let cancels = attacker.call(round).await;
            self.begun += round;
            let begun = self.begun;
            let all = self
                .sees
                .wait_for(|seen| seen.begun == begun || seen.disconnected > 0);
            all.await.expect("the service is there");
            attacker.give_up(&cancels).await;
        }
    }
}

/// The time is that of the test, in which whoever waits for nothing else does not wait.
#[tokio::test(start_paused = true)]
async fn callers_who_give_up_more_calls_than_a_service_takes_cut_nobody_off() {
    let mut attacked = Attacked::start("mem://cancelled-calls").await;
    for _ in 0..15 {
        attacked.attack().await;
    }
    let caller = attacked.broker.client("caller").await;
    let ask = message(&ASK, "ask", "?");
    let answer = caller.client.call(&ask, &CallOptions::new()).await;
    assert_eq!(&answer.expect("is answered").raw_body()[..], b"here");
    assert_eq!(attacked.sees.borrow().disconnected, 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_gives_up_a_call_at_once_whatever_others_give_up() {
    let mut attacked = Attacked::start("mem://calls-given-up-by-turns").await;
    let caller = attacked.broker.client("caller").await.client;
    let mine = tokio::spawn(async move {
        let mine = message(&ASK, "ask", "mine");
        caller.call(&mine, &CallOptions::new()).await
    });
    let begun = attacked.sees.wait_for(|seen| seen.mine.0);
    soon("the call", begun).await.expect("the service is there");
    for _ in 0..10 {
        attacked.attack().await;
    }
    let given_up = Instant::now();
    mine.abort();
    let cancelled = attacked.sees.wait_for(|seen| seen.mine.1);
    soon("the cancellation", cancelled)
        .await
        .expect("the service is there");
    // What the others have given up takes the broker two seconds.
    assert!(
        given_up.elapsed() < Duration::from_millis(100),
        "{:?}",
        given_up.elapsed()
    );
}

/// Has all calls open until it is told to end them, but for those that say "?".
struct Keep {
    begun: watch::Sender<usize>,
    ends: watch::Receiver<bool>,
}

impl Service for Keep {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        let mut kept = Vec::new();
        let mut ends = self.ends.clone();
        loop {
            let exchange = tokio::select! {
                event = inbound.next() => match event {
                    Some(Event::Exchange(exchange)) => exchange,
                    Some(_) => continue,
                    None => return,
                },
                Ok(()) = ends.changed() => {
                    kept.clear();
                    continue;
                }
            };
            let Reply::Call(responder) = exchange.reply else {
                continue;
            };
            if &exchange.message.raw_body()[..] == b"?" || *ends.borrow() {
                responder.answer(&UntypedMessage::new(&ASK, "here".as_bytes()));
            } else {
                kept.push((responder, exchange.requests));
                self.begun.send_modify(|begun| *begun += 1);
            }
        }
    }
}

/// How a call is made that nobody waits for to the end.
#[derive(Debug, Clone, Copy)]
enum GivenUp {
    Dropped,
    Expired,
    /// Its requests are a stream.
    Stream,
}

/// Makes so many calls, and gives them up.
async fn give_up_many(client: &UntypedClient, how: GivenUp, count: usize) {
    // Until nobody has anything to do any more.
    let settle = || tokio::time::sleep(Duration::from_secs(1));
    let mut calls = JoinSet::new();
    for _ in 0..count {
        let client = client.clone();
        calls.spawn(async move {
            let ask = message(&ASK, "ask", "hang");
            let options = match how {
                GivenUp::Expired => CallOptions::new().timeout(Duration::from_millis(500)),
                _ => CallOptions::new().timeout(Duration::from_secs(3600)),
            };
            if let GivenUp::Stream = how {
                let requests = futures_util::stream::pending();
                let opened = client.open_stream(&ask, requests, &options).await;
                let _ = opened.expect("is opened").next().await;
            } else {
                let _ = client.call(&ask, &options).await;
            }
        });
    }
    settle().await;
    calls.abort_all();
    while calls.join_next().await.is_some() {}
    settle().await;
}

/// The time is that of the test. What has been given up and goes on at an instance counts against who gave it up.
#[tokio::test(start_paused = true)]
async fn a_client_that_gives_up_calls_takes_no_more_of_an_instance_than_one_that_waits() {
    for how in [GivenUp::Dropped, GivenUp::Expired, GivenUp::Stream] {
        let url = format!("mem://given-up-{how:?}").to_lowercase();
        let broker = Broker::listening(&url, Limits::default(), |_| Rights::all()).await;
        let (begun, has_begun) = watch::channel(0);
        let (end, ends) = watch::channel(false);
        let service = UntypedClient::builder(&broker.url, "raw", 0)
            .service(Keep { begun, ends })
            .connect()
            .await
            .expect("connects");
        let options = SubscribeOptions::new().by_peer().protocol("raw", 0);
        let subscribed = service.subscribe("ask/$in", &options).await;
        subscribed.expect("is allowed");
        let [hasty, patient] = [broker.client("hasty").await, broker.client("patient").await];
        // More than an instance lets a session have open.
        for _ in 0..6 {
            give_up_many(&hasty.client, how, 200).await;
        }
        let ask = message(&ASK, "ask", "?");
        let options = CallOptions::new().timeout(Duration::from_secs(10));
        let answer = patient.client.call(&ask, &options).await;
        let answer = answer.unwrap_or_else(|error| panic!("{how:?}: {error}"));
        assert_eq!(&answer.raw_body()[..], b"here", "{how:?}");
        assert_eq!(*has_begun.borrow(), 256, "{how:?}: the share of one client");
        // Once they have ended there, it goes on.
        end.send(true).expect("the service is there");
        let answer = hasty.client.call(&ask, &options).await;
        answer.unwrap_or_else(|error| panic!("{how:?}: {error}"));
    }
}
