//! Callers who give up calls one after the other: their service does not take it for a flood of the broker's.

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
use msip_tests::raw::{self, RawPeer};
use tokio::{sync::watch, task::JoinSet};

use crate::fixture::{ASK, Broker, message};

/// What an instance has seen.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    begun: u64,
    disconnected: u64,
}

/// Answers calls with a body, and waits until all others are given up.
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
                    if !exchange.message.raw_body().is_empty() {
                        responder.answer(&UntypedMessage::new(&ASK, "here".as_bytes()));
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

/// The time is that of the test, in which whoever waits for nothing else does not wait.
#[tokio::test(start_paused = true)]
async fn callers_who_give_up_more_calls_than_a_service_takes_cut_nobody_off() {
    let broker = Broker::listening("mem://cancelled-calls", Limits::default(), |_| {
        Rights::all()
    })
    .await;
    let (seen, mut sees) = watch::channel(Seen::default());
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
    let mut attackers = [Attacker::enter(&url).await, Attacker::enter(&url).await];
    // No attacker gives up more than it may: 10,000 at once. The service would end the connection for that, too.
    let (mut begun, round) = (0, 500);
    for _ in 0..15 {
        for attacker in &mut attackers {
            let cancels = attacker.call(round).await;
            begun += round;
            let all = sees.wait_for(|seen| seen.begun == begun || seen.disconnected > 0);
            all.await.expect("the service is there");
            attacker.give_up(&cancels).await;
        }
    }
    let caller = broker.client("caller").await;
    let ask = message(&ASK, "ask", "?");
    let answer = caller.client.call(&ask, &CallOptions::new()).await;
    assert_eq!(&answer.expect("is answered").raw_body()[..], b"here");
    assert_eq!(sees.borrow().disconnected, 0);
}
