//! Where a channel is down its kinds have their own rules, and it comes back.

use msip_runtime::{CallError, CallOptions, Client, SendError};
use msip_tests::{
    gauges::{Gauges, SendClientToServer as _, SendServerToClient as _},
    next,
    proxy::Proxy,
    soon,
};

use crate::gauge::{Display, Running, channels_are, level, line};

/// A server, and a client whose channel for all kinds goes through a proxy.
async fn proxied(permits: usize) -> (Running, Proxy, Client<Gauges>) {
    let mut server = Running::at("tcp://127.0.0.1:0", permits).await;
    let target = server
        .url
        .address()
        .authority()
        .parse()
        .expect("an address");
    let proxy = Proxy::start(target).await;
    let url = format!(
        "{}?reconnect_max=50ms&channel=event,state,log,metric:{}",
        server.url,
        proxy.url()
    );
    let client = soon("a client", Client::<Gauges>::connect(url)).await;
    let client = client.expect("it connects");
    assert_eq!(server.sees().await, "connected");
    channels_are(&client, &[true]).await;
    (server, proxy, client)
}

#[tokio::test]
async fn without_its_channel_a_log_is_dropped_and_an_event_goes_the_main_way() {
    let (mut server, proxy, client) = proxied(100).await;
    client.line_log(line(1)).await.expect("sent");
    assert_eq!(server.sees().await, "log 1");
    proxy.let_in(false);
    proxy.cut();
    channels_are(&client, &[false]).await;

    client.line_log(line(2)).await.expect("taken");
    client.try_line_log(line(3)).expect("taken");
    client.load_metric(line(4)).await.expect("taken");
    let acked = client.with(CallOptions::new().ack());
    let error = acked.line_log(line(5)).await.expect_err("dropped");
    assert_eq!(error, SendError::Dropped);
    client.done_ind(line(6)).await.expect("sent");
    assert_eq!(server.sees().await, "done 6");
    client.level_state(level(7)).await.expect("sent");
    assert_eq!(server.sees().await, "state 7");
    acked.done_ind(line(8)).await.expect("handled");
    assert_eq!(server.sees().await, "done 8");
    assert_eq!(client.connection().dropped().channel_down, 4);

    proxy.let_in(true);
    channels_are(&client, &[true]).await;
    client.line_log(line(9)).await.expect("sent");
    assert_eq!(server.sees().await, "log 9");
    assert_eq!(client.connection().dropped().channel_down, 4);
    client.close().await;
    assert_eq!(server.sees().await, "gone");
}

#[tokio::test]
async fn what_the_server_pushes_without_the_channel_is_dropped_and_counted_there() {
    let mut server = Running::at("tcp://127.0.0.1:0", 100).await;
    let target = server
        .url
        .address()
        .authority()
        .parse()
        .expect("an address");
    let proxy = Proxy::start(target).await;
    let (display, mut seen) = Display::new();
    let url = format!("{}?channel=log,state:{}", server.url, proxy.url());
    let client = Client::<Gauges>::builder(url).handler(display).connect();
    let client = soon("a client", client).await.expect("it connects");
    let peer = server.peer().await;
    channels_are(&client, &[true]).await;
    client.line_log(line(1)).await.expect("sent");
    assert_eq!(server.sees().await, "connected");
    assert_eq!(server.sees().await, "log 1");
    proxy.let_in(false);
    proxy.cut();
    let server_knows = async {
        while peer.connection().dropped().channel_down == 0 {
            peer.line_log(line(2)).await.expect("taken");
            // The server has had its turn.
            client.echo_req(line(0)).await.expect("answered");
        }
    };
    soon("the server knows that the channel is down", server_knows).await;
    peer.level_state(level(3)).await.expect("sent");
    assert_eq!(next(&mut seen).await, "state 3");
    client.close().await;
}

#[tokio::test]
async fn a_delivery_that_was_under_way_is_not_sent_again() {
    let (mut server, proxy, client) = proxied(0).await;
    let acked = client.with(CallOptions::new().ack());
    acked.done_ind(line(1)).await.expect("handled");
    assert_eq!(server.sees().await, "done 1");
    let delivering = acked.line_log(line(2));
    let breaking = async {
        assert_eq!(server.sees().await, "waiting log 2");
        proxy.cut();
    };
    let (delivered, ()) = soon("it ends", async { tokio::join!(delivering, breaking) }).await;
    let Err(SendError::NotAcknowledged(error)) = delivered else {
        panic!("{delivered:?}");
    };
    assert_eq!(*error, CallError::ConnectionLost);
    channels_are(&client, &[true]).await;
    server.gate.add_permits(10);
    client.done_ind(line(3)).await.expect("sent");
    let mut seen = vec![server.sees().await, server.sees().await];
    seen.sort_unstable();
    assert_eq!(seen, ["done 3", "log 2"], "once");
    client.close().await;
    assert_eq!(server.sees().await, "gone");
}

#[tokio::test]
async fn a_channel_that_cannot_be_opened_leaves_the_client_as_it_is() {
    let mut server = Running::at("tcp://127.0.0.1:0", 100).await;
    let target = server
        .url
        .address()
        .authority()
        .parse()
        .expect("an address");
    let proxy = Proxy::start(target).await;
    proxy.let_in(false);
    let url = format!(
        "{}?reconnect_max=50ms&channel=log:{}",
        server.url,
        proxy.url()
    );
    let client = soon("a client", Client::<Gauges>::connect(url)).await;
    let client = client.expect("it connects");
    assert_eq!(server.sees().await, "connected");
    // Until the first attempt has failed logs go by the connection of the client.
    let fails = async {
        while client.connection().dropped().channel_down == 0 {
            client.line_log(line(1)).await.expect("taken");
            client.echo_req(line(0)).await.expect("answered");
        }
    };
    soon("the first attempt fails", fails).await;
    proxy.let_in(true);
    channels_are(&client, &[true]).await;
    client.line_log(line(2)).await.expect("sent");
    let arrives = async { while server.sees().await != "log 2" {} };
    soon("the log arrives", arrives).await;
    client.close().await;
}
