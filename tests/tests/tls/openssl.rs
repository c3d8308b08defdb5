//! `openssl s_client` as a peer that is not ours. Without it these tests are skipped.

use std::process::Stdio;

use msip_runtime::transport::ServerTls;
use msip_tests::{Authority, programs, raw, soon};
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::{connect, is_served, raw_tls, serve, serve_with};

/// Whether there is an `openssl` to run.
fn is_there() -> bool {
    programs::first_of(&["openssl"], "it is a peer that is not ours").is_some()
}

/// Runs `openssl s_client` with these arguments, and returns what it says.
async fn s_client(url: &str, arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &raw_tls::address(url).to_string()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("starts");
    let mut stdin = child.stdin.take().expect("is piped");
    // It may have ended before it reads.
    let _ = stdin.write_all(input).await;
    let _ = stdin.flush().await;
    let output = soon("openssl to end", child.wait_with_output()).await;
    drop(stdin);
    let output = output.expect("ran");
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    said
}

async fn server(authority: &Authority) -> (String, tempfile::TempDir) {
    let tls: ServerTls = authority.issue_local().server_tls();
    let (url, _events) = serve(tls).await;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).expect("written");
    (url, folder)
}

#[tokio::test]
async fn it_verifies_the_server_and_agrees_on_the_protocol() {
    if !is_there() {
        return;
    }
    let authority = Authority::new("authority");
    let (url, folder) = server(&authority).await;
    let ca = folder.path().join("ca.pem").display().to_string();
    let verified = [
        "-CAfile",
        &ca,
        "-verify_return_error",
        "-verify_ip",
        "127.0.0.1",
    ];
    for (version, name) in [("-tls1_3", "TLSv1.3"), ("-tls1_2", "TLSv1.2")] {
        let arguments = [&verified[..], &["-alpn", "msip/1", version]].concat();
        // What is no HELLO is answered with an ERROR, and the end.
        let said = s_client(&url, &arguments, b"hello?\n").await;
        for part in [name, "ALPN protocol: msip/1", "Verify return code: 0 (ok)"] {
            assert!(said.contains(part), "{version}: no {part} in {said}");
        }
        assert!(said.contains("MSIP"), "{version}: no ERROR in {said}");
    }
}

#[tokio::test]
async fn its_hello_is_answered() {
    if !is_there() {
        return;
    }
    let authority = Authority::new("authority");
    let (url, _folder) = server(&authority).await;
    let mut input = raw::hello_frame(&raw::hello());
    // No header, which ends the connection.
    input.extend(b"enough of it, and more than the 24 bytes of a header");
    let said = s_client(&url, &["-quiet"], &input).await;
    assert!(said.contains("bad magic"), "{said}");
}

#[tokio::test]
async fn old_versions_and_other_protocols_are_refused() {
    if !is_there() {
        return;
    }
    let authority = Authority::new("authority");
    let (url, _folder) = server(&authority).await;
    for (arguments, alert) in [
        (
            &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"][..],
            "handshake failure",
        ),
        (&["-alpn", "h2"], "no application protocol"),
    ] {
        let said = s_client(&url, arguments, b"").await;
        assert!(said.contains(alert), "no {alert} in {said}");
    }
    is_served(
        &connect(&url, authority.client_tls())
            .await
            .expect("connects"),
    )
    .await;
}

#[tokio::test]
async fn a_renegotiation_is_refused() {
    if !is_there() {
        return;
    }
    let authority = Authority::new("authority");
    let tls = authority.issue_local().server_tls();
    let (url, _events) = serve_with(tls, "handshake_timeout=2s").await;
    // A line that begins with an R asks for one, which nobody answers; the server waits for a HELLO.
    let said = s_client(&url, &["-tls1_2"], b"R\n").await;
    let (_, after) = said.split_once("RENEGOTIATING").expect("it tries to");
    assert!(after.contains(":error:"), "{said}");
    let client = loop {
        // The time for a handshake is short, and the machine may be busy.
        if let Ok(client) = connect(&url, authority.client_tls()).await {
            break client;
        }
    };
    is_served(&client).await;
}
