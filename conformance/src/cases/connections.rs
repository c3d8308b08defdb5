//! How connections begin again and end: drain, closing, reconnect, and sessions that are resumed.

use super::goes_on;
use crate::{
    case::{Case, Group},
    message::{counted, item},
    pair::{Pair, serve},
    protocol::conformance::{Item, control::Start},
};

/// A client that comes back at once.
const QUICK: &str = "reconnect_min=5ms&reconnect_max=20ms";

pub(super) fn cases() -> Vec<Case> {
    let mut group = Group::new("connections");
    group.pair("client-closes", &[], client_closes);
    group.pair("server-drains", &[], server_drains);
    group.pair("client-drains", &[], client_drains);
    group.pair("drain-ends-streams", &[], drain_ends_streams);
    group.pair("closed-by-server", &[], closed_by_server);
    group.pair("reconnect", &["resume"], reconnect);
    group.pair(
        "reconnect-to-another-server",
        &[],
        reconnect_to_another_server,
    );
    group.pair(
        "comes-back-after-unavailable",
        &[],
        comes_back_after_unavailable,
    );
    group.pair("deliveries-once", &["resume"], deliveries_once);
    group.pair("deliveries-again", &["resume"], deliveries_again);
    group.pair("calls-are-awaited", &["resume"], calls_are_awaited);
    group.pair("answers-are-kept", &["resume"], answers_are_kept);
    group.pair("streams-fail", &["resume"], streams_fail);
    group.cases()
}

async fn client_closes(pair: Pair) {
    let talk = pair.talk().await;
    talk.client.close().await;
    talk.peer.disconnected().await;
    // The server serves others.
    let second = crate::pair::connect(&pair.client, &talk.server.url, "").await;
    let peer = talk.server.peer().await;
    goes_on(&second, &peer).await;
}

/// A server that is shut down lets what is open finish.
async fn server_drains(pair: Pair) {
    let talk = pair.talk().await;
    let call = talk.client.start("unary_req", &item(1)).await;
    let handling = talk.peer.handling("unary_req").await;
    let closing = talk.server.end.close();
    let rest = async {
        handling.answer(&item(2)).await;
        assert_eq!(call.answer::<Item>().await, item(2));
        talk.client.disconnected().await;
    };
    tokio::join!(closing, rest);
}

/// The same from the client: its own calls finish, and those of the server.
async fn client_drains(pair: Pair) {
    let talk = pair.talk().await;
    let call = talk.client.start("unary_req", &item(1)).await;
    let handling = talk.peer.handling("unary_req").await;
    let of_server = talk.peer.start("unary_req", &item(3)).await;
    let in_client = talk.client.handling("unary_req").await;
    let closing = talk.client.close();
    let rest = async {
        handling.answer(&item(2)).await;
        assert_eq!(call.answer::<Item>().await, item(2));
        in_client.answer(&item(4)).await;
        assert_eq!(of_server.answer::<Item>().await, item(4));
        talk.peer.disconnected().await;
    };
    tokio::join!(closing, rest);
}

async fn drain_ends_streams(pair: Pair) {
    let talk = pair.talk_with("stream_drain=50ms", "").await;
    let call = talk.client.start("download_req", &item(1)).await;
    let handling = talk.peer.handling("download_req").await;
    handling.send(&item(1), 1).await;
    assert_eq!(call.item::<Item>().await, item(1));
    let closing = talk.server.end.close();
    let rest = async {
        assert_eq!(call.failure().await.code, "UNAVAILABLE");
        handling.dropped().await;
    };
    tokio::join!(closing, rest);
}

/// After any other code than UNAVAILABLE a client stays away, and knows why.
async fn closed_by_server(pair: Pair) {
    for code in ["PERMISSION_DENIED", "ALREADY_EXISTS", "ABORTED"] {
        let talk = pair.talk_with("", QUICK).await;
        talk.peer.disconnect(code, "out with you").await;
        let status = talk.client.closed().await;
        assert_eq!((&*status.code, &*status.message), (code, "out with you"));
        talk.peer.disconnected().await;
        let late = talk.client.start("unary_req", &item(1)).await;
        late.failure().await;
    }
}

async fn comes_back_after_unavailable(pair: Pair) {
    let talk = pair.talk_with("", QUICK).await;
    talk.peer.disconnect("UNAVAILABLE", "later").await;
    assert!(
        !talk.client.connected().await,
        "a session that was closed is not resumed"
    );
    let peer = talk.server.peer().await;
    goes_on(&talk.client, &peer).await;
}

async fn reconnect(pair: Pair) {
    let (talk, proxy) = pair.talk_through("", QUICK).await;
    for _ in 0..3 {
        proxy.cut();
        assert!(talk.client.connected().await, "resumed, as the client says");
        let (peer, resumed, _) = talk.server.connected_peer().await;
        assert!(resumed, "resumed, as the server says");
        assert_eq!(peer.number, talk.peer.number, "another peer");
        for (caller, handler) in talk.both_ways() {
            goes_on(&caller, &handler).await;
        }
    }
}

async fn reconnect_to_another_server(pair: Pair) {
    let (talk, proxy) = pair.talk_through("", QUICK).await;
    let other = serve(&pair.server, &pair.ways, "").await;
    proxy.aim(other.address());
    proxy.cut();
    assert!(
        !talk.client.connected().await,
        "resumed by a server that knows nothing"
    );
    talk.client.session_lost().await;
    let peer = other.peer().await;
    goes_on(&talk.client, &peer).await;
    goes_on(&peer, &talk.client).await;
}

/// What is in a handler when the connection is lost is not handled again.
async fn deliveries_once(pair: Pair) {
    let (talk, proxy) = super::held_through(&pair, &["save_ind"], QUICK).await;
    for (sender, handler) in talk.both_ways() {
        let sending = sender.start("save_ind", &item(1)).await;
        let handling = handler.handling("save_ind").await;
        proxy.cut();
        assert!(talk.client.connected().await);
        sender.ping(0).await;
        assert!(!sending.has_ended());
        handling.finish().await;
        sending.sent().await;
        assert!(!handler.has_handled("save_ind"), "handled twice");
    }
}

/// What had arrived and is sent again is handled once, in its order, and acknowledged.
async fn deliveries_again(pair: Pair) {
    let (talk, proxy) = super::held_through(&pair, &["save_ind"], QUICK).await;
    for (sender, handler) in talk.both_ways() {
        let mut sending = Vec::new();
        for number in 0..20 {
            sending.push(sender.start("save_ind", &item(number)).await);
        }
        for number in 0..20 {
            let handling = handler.handling("save_ind").await;
            assert_eq!(handling.item_number(), number);
            if number % 10 == 0 {
                // By now all have arrived.
                sender.ping(0).await;
                proxy.cut();
                assert!(talk.client.connected().await);
                sender.ping(0).await;
            }
            handling.finish().await;
        }
        for delivery in sending {
            delivery.sent().await;
        }
        sender.ping(0).await;
        assert!(!handler.has_handled("save_ind"), "handled twice");
    }
}

async fn calls_are_awaited(pair: Pair) {
    let (talk, proxy) = pair.talk_through("", QUICK).await;
    for (caller, handler) in talk.both_ways() {
        let call = caller.start("unary_req", &item(1)).await;
        let handling = handler.handling("unary_req").await;
        proxy.cut();
        assert!(talk.client.connected().await);
        assert!(talk.server.connected_peer().await.1);
        goes_on(&caller, &handler).await;
        assert!(!call.has_ended());
        handling.answer(&item(2)).await;
        assert_eq!(call.answer::<Item>().await, item(2));
    }
}

/// An answer that was ready while there was no connection.
async fn answers_are_kept(pair: Pair) {
    let (talk, proxy) = pair.talk_through("", QUICK).await;
    for (caller, handler) in talk.both_ways() {
        let call = caller.start("unary_req", &item(1)).await;
        let handling = handler.handling("unary_req").await;
        proxy.let_in(false);
        proxy.cut();
        talk.client.disconnected().await;
        talk.peer.disconnected().await;
        handling.answer(&item(2)).await;
        proxy.let_in(true);
        assert!(talk.client.connected().await);
        assert_eq!(call.answer::<Item>().await, item(2));
        assert!(talk.server.connected_peer().await.1);
    }
}

async fn streams_fail(pair: Pair) {
    let (talk, proxy) = pair.talk_through("", QUICK).await;
    for (caller, handler) in talk.both_ways() {
        let download = caller.start("download_req", &item(1)).await;
        let downloading = handler.handling("download_req").await;
        downloading.send(&item(1), 1).await;
        assert_eq!(download.item::<Item>().await, item(1));
        let upload = caller.start_with("upload_req", Start::default()).await;
        let uploading = handler.handling("upload_req").await;
        proxy.cut();
        download.failure().await;
        upload.failure().await;
        downloading.dropped().await;
        uploading.dropped().await;
        assert!(talk.client.connected().await);
        assert!(talk.server.connected_peer().await.1);
        goes_on(&caller, &handler).await;
        // Streams of the next connection.
        let upload = caller.start_with("upload_req", Start::default()).await;
        upload.finish().await;
        handler
            .handling("upload_req")
            .await
            .answer(&counted(0))
            .await;
        upload.end().await;
    }
}
