//! Listeners with certificates, which are read again while the broker serves.

use std::path::Path;

use msip_runtime::{
    CallOptions, MsgKind, Variant,
    untyped::{SubscribeOptions, UntypedClient, UntypedMessage},
};
use msip_tests::{Authority, soon};
use rustix::process::Signal;
use tokio::sync::mpsc;

use crate::{msip::Tell, process::Broker};

const NOTE: Variant = Variant::new(2, "note", MsgKind::Event);

/// Writes a certificate of an authority, and the authority's own, of this name.
fn issue(folder: &Path, authority: &str) {
    let issued = Authority::new(authority);
    let written = issued.issue_local().write(folder, "server");
    written.expect("is written");
    std::fs::write(folder.join(format!("{authority}.pem")), issued.pem()).expect("is written");
}

/// The settings of a listener with the certificate.
fn listen(scheme: &str, folder: &Path) -> String {
    let path = |name: &str| folder.join(name).display().to_string();
    let (cert, key) = (path("server.pem"), path("server.key"));
    format!("{scheme}://127.0.0.1:0?cert={cert}&key={key}")
}

/// A client that trusts an authority, and what it hears.
async fn connect(
    url: &str,
    folder: &Path,
    authority: &str,
) -> Result<(UntypedClient, mpsc::Receiver<Vec<u8>>), String> {
    let ca = folder.join(format!("{authority}.pem"));
    let (tell, heard) = mpsc::channel(16);
    let client = UntypedClient::builder(format!("{url}?ca={}", ca.display()), "raw", 0);
    let client = soon("an answer", client.service(Tell(tell)).connect()).await;
    Ok((client.map_err(|error| error.to_string())?, heard))
}

async fn publish(from: &UntypedClient, body: &'static str) {
    let note = UntypedMessage::new(&NOTE, body).to_topic("news");
    let delivered = from
        .deliver(&note.expect("a topic"), &CallOptions::new())
        .await;
    delivered.expect("is taken over");
}

async fn hears(heard: &mut mpsc::Receiver<Vec<u8>>, body: &str) {
    let next = soon("a message", heard.recv()).await;
    assert_eq!(next.as_deref(), Some(body.as_bytes()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_by_every_transport_with_certificates_hear_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    issue(folder, "one");
    let urls = ["tls", "wss", "quic"].map(|scheme| listen(scheme, folder));
    let mut arguments = Vec::new();
    for url in &urls {
        arguments.extend(["--listen", url]);
    }
    let broker = Broker::start(&arguments, 3).await;
    let mut clients = Vec::new();
    for url in &broker.urls {
        let (client, heard) = connect(url, folder, "one").await.expect("connects");
        let subscribed = client.subscribe("news", &SubscribeOptions::new()).await;
        subscribed.expect("is allowed");
        clients.push((client, heard));
    }
    for at in 0..clients.len() {
        publish(&clients[at].0, "hello").await;
        for (_, heard) in &mut clients {
            hears(heard, "hello").await;
        }
    }
    drop(clients);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_reads_certificates_again_and_a_broken_one_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    issue(folder, "one");
    let url = listen("tls", folder);
    let mut broker = Broker::start(&["--listen", &url], 1).await;
    let url = broker.urls[0].clone();
    let (before, mut heard) = connect(&url, folder, "one").await.expect("connects");
    let subscribed = before.subscribe("news", &SubscribeOptions::new()).await;
    subscribed.expect("is allowed");

    issue(folder, "two");
    broker.signal(Signal::HUP);
    broker.logged_times("reloaded: keys", 1).await;
    let (later, _) = connect(&url, folder, "two").await.expect("connects");
    let refused = connect(&url, folder, "one").await.map(|_| ());
    refused.expect_err("the certificate is another one");
    publish(&later, "by the new one").await;
    hears(&mut heard, "by the new one").await;

    std::fs::write(folder.join("server.pem"), "broken").expect("is written");
    broker.signal(Signal::HUP);
    broker.logged("not reloaded").await;
    broker.logged_times("reloaded: keys", 2).await;
    let (last, _) = connect(&url, folder, "two").await.expect("connects");
    publish(&last, "by what was there").await;
    hears(&mut heard, "by what was there").await;
    drop((before, later, last));
    let log = broker.stop().await;
    assert!(log.contains("server.pem"), "{log}");
}
