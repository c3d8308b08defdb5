//! Calls that are given up: they cost others nothing, and one that is given up in time is not begun.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use msip_runtime::{
    Client,
    transport::Listener,
    untyped::{self, Event, Inbound, Reply, Service, UntypedProtocol},
    wire::{Flags, FrameType, MsgId, Side, Welcome},
};
use msip_tests::{
    SeenByServer, connected,
    lab::{ClientToServer, Lab, SendClientToServer as _},
    messages::{act, echo},
    next,
    raw::{self, RawPeer},
    soon, start, start_gated,
};
use tokio::time::{sleep, timeout};

/// How many calls a server takes at once.
const MAX_CALLS: usize = 8;

/// What became of so many calls of which some are given up.
async fn outcomes(url: &str, count: u64, given_up: u64) -> BTreeMap<String, u64> {
    let client = Client::<Lab>::connect(url).await.expect("connects");
    let calls: Vec<_> = (0..count)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move {
                let call = client.act_req(act("wait"));
                if number.is_multiple_of(given_up) {
                    let _ = timeout(Duration::from_millis(20), call).await;
                    return "given up".to_owned();
                }
                match call.await {
                    Ok(answer) => answer.done,
                    Err(error) => error.to_string(),
                }
            })
        })
        .collect();
    let mut outcomes = BTreeMap::new();
    for call in calls {
        let outcome = soon("an outcome", call).await.expect("no panic");
        *outcomes.entry(outcome).or_default() += 1;
    }
    outcomes
}

/// A server that lets a handler of "wait" end every other millisecond.
async fn slow_server(url: &str) -> String {
    let (url, mut events, gate) = start_gated(url).await;
    tokio::spawn(async move {
        loop {
            sleep(Duration::from_millis(2)).await;
            gate.add_permits(1);
        }
    });
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    let url = url.to_string();
    url.split('?').next().unwrap_or_default().to_owned()
}

fn expected(count: u64, given_up: u64) -> BTreeMap<String, u64> {
    let left = count.div_ceil(given_up);
    BTreeMap::from([
        ("given up".to_owned(), left),
        ("waited".to_owned(), count - left),
    ])
}

#[tokio::test(start_paused = true)]
async fn those_that_are_not_given_up_succeed() {
    for given_up in [2, 5] {
        let url = format!("mem://given-up-{given_up}?max_calls={MAX_CALLS}");
        let url = slow_server(&url).await;
        let outcomes = outcomes(&url, 400, given_up).await;
        assert_eq!(outcomes, expected(400, given_up));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_that_are_not_given_up_succeed_on_several_threads() {
    let url = slow_server(&format!("tcp://127.0.0.1:0?max_calls={MAX_CALLS}")).await;
    let outcomes = outcomes(&url, 400, 3).await;
    assert_eq!(outcomes, expected(400, 3));
}

const fn call(sequence: u64) -> MsgId {
    MsgId::exchange(Side::Connecting, sequence)
}

/// A request of this id, and where it is given up its CANCEL behind it.
fn request(sequence: u64, what: &str, is_given_up: bool) -> Vec<u8> {
    let message = ClientToServer::ActReq(act(what));
    let mut bytes = raw::message(
        Side::Connecting,
        Flags::ACK_REQUIRED,
        call(sequence),
        &message,
    );
    if is_given_up {
        bytes.extend(raw::frame(FrameType::Cancel, call(sequence), b""));
    }
    bytes
}

#[tokio::test]
async fn one_whose_cancel_has_come_with_it_is_not_begun() {
    let (url, mut events, _) = start("tcp://127.0.0.1:0").await;
    let mut peer = RawPeer::dial(&url).await;
    peer.greet().await;
    connected(&mut events).await;
    let together: Vec<u8> = (1..=50)
        .flat_map(|sequence| request(sequence, "panic", true))
        .chain(request(51, "remaining", false))
        .collect();
    peer.say(&together).await;
    let (_, answer) = peer.hear_until(call(51)).await;
    assert_eq!(answer.expect("an answer").header.frame_type, FrameType::Ack);
    assert!(matches!(next(&mut events).await, SeenByServer::Act(what) if what == "remaining"));
}

/// Counts the calls that it is given, and answers none.
#[derive(Clone, Default)]
struct Count(Arc<AtomicU64>);

impl Service for Count {
    async fn serve(&self, _: untyped::UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            if let Event::Exchange(exchange) = event
                && matches!(exchange.reply, Reply::Call(_))
            {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[tokio::test]
async fn an_untyped_service_is_not_given_one_that_was_given_up() {
    let count = Count::default();
    let server = untyped::UntypedServer::builder("tcp://127.0.0.1:0")
        .untyped(UntypedProtocol::any(), count.clone())
        .bind()
        .await
        .expect("listens");
    let url = server.local_url().clone();
    tokio::spawn(server.serve());
    let mut peer = RawPeer::dial(&url).await;
    peer.greet().await;
    let together = [request(1, "tell", true), request(2, "tell", false)].concat();
    peer.say(&together).await;
    peer.hear_until(call(2)).await;
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn its_end_is_said_when_its_handler_has_ended() {
    let (url, mut events, _) = start("tcp://127.0.0.1:0").await;
    let mut peer = RawPeer::dial(&url).await;
    peer.greet().await;
    connected(&mut events).await;
    peer.say(&request(1, "hang", false)).await;
    assert!(matches!(next(&mut events).await, SeenByServer::Act(what) if what == "hang"));
    peer.say(&raw::frame(FrameType::Cancel, call(1), b"")).await;
    let end = soon("its end", peer.hear_type(FrameType::Error)).await;
    assert_eq!(end.header.msg_id, call(1));
    assert_eq!(raw::text(&end.payload), "CANCELLED: given up by its caller");
}

/// A client, and its server's end of the connection: it takes one call at a time, and ends cancelled calls or not.
async fn narrow(ends_cancelled: bool) -> (Client<Lab>, RawPeer) {
    let listener = Listener::bind(&"tcp://127.0.0.1:0".parse().expect("a url"))
        .await
        .expect("listens");
    let url = listener.local_url().to_string();
    let connecting = Client::<Lab>::connect(url);
    let (client, peer) = tokio::join!(connecting, async {
        let mut peer = RawPeer::accept(&listener).await;
        let hello = peer.hear_type(FrameType::Hello).await;
        let session = hello.payload.first_chunk().copied().unwrap_or_default();
        let mut welcome = Welcome {
            max_open_calls: 1,
            ..raw::welcome()
        };
        if ends_cancelled {
            let name = "ends-cancelled".to_owned();
            welcome.extensions.insert(name, Vec::new());
        }
        let session = u64::from_be_bytes(session);
        let welcome = raw::welcome_frame(hello.header.msg_id, session, &welcome);
        peer.say(&welcome).await;
        peer
    });
    (client.expect("connects"), peer)
}

/// Begins a call, gives it up when its server has it, and begins another. Returns the id of the first.
async fn give_up_and_call(client: &Client<Lab>, peer: &mut RawPeer) -> MsgId {
    let call = client.echo_req(echo("1"));
    let first = tokio::select! {
        answer = call => panic!("{answer:?}"),
        first = peer.hear_type(FrameType::Publish) => first.header.msg_id,
    };
    let cancel = peer.hear_type(FrameType::Cancel).await;
    assert_eq!(cancel.header.msg_id, first);
    let client = client.clone();
    tokio::spawn(async move { client.echo_req(echo("2")).await });
    first
}

#[tokio::test]
async fn another_is_sent_when_the_server_has_ended_it() {
    let (client, mut peer) = narrow(true).await;
    let first = give_up_and_call(&client, &mut peer).await;
    let ping = MsgId::exchange(Side::Accepting, 8);
    peer.say(&raw::frame(FrameType::Ping, ping, b"")).await;
    let next = peer.hear().await.expect("an answer").header;
    assert_eq!(next.frame_type, FrameType::Pong, "the first counts there");
    let ended = b"CANCELLED: given up by its caller";
    peer.say(&raw::frame(FrameType::Error, first, ended)).await;
    let second = peer.hear_type(FrameType::Publish).await;
    assert_ne!(second.header.msg_id, first);
    assert_eq!(client.connection().ignored(), 0);
}

#[tokio::test]
async fn a_server_that_does_not_end_it_is_not_waited_for() {
    let (client, mut peer) = narrow(false).await;
    let first = give_up_and_call(&client, &mut peer).await;
    let second = peer.hear_type(FrameType::Publish).await;
    assert_ne!(second.header.msg_id, first);
}
