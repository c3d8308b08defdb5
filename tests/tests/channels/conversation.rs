//! What goes by a channel, and how.

use msip_runtime::{
    CallOptions, Channel, Client, ClientBuilder, Codec, Compression, MsgKind, Server,
};
use msip_tests::{
    Authority,
    gauges::{
        BroadcastServerToClient as _, Gauges, Line, PushClientToServer as _,
        SendClientToServer as _, SendServerToClient as _,
    },
    next, soon,
};
use tempfile::TempDir;

use crate::{
    gauge::{Display, Running, channels_are, level, line},
    tap::Tap,
};

/// A client of this server, with its channel by a tap.
fn client(server: &Running, kinds: &str, tap: &Tap) -> ClientBuilder<Gauges, ()> {
    let (url, tap) = (&server.url, &tap.url);
    Client::<Gauges>::builder(format!("{url}?channel={kinds}:{tap}?codec=json"))
}

#[tokio::test]
async fn its_kinds_go_by_a_channel_in_its_own_codec_and_all_else_as_before() {
    let mut server = Running::at("tcp://127.0.0.1:0", 100).await;
    let tap = Tap::to(&server.url).await;
    let client = client(&server, "log,state", &tap);
    let client = soon("a client", client.connect())
        .await
        .expect("it connects");
    let peer = server.peer().await;
    assert_eq!(server.sees().await, "connected");
    channels_are(&client, &[true]).await;

    client.line_log(line(1001)).await.expect("sent");
    assert_eq!(server.sees().await, "log 1001");
    client.level_state(level(1002)).await.expect("sent");
    assert_eq!(server.sees().await, "state 1002");
    let acked = client.with(CallOptions::new().ack());
    acked.line_log(line(1003)).await.expect("handled");
    assert_eq!(server.sees().await, "log 1003");
    client.try_line_log(line(1004)).expect("sent");
    assert_eq!(server.sees().await, "log 1004");
    let mut sender = client.sender();
    sender.line_log(line(1005)).await.expect("sent");
    assert_eq!(server.sees().await, "log 1005");
    for number in 1001..=1005 {
        assert!(tap.has_seen(&format!("\"{number}\"")), "{number} in JSON");
    }

    let before = tap.seen().len();
    client.load_metric(line(2001)).await.expect("sent");
    assert_eq!(server.sees().await, "metric 2001");
    client.done_ind(line(2002)).await.expect("sent");
    assert_eq!(server.sees().await, "done 2002");
    assert_eq!(client.echo_req(line(7)).await.expect("answered").number, 7);
    assert_eq!(tap.seen().len(), before, "by the connection of the client");

    // It is no peer, and told to no hook.
    assert_eq!(peer.everyone().peers().len(), 1);
    assert_eq!(client.connection().codec(), Codec::Protobuf);
    assert_eq!(client.connection().dropped().total(), 0);
    client.close().await;
    assert_eq!(server.sees().await, "gone");
}

#[tokio::test]
async fn what_the_server_pushes_goes_by_the_channel_too() {
    let mut server = Running::at("tcp://127.0.0.1:0", 100).await;
    let tap = Tap::to(&server.url).await;
    let (display, mut seen) = Display::new();
    let client = client(&server, "log", &tap).handler(display).connect();
    let client = soon("a client", client).await.expect("it connects");
    let peer = server.peer().await;
    channels_are(&client, &[true]).await;
    // The server knows of the channel once something came by it.
    client.line_log(line(1)).await.expect("sent");
    assert_eq!(server.sees().await, "connected");
    assert_eq!(server.sees().await, "log 1");

    peer.line_log(line(1001)).await.expect("sent");
    assert_eq!(next(&mut seen).await, "log 1001");
    assert_eq!(peer.everyone().line_log(line(1002)), 1, "taken");
    assert_eq!(next(&mut seen).await, "log 1002");
    assert!(tap.has_seen("\"1001\"") && tap.has_seen("\"1002\""));
    peer.level_state(level(1003)).await.expect("sent");
    assert_eq!(next(&mut seen).await, "state 1003");
    assert_eq!(peer.everyone().level_state(level(1004)), 1, "taken");
    assert_eq!(next(&mut seen).await, "state 1004");
    assert!(!tap.has_seen("1003") && !tap.has_seen("1004"));
    client.close().await;
}

#[tokio::test]
async fn bodies_are_compressed_on_the_channel_only() {
    let mut server = Running::at("tcp://127.0.0.1:0", 100).await;
    let (main, lines) = (Tap::to(&server.url).await, Tap::to(&server.url).await);
    let channel = Channel::new(&lines.url)
        .kinds([MsgKind::Log])
        .compression(Compression::Lz4);
    let client = Client::<Gauges>::builder(&main.url).channel(channel);
    let client = soon("a client", client.connect())
        .await
        .expect("it connects");
    assert_eq!(server.sees().await, "connected");
    channels_are(&client, &[true]).await;
    let heavy = |number| Line {
        number,
        ballast: vec![7; 100_000],
    };
    client.line_log(heavy(1)).await.expect("sent");
    assert_eq!(server.sees().await, "log 1");
    let compressed = lines.seen().len();
    assert!(compressed < 20_000, "{compressed} bytes by the channel");
    client.done_ind(heavy(2)).await.expect("sent");
    assert_eq!(server.sees().await, "done 2");
    let plain = main.seen().len();
    assert!(plain > 100_000, "{plain} bytes by the connection");
    client.close().await;
}

#[tokio::test]
async fn a_channel_goes_over_quic_beside_tcp() {
    let (authority, folder) = (
        Authority::new("authority"),
        TempDir::new().expect("a folder"),
    );
    let path = |name: &str| folder.path().join(name).display().to_string();
    let issued = authority.issue(&["127.0.0.1"]);
    issued.write(folder.path(), "server").expect("written");
    std::fs::write(path("ca.pem"), authority.pem()).expect("written");
    let quic = format!(
        "quic://127.0.0.1:0?cert={}&key={}",
        path("server.pem"),
        path("server.key")
    );
    let builder = Server::<Gauges>::builder("tcp://127.0.0.1:0").also(quic);
    let mut server = Running::of(builder, 100).await;
    let url = format!(
        "{}?channel=log,metric:{}?ca={}",
        server.urls[0],
        server.urls[1].address(),
        path("ca.pem")
    );
    let client = soon("a client", Client::<Gauges>::connect(url)).await;
    let client = client.expect("it connects");
    assert_eq!(server.sees().await, "connected");
    channels_are(&client, &[true]).await;
    for number in 0..100 {
        client.load_metric(line(number)).await.expect("sent");
    }
    for number in 0..100 {
        assert_eq!(server.sees().await, format!("metric {number}"));
    }
    client.close().await;
    assert_eq!(server.sees().await, "gone");
}

#[tokio::test]
async fn several_channels_in_memory_and_without_one() {
    let mut server = Running::at("mem://channels-several", 100).await;
    let url = "mem://channels-several";
    let built = Client::<Gauges>::builder(url)
        .channel(Channel::new(url).kinds([MsgKind::Log]))
        .channel(Channel::new(url).kinds([MsgKind::Metric, MsgKind::Event]));
    let client = soon("a client", built.connect())
        .await
        .expect("it connects");
    assert_eq!(server.sees().await, "connected");
    channels_are(&client, &[true, true]).await;
    client.line_log(line(1)).await.expect("sent");
    assert_eq!(server.sees().await, "log 1");
    client.done_ind(line(2)).await.expect("sent");
    assert_eq!(server.sees().await, "done 2");
    client.level_state(level(3)).await.expect("sent");
    assert_eq!(server.sees().await, "state 3");
    client.close().await;
    assert_eq!(server.sees().await, "gone");

    let client = soon("a client", Client::<Gauges>::connect(url)).await;
    let client = client.expect("it connects");
    assert_eq!(server.sees().await, "connected");
    assert!(client.connection().channels().is_empty());
    client.line_log(line(4)).await.expect("sent");
    assert_eq!(server.sees().await, "log 4");
    client.close().await;
}
