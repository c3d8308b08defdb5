//! Peers that are silent for long, of which the broker holds little meanwhile.

use std::time::Duration;

use msip_broker::{access::Rights, router::Limits};
use msip_runtime::CallOptions;
use tokio::time::sleep;

use crate::fixture::{ASK, Broker, JOB, NOTE, message};

/// The time is that of the test, in which whoever waits for nothing else does not wait.
#[tokio::test(start_paused = true)]
async fn what_comes_after_a_silence_of_any_length_is_passed_on() {
    let broker =
        Broker::listening("mem://silent-peers", Limits::default(), |_| Rights::all()).await;
    let mut service = broker.client("service").await;
    service.hear("ask/$in").await;
    let mut client = broker.client("client").await;
    client.hear("notes").await;
    let options = CallOptions::new();
    // Around the time after which memory is given back, and that of a keepalive ping.
    for millis in [
        1, 9, 10, 11, 50, 99, 100, 101, 200, 1000, 14_999, 15_001, 100_000,
    ] {
        sleep(Duration::from_millis(millis)).await;
        let ask = message(&ASK, "ask", "?");
        let answer = client.client.call(&ask, &options).await;
        assert_eq!(&answer.expect("answered").raw_body()[..], b"service");
        assert_eq!(service.next().await, "ask ?");
        sleep(Duration::from_millis(millis)).await;
        let note = message(&NOTE, "notes", "one");
        service.client.send(&note, &options).await.expect("sent");
        assert_eq!(client.next().await, "notes one");
        sleep(Duration::from_millis(millis)).await;
        let job = message(&JOB, "ask", "work");
        client.client.deliver(&job, &options).await.expect("taken");
        assert_eq!(service.next().await, "ask work");
    }
}

/// As above.
#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_told_that_its_session_has_ended() {
    let broker = Broker::listening("mem://silent-ends", Limits::default(), |_| Rights::all()).await;
    let client = broker.client("client").await;
    sleep(Duration::from_secs(1)).await;
    broker.withdraw("client");
    let ping = || client.client.ping(0, Duration::from_secs(60));
    while ping().await.is_ok() {}
}
