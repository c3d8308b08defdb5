//! What goes by datagrams, and what does not.

use std::{collections::BTreeSet, time::Duration};

use msip_runtime::CallOptions;
use msip_tests::{
    gauges::{Level, SendClientToServer as _, SendServerToClient as _},
    next, soon,
};

use crate::talk::{Seen, Served, line};

#[tokio::test]
async fn one_by_one_every_message_arrives_in_both_directions() {
    let mut served = Served::start("tcp://127.0.0.1:0", 1_000_000).await;
    let mut talk = served.connect("log,metric", "").await;
    talk.log_of_server().await;
    for number in 0..50 {
        talk.client.line_log(line(number, 10)).await.expect("sent");
        assert_eq!(next(&mut served.seen).await, Seen::Log(number));
        let metric = line(number, 1100);
        talk.client.load_metric(metric).await.expect("sent");
        assert_eq!(next(&mut served.seen).await, Seen::Metric(number));
        assert_eq!(talk.tap.count_of_client(), 2);
        talk.peer.line_log(line(number, 10)).await.expect("sent");
        assert_eq!(next(&mut talk.logs).await, number);
        assert_eq!(talk.tap.count_of_server(), 1);
    }
    assert_eq!(talk.client.connection().dropped().total(), 0);
    assert_eq!(talk.peer.connection().dropped().total(), 0);
}

#[tokio::test]
async fn all_else_goes_by_the_connection() {
    let mut served = Served::start("tcp://127.0.0.1:0", 1_000_000).await;
    let mut talk = served.connect("log,metric", "").await;
    talk.log_of_server().await;
    let level = Level {
        gauge: "a".to_owned(),
        level: 1,
    };
    talk.client.level_state(level).await.expect("sent");
    assert_eq!(next(&mut served.seen).await, Seen::State(1));
    talk.client.done_ind(line(2, 0)).await.expect("sent");
    assert_eq!(next(&mut served.seen).await, Seen::Done(2));
    talk.client.echo_req(line(3, 0)).await.expect("answered");
    talk.client
        .with(CallOptions::new().ack())
        .line_log(line(4, 0))
        .await
        .expect("acknowledged");
    assert_eq!(next(&mut served.seen).await, Seen::Log(4));
    // One that does not fit a datagram.
    talk.client.line_log(line(5, 1150)).await.expect("sent");
    assert_eq!(next(&mut served.seen).await, Seen::Log(5));
    talk.peer.line_log(line(6, 1150)).await.expect("sent");
    assert_eq!(next(&mut talk.logs).await, 6);
    assert_eq!(
        (talk.tap.count_of_client(), talk.tap.count_of_server()),
        (0, 0)
    );
}

#[tokio::test]
async fn only_the_kinds_of_the_channel_go_by_datagrams_in_both_directions() {
    let mut served = Served::start("tcp://127.0.0.1:0", 1_000_000).await;
    let mut talk = served.connect("metric", "").await;
    for number in 0..20 {
        talk.client.line_log(line(number, 0)).await.expect("sent");
        assert_eq!(next(&mut served.seen).await, Seen::Log(number));
        talk.client
            .load_metric(line(number, 0))
            .await
            .expect("sent");
        assert_eq!(next(&mut served.seen).await, Seen::Metric(number));
        assert_eq!(talk.tap.count_of_client(), 1);
        talk.peer.line_log(line(number, 0)).await.expect("sent");
        assert_eq!(next(&mut talk.logs).await, number);
        assert_eq!(talk.tap.count_of_server(), 0);
    }
}

#[tokio::test]
async fn a_flood_is_dropped_and_counted_and_holds_up_nothing() {
    const COUNT: u64 = 20_000;
    let mut served = Served::start("tcp://127.0.0.1:0", 0).await;
    let talk = served.connect("log", "&write_timeout=60s").await;
    // The handler of the first is never done, and no sender waits for it.
    for number in 0..COUNT {
        talk.client.line_log(line(number, 900)).await.expect("sent");
        if number.is_multiple_of(1000) {
            let ping = talk.client.ping(0, Duration::from_secs(60));
            soon("a pong", ping).await.expect("answered");
        }
    }
    let dropped = talk.client.connection().dropped();
    assert!(dropped.total() == dropped.logs, "{dropped:?}");
    served.gate.add_permits(1_000_000);
    // A last one by the stream, behind all that was received.
    talk.client.done_ind(line(0, 0)).await.expect("sent");
    let mut logs = BTreeSet::new();
    loop {
        match next(&mut served.seen).await {
            Seen::Log(number) => assert!(logs.insert(number), "{number} came twice"),
            Seen::Done(0) => break,
            event => panic!("{event:?}"),
        }
    }
    // What came and was not taken is counted once the rest was read.
    let received = || talk.peer.connection().dropped().received;
    soon("a count", async {
        while received() == 0 {
            let _ = talk.client.ping(0, Duration::from_secs(60)).await;
        }
    })
    .await;
    let handled = u64::try_from(logs.len()).expect("fits");
    assert!(handled + received() + dropped.logs <= COUNT);
}
