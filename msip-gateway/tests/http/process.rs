//! The program.

use std::process::Stdio;

use msip_tests::{SeenByServer, soon};
#[cfg(unix)]
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::{
    client::{Ask, Connection},
    fixture::protos,
};

fn gateway(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_msip-gateway"));
    command
        .args(arguments)
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What a run of the program has said, and its code.
async fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = soon("the end of the program", gateway(arguments).output())
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Starts it in front of a server of this schema, and returns where it listens.
async fn start(upstream: &str, schema: &str, more: &[&str]) -> (Child, String) {
    let schema = protos().join(schema).display().to_string();
    let arguments = [&["--upstream", upstream, "--schema", &schema], more].concat();
    let mut child = gateway(&arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = soon("an address", lines.next_line())
        .await
        .unwrap()
        .unwrap();
    let url = line.strip_prefix("listening on ").unwrap().to_owned();
    (child, url)
}

fn lab_proto() -> String {
    protos().join("lab.proto").display().to_string()
}

#[cfg(unix)]
fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn it_serves_and_drains_when_it_is_told_to_stop() {
    let (server, mut events, _server) = msip_tests::start("tcp://127.0.0.1:0").await;
    let (mut child, url) = start(
        &server.to_string(),
        "lab.proto",
        &["--listen", "http://127.0.0.1:0"],
    )
    .await;
    let answer = Ask::post("/v1/lab/echo_req", r#"{"text": "hi"}"#)
        .send(&url)
        .await;
    assert_eq!(answer.text(), r#"{"text":"hi"}"#);
    assert_eq!(Ask::get("/readyz").send(&url).await.status, 200);
    // A stream and a call are open; the call may finish.
    let mut stream = Ask::get("/v1/lab/events").open(&url).await;
    assert_eq!(stream.head().await.status, 200);
    let mut lines = Ask::new("POST", "/v1/lab/sum_req")
        .header("content-type", "application/x-ndjson")
        .header("transfer-encoding", "chunked")
        .open(&url)
        .await;
    lines.write(b"e\r\n{\"number\": 4}\n\r\n").await.unwrap();
    let idle = Connection::open(&url).await;
    let call = Ask::post("/v1/lab/act_req", r#"{"what": "hang"}"#).header("grpc-timeout", "1S");
    let mut call = call.open(&url).await;
    soon("a call", async {
        while !matches!(events.recv().await.unwrap(), SeenByServer::Act(_)) {}
    })
    .await;
    signal(&child, Signal::TERM);
    let end = stream.event().await.unwrap();
    assert!(end.contains("the gateway is stopping"), "{end}");
    lines.write(b"0\r\n\r\n").await.unwrap();
    assert_eq!(soon("a sum", lines.answer()).await.text(), r#"{"sum":"4"}"#);
    assert_eq!(soon("an answer", call.answer()).await.code().0, 504);
    let status = soon("the end of the program", child.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
    drop(idle);
    let mut logged = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut logged)
        .await
        .unwrap();
    assert!(logged.contains("aborted=0"), "{logged}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let (server, mut events, _server) = msip_tests::start("tcp://127.0.0.1:0").await;
    let (mut child, url) = start(
        &server.to_string(),
        "lab.proto",
        &["--listen", "http://127.0.0.1:0", "--drain-timeout", "3600"],
    )
    .await;
    // Without the second one it would wait for this call.
    let _call = Ask::post("/v1/lab/act_req", r#"{"what": "hang"}"#)
        .open(&url)
        .await;
    soon("a call", async {
        while !matches!(events.recv().await.unwrap(), SeenByServer::Act(_)) {}
    })
    .await;
    signal(&child, Signal::TERM);
    signal(&child, Signal::INT);
    let status = soon("the end of the program", child.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
    let mut logged = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut logged).await.unwrap();
    assert!(
        logged.contains("stopping at once: connections are broken"),
        "{logged}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn it_listens_at_a_unix_socket_and_logs_nothing_of_what_is_said() {
    let (upstream, _server) = crate::rest::server().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.sock");
    let listen = format!("unix://{}", path.display());
    let (mut child, url) = start(
        &upstream,
        "rest.proto",
        &["--listen", &listen, "--jesus", "socket", "--log", "info"],
    )
    .await;
    assert_eq!(url, listen);
    let envelope = r#"{"method":"sum","data":{"room":"a secret"},"meta":{"userid":"a secret"}}"#;
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let answer = crate::client::ask_over(
        stream,
        "localhost",
        "POST /_httpMessage",
        &[("content-type", "application/json")],
        envelope.as_bytes(),
    );
    assert_eq!(soon("an answer", answer).await.json()["room"], "a secret");
    signal(&child, Signal::TERM);
    let status = soon("the end of the program", child.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(!path.exists());
    let mut logged = String::new();
    let mut complaints = child.stderr.take().unwrap();
    complaints.read_to_string(&mut logged).await.unwrap();
    assert!(
        !logged.is_empty() && !logged.contains("a secret"),
        "{logged}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn certificates_and_methods_are_read_again_at_sighup() {
    use msip_tests::Authority;

    use crate::https::ask_over_tls;

    let (upstream, _server) = crate::rest::server().await;
    let folder = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(Authority::new);
    old.issue_local().write(folder.path(), "server").unwrap();
    let methods = folder.path().join("methods.json");
    std::fs::write(&methods, r#"{"sum": {}}"#).unwrap();
    let files = folder.path().display();
    let listen = format!("https://127.0.0.1:0?cert={files}/server.pem&key={files}/server.key");
    let (mut child, url) = start(
        &upstream,
        "rest.proto",
        &[
            "--listen",
            &listen,
            "--jesus",
            "private",
            "--jesus-methods",
            &methods.display().to_string(),
        ],
    )
    .await;
    let address = url.strip_prefix("https://").unwrap();
    let mut logged = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut until = async |text: &str| {
        while let Some(line) = soon("a line", logged.next_line()).await.unwrap() {
            if line.contains(text) {
                return;
            }
        }
        panic!("no `{text}`");
    };
    let ask = async |authority: &Authority, path: &str| {
        let answer = ask_over_tls(address, authority, Ask::get(path)).await?;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        Ok::<_, std::io::Error>(body.to_owned())
    };
    assert!(ask(&old, "/sum?n=4").await.unwrap().contains("\"sum\":4"));
    assert!(ask(&old, "/page?value=a").await.unwrap().contains("error"));

    // What is wrong changes nothing, and the rest is read.
    std::fs::write(folder.path().join("server.pem"), "no certificate").unwrap();
    std::fs::write(&methods, r#"{"page": {}}"#).unwrap();
    signal(&child, Signal::HUP);
    until("cannot read certificates").await;
    until("files were read again").await;
    assert_eq!(ask(&old, "/page?value=a").await.unwrap(), "<h1>a</h1>");
    assert!(ask(&old, "/sum?n=4").await.unwrap().contains("error"));

    new.issue_local().write(folder.path(), "server").unwrap();
    std::fs::write(&methods, r#"{"gone": {}}"#).unwrap();
    signal(&child, Signal::HUP);
    until("no message fits").await;
    until("files were read again").await;
    assert_eq!(ask(&new, "/page?value=a").await.unwrap(), "<h1>a</h1>");
    assert!(
        ask(&old, "/page?value=a").await.is_err(),
        "its certificate is another's"
    );
    signal(&child, Signal::TERM);
    let status = soon("the end of the program", child.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn a_configuration_is_checked() {
    let proto = lab_proto();
    let check = async |arguments: &[&str]| {
        let all = ["--check-config", "--upstream", "tcp://127.0.0.1:1"];
        run(&[&all, arguments].concat()).await
    };
    let (code, said, _) = check(&["--schema", &proto]).await;
    assert_eq!((code, &*said), (0, "the configuration is valid\n"));
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.proto");
    std::fs::write(
        &broken,
        "syntax = \"proto3\"; package p; message ClientToServer {}",
    )
    .unwrap();
    let broken = broken.display().to_string();
    let bin = folder.path().join("broken.bin");
    std::fs::write(&bin, b"\xff\xff").unwrap();
    let bin = bin.display().to_string();
    for (arguments, told) in [
        (&["--schema", &broken][..], "error["),
        (&["--schema", &bin], "the descriptor set is malformed"),
        (&["--schema", "/nowhere/x.bin"], "/nowhere/x.bin"),
        (&["--schema", &proto, "--schema", &proto], "listening"),
        (
            &["--schema", &proto, "--listen", "tcp://127.0.0.1:1"],
            "a gateway listens at http://",
        ),
        (
            &["--schema", &proto, "--listen", "unix://here.sock"],
            "cannot listen at unix://here.sock",
        ),
        (
            &["--schema", &proto, "--listen", "http://0.0.0.0:1"],
            "without encryption",
        ),
        (&[], "--schema"),
    ] {
        let (code, said, complaint) = check(arguments).await;
        if told == "listening" {
            // A file that is named twice is read once.
            assert_eq!(code, 0, "{complaint}");
            continue;
        }
        assert_eq!((code, &*said), (2, ""), "{arguments:?}: {complaint}");
        assert!(complaint.contains(told), "{complaint}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("http://{}", taken.local_addr().unwrap());
    let proto = lab_proto();
    let (code, said, complaint) = run(&[
        "--listen",
        &listen,
        "--upstream",
        "tcp://127.0.0.1:1",
        "--schema",
        &proto,
    ])
    .await;
    assert_eq!((code, &*said), (1, ""));
    assert!(
        complaint.contains(&format!("cannot listen on {listen}")),
        "{complaint}"
    );
}
