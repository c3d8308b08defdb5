//! The ends of channels, with their sessions.

use msip_runtime::{Client, Code, ConnectError, ConnectionState, SendError};
use msip_tests::{
    gauges::{Gauges, SendClientToServer as _},
    proxy::Proxy,
    soon,
};

use crate::gauge::{Running, channels_are, line};

#[tokio::test]
async fn what_was_sent_by_a_channel_is_handled_before_a_client_that_closes_has_gone() {
    let mut server = Running::at("tcp://127.0.0.1:0", 10_000).await;
    let url = format!("{0}?channel=log:{0}", server.url);
    let client = soon("a client", Client::<Gauges>::connect(url)).await;
    let client = client.expect("it connects");
    assert_eq!(server.sees().await, "connected");
    channels_are(&client, &[true]).await;
    for number in 0..1000 {
        client.line_log(line(number)).await.expect("sent");
    }
    soon("it closes", client.close()).await;
    for number in 0..1000 {
        assert_eq!(server.sees().await, format!("log {number}"));
    }
    assert_eq!(server.sees().await, "gone");
    assert_eq!(client.connection().dropped().total(), 0);
}

#[tokio::test]
async fn a_server_that_drains_ends_the_channels_of_its_sessions() {
    let mut server = Running::at("tcp://127.0.0.1:0", 10_000).await;
    let url = format!("{0}?channel=log:{0}", server.url);
    let client = soon("a client", Client::<Gauges>::connect(url)).await;
    let client = client.expect("it connects");
    channels_are(&client, &[true]).await;
    client.line_log(line(1)).await.expect("sent");
    assert_eq!(server.sees().await, "connected");
    assert_eq!(server.sees().await, "log 1");
    let (report, _) = server.drain().await;
    assert_eq!((report.connections, report.aborted), (1, 0), "{report:?}");
    channels_are(&client, &[false]).await;
    client.close().await;
}

#[tokio::test]
async fn a_client_whose_session_ends_has_channels_in_the_next_one() {
    let mut server = Running::at("tcp://127.0.0.1:0?session_expiry=0ms", 10_000).await;
    let url = format!(
        "{0}?reconnect_max=50ms&channel=log:{0}",
        server.url.address()
    );
    let client = soon("a client", Client::<Gauges>::connect(url)).await;
    let client = client.expect("it connects");
    let peer = server.peer().await;
    channels_are(&client, &[true]).await;
    // A session that the server ends so is followed by another.
    let mut channels = client.connection().watch_channels();
    channels.mark_unchanged();
    peer.disconnect(msip_runtime::Status::unavailable("come back"));
    let another = server.peer();
    let another = soon("another session", another).await;
    assert_ne!(peer.id(), another.id());
    let opened = async {
        loop {
            channels_are(&client, &[true]).await;
            let before = client.connection().dropped().total();
            client.line_log(line(7)).await.expect("taken");
            if client.connection().dropped().total() == before {
                break;
            }
        }
    };
    soon("its channel is there", opened).await;
    let arrives = async { while server.sees().await != "log 7" {} };
    soon("the log arrives", arrives).await;
    client.close().await;
}

#[tokio::test]
async fn a_channel_outlives_a_connection_of_its_session() {
    let mut server = Running::at("tcp://127.0.0.1:0", 10_000).await;
    let target = server.url.address().authority().parse();
    let proxy = Proxy::start(target.expect("an address")).await;
    let url = format!(
        "{}?reconnect_max=50ms&channel=log:{}",
        proxy.url(),
        server.url
    );
    let client = soon("a client", Client::<Gauges>::connect(url)).await;
    let client = client.expect("it connects");
    let peer = server.peer().await;
    assert_eq!(server.sees().await, "connected");
    channels_are(&client, &[true]).await;
    proxy.let_in(false);
    proxy.cut();
    let mut state = client.connection().watch();
    let lost = state.wait_for(|state| !matches!(state, ConnectionState::Connected));
    soon("it is lost", lost).await.expect("the client is there");
    client.line_log(line(1)).await.expect("sent");
    assert_eq!(server.sees().await, "log 1");
    let error = client.done_ind(line(2)).await.expect_err("nowhere to");
    assert_eq!(error, SendError::Disconnected);
    proxy.let_in(true);
    let back = state.wait_for(|state| matches!(state, ConnectionState::Connected));
    soon("it is back", back).await.expect("the client is there");
    assert!(client.connection().resumed());
    assert_eq!(server.sees().await, "connected");
    assert_eq!(server.peer().await.id(), peer.id());
    assert_eq!(client.connection().channels(), [true]);
    client.line_log(line(3)).await.expect("sent");
    assert_eq!(server.sees().await, "log 3");
    client.close().await;
    assert_eq!(server.sees().await, "gone");
}

#[tokio::test]
async fn the_connection_of_a_channel_counts_against_max_connections() {
    let mut server = Running::at("tcp://127.0.0.1:0?max_connections=1", 10_000).await;
    let address = server.url.address().clone();
    let url = format!("{address}?reconnect_max=50ms&channel=log:{address}");
    let client = soon("a client", Client::<Gauges>::connect(url)).await;
    let client = client.expect("it connects");
    assert_eq!(server.sees().await, "connected");
    let refused = async {
        while client.connection().dropped().channel_down == 0 {
            client.line_log(line(1)).await.expect("taken");
            client.echo_req(line(0)).await.expect("answered");
        }
    };
    soon("the channel is refused", refused).await;
    assert_eq!(client.connection().channels(), [false]);
    client.close().await;

    let server = Running::at("tcp://127.0.0.1:0?max_connections=2", 10_000).await;
    let address = server.url.address().clone();
    let url = format!("{address}?channel=log:{address}");
    let client = soon("a client", Client::<Gauges>::connect(url)).await;
    let client = client.expect("it connects");
    channels_are(&client, &[true]).await;
    let other = Client::<Gauges>::connect(address.to_string());
    let error = soon("a refusal", other).await.expect_err("none is free");
    match error {
        ConnectError::Refused { status, .. } => {
            assert_eq!(status.code(), Code::ResourceExhausted);
        }
        error => panic!("{error}"),
    }
    soon("it closes", client.close()).await;
}
