//! Clients of a service that has several addresses.

use std::time::Duration;

use msip_runtime::{
    BindError, Client, ConnectError, DisconnectReason, DrainReport, Reconnect, Server,
    transport::UrlError,
};
use msip_tests::{
    HeldPort, LabClient, LabServer, SeenByClient,
    lab::{EchoReq, Lab, SendClientToServer as _},
    next,
    proxy::Proxy,
    soon, start,
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

/// `127.0.0.1:4000` of `tcp://127.0.0.1:4000`.
fn place(url: &str) -> &str {
    url.trim_start_matches("tcp://")
}

/// An address without a listener.
fn nowhere() -> HeldPort {
    HeldPort::new().expect("a port")
}

/// A server, and what shuts it down.
async fn server() -> (String, oneshot::Sender<()>, JoinHandle<DrainReport>) {
    let server = Server::<Lab>::bind("tcp://127.0.0.1:0")
        .await
        .expect("binds");
    let url = server.local_url().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let (handler, events) = LabServer::new();
    let serving = tokio::spawn(async move {
        // What it sees is of no interest here.
        let _events = events;
        let stopped = async {
            // Told or dropped, it is the same.
            let _ = stopped.await;
        };
        server.serve_until(handler, stopped).await
    });
    (url, stop, serving)
}

async fn connect(url: String) -> (Client<Lab>, mpsc::Receiver<SeenByClient>) {
    let (handler, mut seen) = LabClient::new();
    let connecting = Client::<Lab>::builder(url).handler(handler).connect();
    let client = soon("a client", connecting).await.expect("connects");
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    (client, seen)
}

fn address(client: &Client<Lab>) -> String {
    let address = client.connection().address();
    address.expect("is connected").to_string()
}

async fn works(client: &Client<Lab>) {
    let echo = soon("an answer", client.echo_req(EchoReq::default())).await;
    echo.expect("served");
}

#[tokio::test]
async fn the_first_address_that_answers_is_taken() {
    let (a, _stop_a, _) = server().await;
    let (b, _stop_b, _) = server().await;
    let port = nowhere();
    let dead = port.address();
    let (client, _seen) = connect(format!("tcp://{dead},{},{}", place(&a), place(&b))).await;
    assert_eq!(address(&client), a);
    works(&client).await;
    let random = format!("tcp://{dead},{}?address_order=random", place(&b));
    let (client, _seen) = connect(random).await;
    assert_eq!(address(&client), b);
}

#[tokio::test]
async fn where_none_answers_each_is_told_with_its_cause() {
    let ports = [nowhere(), nowhere()];
    let [first, second] = ports.each_ref().map(HeldPort::address);
    let rude = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let third = rude.local_addr().expect("is bound").to_string();
    tokio::spawn(async move {
        // Takes every connection, and drops it.
        while rude.accept().await.is_ok() {}
    });
    let error = Client::<Lab>::connect(format!("tcp://{first},{second},{third}"))
        .await
        .expect_err("nobody serves");
    let ConnectError::NoAddress { failures } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(failures.len(), 3, "{failures:?}");
    let text = error.to_string();
    assert!(
        text.starts_with("cannot connect to any of 3 addresses: "),
        "{text}"
    );
    for place in [first, second] {
        let refused = format!("cannot reach tcp://{place}: Connection refused");
        assert!(text.contains(&refused), "{text}");
    }
    assert!(text.contains(&format!("tcp://{third}")), "{text}");
}

#[tokio::test]
async fn a_client_goes_elsewhere_when_its_server_says_goodbye() {
    let (a, stop_a, serving_a) = server().await;
    let (b, _stop_b, _) = server().await;
    let (client, mut seen) = connect(format!("{a},{}", place(&b))).await;
    assert_eq!(address(&client), a);
    stop_a.send(()).expect("it serves");
    let event = next(&mut seen).await;
    assert!(
        matches!(
            event,
            SeenByClient::Disconnected(DisconnectReason::ClosedByPeer(_))
        ),
        "{event:?}"
    );
    let event = next(&mut seen).await;
    assert!(matches!(event, SeenByClient::Connected), "{event:?}");
    assert_eq!(address(&client), b);
    works(&client).await;
    soon("drained", serving_a).await.expect("no panic");
    let lost = client.connection().lost_sessions().borrow().clone();
    assert_eq!(
        lost.expect("another server has other sessions").count,
        1,
        "it is an event"
    );
}

#[tokio::test]
async fn a_client_whose_server_died_goes_on_with_the_next() {
    let (a, _events, serving) = start("tcp://127.0.0.1:0").await;
    let (b, _stop_b, _) = server().await;
    let (client, mut seen) = connect(format!("{a},{}", place(&b))).await;
    serving.abort();
    let event = next(&mut seen).await;
    assert!(matches!(event, SeenByClient::Disconnected(_)), "{event:?}");
    let event = next(&mut seen).await;
    assert!(
        matches!(event, SeenByClient::Connected),
        "in the same round: {event:?}"
    );
    assert_eq!(address(&client), b);
    works(&client).await;
}

#[tokio::test]
async fn a_connection_that_broke_is_made_anew_where_the_session_is() {
    let (a, _stop_a, _) = server().await;
    let (b, _stop_b, _) = server().await;
    let proxy = Proxy::start(place(&b).parse().expect("an address")).await;
    // It is neither the first nor the last.
    let port = nowhere();
    let dead = port.address();
    let url = format!("tcp://{dead},{},{}", place(&proxy.url()), place(&a));
    let (client, mut seen) = connect(url).await;
    assert_eq!(address(&client), proxy.url());
    proxy.cut();
    let event = next(&mut seen).await;
    assert!(matches!(event, SeenByClient::Disconnected(_)), "{event:?}");
    let event = next(&mut seen).await;
    assert!(matches!(event, SeenByClient::Connected), "{event:?}");
    assert_eq!(address(&client), proxy.url());
    assert!(client.connection().resumed());
    assert!(client.connection().lost_sessions().borrow().is_none());
}

#[tokio::test]
async fn who_is_leaving_is_left_out_of_the_round() {
    let (a, stop_a, serving_a) = server().await;
    let port = nowhere();
    let dead = port.address();
    let (handler, mut seen) = LabClient::new();
    let client = Client::<Lab>::builder(format!("{a},{dead}"))
        .handler(handler.on_failure(Reconnect::Stop))
        .reconnect_min(Duration::from_millis(1))
        .connect()
        .await
        .expect("connects");
    assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
    stop_a.send(()).expect("it serves");
    soon("drained", serving_a).await.expect("no panic");
    let event = next(&mut seen).await;
    assert!(matches!(event, SeenByClient::Disconnected(_)), "{event:?}");
    let event = next(&mut seen).await;
    let SeenByClient::Failed(ConnectError::Transport { url, .. }, 1) = event else {
        panic!("one address, and one attempt: {event:?}");
    };
    assert_eq!(url, format!("tcp://{dead}"));
    soon("closed", client.close()).await;
}

#[tokio::test]
async fn a_server_listens_at_one_address() {
    for url in [
        "tcp://127.0.0.1:0,127.0.0.1:0",
        "tcp://127.0.0.1:0,127.0.0.1:0?insecure=true",
    ] {
        let error = Server::<Lab>::bind(url).await.expect_err("two");
        assert!(
            matches!(
                error,
                BindError::Url(UrlError::SeveralAddresses { count: 2 })
            ),
            "{error:?}"
        );
    }
}
