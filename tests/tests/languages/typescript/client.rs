//! A client in Node.js talks with servers in Rust.

use std::collections::HashMap;

use msip_tests::{
    Authority, SeenByServer, ServerProcess, THROUGH_A_BROKER, next,
    proxy::{Plan, Proxy},
    start,
};
use tokio::{process::Command, sync::mpsc};

use super::{
    node::{Node, Programs, with_interval},
    tools::{Tools, tools},
};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_lab-server"))
}

#[tokio::test]
async fn everything_is_said_over_each_transport() {
    let Some(tools) = tools() else { return };
    let programs = Programs::bundle(tools, "client_everything");
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("of the tests");
    let issued = authority.issue_local();
    issued.write(folder.path(), "server").expect("written");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("written");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let tls = format!("cert={}&key={}", file("server.pem"), file("server.key"));
    let trusted = format!("?ca={}", ca.display());
    for (url, settings) in [
        ("tcp://127.0.0.1:0".to_owned(), ""),
        ("tcp://127.0.0.1:0".to_owned(), "?codec=json&compress=gzip"),
        ("tcp://127.0.0.1:0".to_owned(), "?codec=msgpack"),
        (format!("tls://127.0.0.1:0?{tls}"), &*trusted),
        (format!("unix://{}", file("lab.sock")), ""),
        ("ws://127.0.0.1:0/lab".to_owned(), ""),
        (format!("wss://127.0.0.1:0/lab?{tls}"), &*trusted),
    ] {
        let (local, mut events, serving) = start(&url).await;
        let url = format!("{}{settings}", local.address());
        let mut node = Node::start(tools, &programs.client, &[&url, "everything"]);
        node.until("done").await;
        node.ended().await;
        let mut notes = Vec::new();
        while let Ok(seen) = events.try_recv() {
            match seen {
                SeenByServer::Note(number)
                | SeenByServer::Save(number)
                | SeenByServer::Alarm(number) => notes.push(number),
                SeenByServer::Tick => notes.push(0),
                _ => {}
            }
        }
        notes.sort_unstable();
        assert_eq!(notes, [0, 1, 2, 3, 13], "{url}");
        serving.abort();
    }
}

#[tokio::test]
async fn a_client_speaks_at_a_topic_of_a_broker() {
    let Some(tools) = tools() else { return };
    let programs = Programs::bundle(tools, "client_broker");
    let (url, mut events, _serving) = start(&format!("{THROUGH_A_BROKER}tcp://127.0.0.1:0")).await;
    let mut node = Node::start(tools, &programs.client, &[&url.to_string(), "broker"]);
    node.until("done").await;
    node.ended().await;
    let mut notes = Vec::new();
    while notes.len() < 2 {
        match next(&mut events).await {
            SeenByServer::Note(number) | SeenByServer::Save(number) => notes.push(number),
            _ => {}
        }
    }
    assert_eq!(notes, [1, 2]);
}

#[tokio::test]
async fn bodies_are_as_large_as_they_may_be_and_no_larger() {
    let Some(tools) = tools() else { return };
    let programs = Programs::bundle(tools, "client_large");
    for url in ["tcp://127.0.0.1:0", "ws://127.0.0.1:0/"] {
        let (url, _events, serving) = start(url).await;
        let url = url.address().to_string();
        let mut node = Node::start(tools, &programs.client, &[&url, "large"]);
        node.until("done").await;
        node.ended().await;
        serving.abort();
    }
}

#[tokio::test]
async fn a_server_hears_of_streams_that_are_left_and_calls_that_are_aborted() {
    let Some(tools) = tools() else { return };
    let programs = Programs::bundle(tools, "client_cancel");
    let (url, mut events, _serving) = start("tcp://127.0.0.1:0").await;
    let mut node = Node::start(
        tools,
        &programs.client,
        &[&url.address().to_string(), "cancel"],
    );
    node.until("cancelled").await;
    let mut dropped = Vec::new();
    while dropped.len() < 2 {
        if let SeenByServer::Dropped(what) = next(&mut events).await {
            dropped.push(what);
        }
    }
    dropped.sort();
    assert_eq!(dropped, ["count", "hang"]);
    node.end_input();
    node.until("done").await;
    node.ended().await;
}

#[tokio::test]
async fn each_delivery_is_handled_once_however_often_the_connection_is_cut() {
    let Some(tools) = tools() else { return };
    let programs = Programs::bundle(tools, "client_deliver");
    let (url, mut events, _serving) = start("tcp://127.0.0.1:0").await;
    let target = url.address().authority().parse().expect("an address");
    let proxy = Proxy::start(target).await;
    let mut node = Node::start(tools, &programs.client, &[&proxy.url(), "deliver"]);
    node.until("connected").await;
    for _ in 0..20 {
        node.tell("go").await;
        node.until("sending").await;
        proxy.cut();
        node.until("sent").await;
    }
    node.end_input();
    let resumed = node.until("resumed").await;
    assert_eq!(resumed, "resumed 20", "no session was lost");
    node.until("done").await;
    node.ended().await;
    assert_eq!(saved(&mut events), 400);
}

#[tokio::test]
async fn a_server_that_is_killed_is_missed_and_its_successor_found() {
    let Some(tools) = tools() else { return };
    let programs = Programs::bundle(tools, "client_killed");
    let first = ServerProcess::start(program()).await;
    let proxy = Proxy::start(first.address().parse().expect("an address")).await;
    let mut node = Node::start(tools, &programs.client, &[&proxy.url(), "killed"]);
    node.until("hanging").await;
    let mut killed = first.child;
    killed.kill().await.expect("it runs");
    let second = ServerProcess::start(program()).await;
    proxy.aim(second.address().parse().expect("an address"));
    node.until("done").await;
    node.ended().await;
}

/// Resets, truncations and silence, each way, in the handshake too.
#[tokio::test]
async fn each_delivery_is_handled_once_over_connections_that_end_badly() {
    let Some(tools) = tools() else { return };
    let programs = Programs::bundle(tools, "client_troubled");
    with_interval(async |interval_ms| troubled(tools, &programs, interval_ms).await).await;
}

async fn troubled(tools: &Tools, programs: &Programs, interval_ms: u64) {
    let (url, mut events, _serving) = start("tcp://127.0.0.1:0").await;
    let target = url.address().authority().parse().expect("an address");
    let proxy = Proxy::with_plan(target, Plan::seeded(7, 14, 4000)).await;
    let url = format!(
        "{}?ping_interval={interval_ms}ms&handshake_timeout={}ms",
        proxy.url(),
        10 * interval_ms
    );
    let mut node = Node::start(tools, &programs.client, &[&url, "deliver"]);
    node.until("connected").await;
    let mut tally = proxy.tally();
    let mut rounds = 0;
    while tally.borrow_and_update().troubles() < 14 {
        node.tell("go").await;
        node.until("sent").await;
        rounds += 1;
    }
    node.end_input();
    node.until("done").await;
    node.ended().await;
    assert_eq!(saved(&mut events), rounds * 20);
}

/// How many deliveries were handled, each once.
fn saved(events: &mut mpsc::Receiver<SeenByServer>) -> usize {
    let mut handled: HashMap<u64, usize> = HashMap::new();
    while let Ok(seen) = events.try_recv() {
        if let SeenByServer::Save(number) = seen {
            *handled.entry(number).or_default() += 1;
        }
    }
    assert!(handled.values().all(|count| *count == 1), "{handled:?}");
    handled.len()
}
