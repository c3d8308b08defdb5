//! A gateway at a Unix socket, plain and with the envelope of jesus' channel `socket`.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use msip_gateway::{BindError, Gateway, GatewayLimits, Hosts, jesus::JesusOptions};
use msip_tests::soon;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};

use crate::{
    client::{Answer, ask_over},
    rest::{Running, Seen, methods, model, start_at},
};

const JSON: (&str, &str) = ("content-type", "application/json");

/// A folder, and a path of a socket in it.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("net.sock");
    (folder, path)
}

fn url(path: &Path) -> String {
    format!("unix://{}", path.display())
}

fn mode(path: &Path) -> u32 {
    let file = fs::symlink_metadata(path).expect("the socket is there");
    assert!(file.file_type().is_socket());
    file.permissions().mode() & 0o777
}

async fn start(url: &str) -> Running {
    let jesus = JesusOptions::private(methods(None)).envelope();
    start_at(url, jesus, Hosts::default(), GatewayLimits::default()).await
}

async fn ask(path: &Path, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let stream = UnixStream::connect(path).await.expect("connects");
    let answer = ask_over(stream, "localhost", line, headers, body.as_bytes());
    soon("an answer", answer).await
}

/// 3: what jesus' client sends over a socket, and gets.
#[tokio::test]
async fn jesus_clients_send_envelopes_over_a_unix_socket() {
    let (_folder, path) = place();
    let mut running = start(&url(&path)).await;
    assert_eq!(running.url, url(&path));
    assert_eq!(mode(&path), 0o600);

    let envelope = async |path: &Path, at: &str, body: Value| {
        ask(path, &format!("POST {at}"), &[JSON], &body.to_string()).await
    };
    let meta = json!({ "corrid": "c7", "userid": "u1", "from": "net1" });
    let sum = json!({ "method": "sum", "data": { "n": "5" }, "meta": meta });
    let sum = envelope(&path, "/_httpMessage", sum).await.json();
    assert_eq!(
        (
            &sum["sum"],
            &sum["meta"]["corrid"],
            &sum["meta"]["app-meta-channel"]
        ),
        (&json!(5), &json!("c7"), &json!("socket"))
    );
    let note = json!({ "method": "note", "data": { "n": 3 } });
    let note = envelope(&path, "/_httpMessage", note).await;
    assert_eq!((note.status, note.text()), (200, ""));
    assert_eq!(
        soon("the service", running.seen.recv()).await,
        Some(Seen::Note(3))
    );
    let count = json!({ "method": "count", "data": { "to": 1 } });
    let count = envelope(&path, "/_httpMessageStream", count).await;
    let events: Vec<Value> = serde_json::Deserializer::from_slice(&count.body)
        .into_iter()
        .map(|event| event.expect("JSON, with nothing between"))
        .collect();
    assert_eq!((count.chunks.len(), events.len()), (2, 2));
    assert_eq!(events[0], json!({ "number": 0, "text": "" }));

    let plain = ask(&path, "POST /v1/rest/sum_req", &[JSON], r#"{"n":4}"#).await;
    assert_eq!(plain.json()["sum"], "4", "its own paths are there too");

    running.stop().await;
    assert!(!path.exists(), "the socket is removed at the end");
}

#[tokio::test]
async fn a_unix_socket_takes_any_host_and_no_page() {
    let (_folder, path) = place();
    let running = start(&url(&path)).await;
    for host in ["localhost", "net2", "%2Frun%2Fnet.sock", ""] {
        let stream = UnixStream::connect(&path).await.expect("connects");
        let answer = ask_over(stream, host, "GET /sum?n=2", &[], b"");
        assert_eq!(soon("an answer", answer).await.json()["sum"], 2, "{host}");
    }
    let calls = running.calls.load(Ordering::Relaxed);
    for origin in ["https://evil.example", "null", "http://"] {
        let refused = ask(&path, "GET /sum?n=2", &[("origin", origin)], "").await;
        assert_eq!(refused.status, 403, "{origin}");
    }
    assert_eq!(running.calls.load(Ordering::Relaxed), calls);
}

#[tokio::test]
async fn a_unix_socket_has_the_mode_of_its_url() {
    let (_folder, path) = place();
    let _running = start(&format!("{}?mode=0660", url(&path))).await;
    assert_eq!(mode(&path), 0o660);
}

/// Why a gateway cannot listen there.
async fn refused(path: &Path) -> String {
    let builder = Gateway::builder(url(path)).upstream("tcp://127.0.0.1:1", [model()]);
    match builder.bind().await {
        Err(BindError::Listen { source, .. }) => source.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn only_a_socket_that_nobody_listens_at_gives_way() {
    let (_folder, path) = place();
    drop(UnixListener::bind(&path).expect("binds"));
    assert!(path.exists(), "a program that was killed leaves it");
    let running = start(&url(&path)).await;
    let answer = ask(&path, "GET /sum?n=2", &[], "").await;
    assert_eq!(answer.json()["sum"], 2);
    let told = refused(&path).await;
    assert!(told.contains("somebody listens"), "{told}");
    let answer = ask(&path, "GET /sum?n=2", &[], "").await;
    assert_eq!(answer.json()["sum"], 2, "it is served as before");
    running.stop().await;

    fs::write(&path, "a file").expect("written");
    let told = refused(&path).await;
    assert!(told.contains("is not a socket"), "{told}");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "a file");
}
