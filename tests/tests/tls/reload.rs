//! Certificates that are read again while the server runs.

use std::{fs, path::Path};

use msip_runtime::{Client, ReloadError, Reloader, Server, transport::TlsError};
use msip_tests::{Authority, Issued, LabServer, lab::Lab, soon};

use super::{connect, is_served, refusal};

/// A server with files.
struct Served {
    folder: tempfile::TempDir,
    url: String,
    reloader: Reloader,
}

impl Served {
    async fn start(issued: &Issued, client_ca: Option<&Authority>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        issued.write(folder.path(), "server").expect("written");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (cert, key) = (path("server.pem"), path("server.key"));
        let mut url = format!("tls://127.0.0.1:0?cert={cert}&key={key}");
        if let Some(authority) = client_ca {
            write_ca(folder.path(), authority);
            url = format!("{url}&client_ca={}", path("client_ca.pem"));
        }
        let server = Server::<Lab>::bind(url).await.expect("listens");
        let url = server.local_url().to_string();
        let reloader = server.reloader();
        tokio::spawn(server.serve(LabServer::new().0));
        Self {
            folder,
            url,
            reloader,
        }
    }
}

fn write_ca(folder: &Path, authority: &Authority) {
    fs::write(folder.join("client_ca.pem"), authority.pem()).expect("written");
}

#[tokio::test]
async fn new_connections_get_the_new_certificate_and_open_ones_go_on() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let served = Served::start(&before.issue_local(), None).await;
    let first = connect(&served.url, before.client_tls()).await;
    let first = first.expect("connects");
    let new = after.issue_local();
    new.write(served.folder.path(), "server").expect("written");
    served.reloader.reload_tls().expect("reloaded");
    let second = connect(&served.url, after.client_tls()).await;
    is_served(&second.expect("connects")).await;
    assert_eq!(
        refusal(&served.url, before.client_tls()).await,
        TlsError::UnknownIssuer
    );
    is_served(&first).await;
}

#[tokio::test]
async fn a_bad_file_keeps_the_old_certificate_and_says_so() {
    let authority = Authority::new("authority");
    let served = Served::start(&authority.issue_local(), None).await;
    let path = |name: &str| served.folder.path().join(name);
    let (cert, key) = (path("server.pem"), path("server.key"));
    let good = fs::read(&cert).expect("is there");
    let others_key = authority.issue_local().key;
    let kept = |what: &str| match served.reloader.reload_tls() {
        Err(error @ ReloadError::Kept { .. }) => format!("{error:?}"),
        other => panic!("{what}: {other:?}"),
    };
    let half = &good[..good.len() / 2];
    for (what, bytes) in [
        ("no PEM", &b"no PEM"[..]),
        ("half a file", half),
        ("empty", b""),
    ] {
        fs::write(&cert, bytes).expect("written");
        let text = kept(what);
        assert!(text.contains(&cert.display().to_string()), "{what}: {text}");
        let client = connect(&served.url, authority.client_tls()).await;
        is_served(&client.expect("connects")).await;
    }
    fs::remove_file(&cert).expect("was there");
    kept("no file");
    fs::write(&cert, &good).expect("written");
    fs::write(&key, others_key).expect("written");
    let text = kept("the key of another certificate");
    assert!(text.contains(&key.display().to_string()), "{text}");
    let client = connect(&served.url, authority.client_tls()).await;
    is_served(&client.expect("connects")).await;
}

#[tokio::test]
async fn a_tls_session_of_before_does_not_get_past_a_new_client_ca() {
    let authority = Authority::new("authority");
    let served = Served::start(&authority.issue_local(), Some(&authority)).await;
    let issued = authority.issue_client(&["relay"], &[], &[]);
    let tls = authority.client_tls().identity(issued.cert(), issued.key());
    // A client that connects again has its tickets of before.
    let (handler, mut seen) = msip_tests::LabClient::new();
    let proxy = msip_tests::proxy::Proxy::start(super::raw_tls::address(&served.url)).await;
    let url = proxy.url().replace("tcp://", "tls://");
    let client = Client::<Lab>::builder(format!("{url}?reconnect_min=5ms"))
        .tls(tls)
        .handler(handler.on_failure(msip_runtime::Reconnect::Stop))
        .connect();
    let client = soon("a connection", client).await.expect("connects");
    is_served(&client).await;
    write_ca(served.folder.path(), &Authority::new("another"));
    served.reloader.reload_tls().expect("reloaded");
    proxy.cut();
    loop {
        match msip_tests::next(&mut seen).await {
            msip_tests::SeenByClient::Failed(error, _) => {
                let text = format!("{error:?}");
                assert!(text.contains("refused the client certificate"), "{text}");
                break;
            }
            msip_tests::SeenByClient::Connected | msip_tests::SeenByClient::Disconnected(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_has_stopped_is_not_reloaded() {
    let authority = Authority::new("authority");
    let folder = tempfile::tempdir().expect("a folder");
    let issued = authority.issue_local();
    issued.write(folder.path(), "server").expect("written");
    let server = Server::<Lab>::builder("tls://127.0.0.1:0")
        .tls(issued.server_tls())
        .bind()
        .await
        .expect("listens");
    server.reload_tls().expect("bytes are what they were");
    let reloader = server.reloader();
    drop(server);
    let stopped = reloader.reload_tls();
    assert!(matches!(stopped, Err(ReloadError::Stopped)), "{stopped:?}");
}
