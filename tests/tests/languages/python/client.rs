//! A client in Python talks to servers in Rust.

use msip_runtime::{Identity, Server, Status, transport::ServiceUrl};
use msip_tests::{
    Authority, LabServer, SeenByServer, ServerProcess, THROUGH_A_BROKER, lab::Lab, next,
    proxy::Proxy, soon,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{ChildStdin, ChildStdout},
    sync::mpsc,
};

use super::programs::{program, said};

/// Serves at these URLs in a task that the test's runtime ends. Returns where it listens.
async fn serve(urls: &[String], authority: Option<&Authority>) -> Vec<String> {
    let (first, others) = urls.split_first().expect("a URL");
    let mut builder = Server::<Lab>::builder(first);
    for url in others {
        builder = builder.also(url);
    }
    if let Some(authority) = authority {
        builder = builder.tls(authority.issue_local().server_tls());
    }
    let server = builder.bind().await.expect("listens");
    let urls = server.local_urls().map(ToString::to_string).collect();
    let (handler, mut events) = LabServer::new();
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    tokio::spawn(server.serve(handler));
    urls
}

/// The URL with this setting.
fn with(url: &str, setting: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{setting}")
}

#[tokio::test]
async fn every_transport_and_codec() {
    let Some(mut command) = program("lab_talk.py") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("authority");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("a file");
    let socket = folder.path().join("lab.sock");
    let urls = [
        "tcp://127.0.0.1:0".to_owned(),
        format!("unix://{}", socket.display()),
        "ws://127.0.0.1:0/lab".to_owned(),
        "tls://127.0.0.1:0".to_owned(),
        "wss://127.0.0.1:0/lab".to_owned(),
    ];
    let listening = serve(&urls, Some(&authority)).await;
    let secured = listening.iter().map(|url| match url {
        url if url.starts_with("tls") || url.starts_with("wss") => {
            with(url, &format!("ca={}", ca.display()))
        }
        url => url.clone(),
    });
    let first = listening.first().expect("a URL");
    let codecs = ["codec=json", "codec=msgpack&compress=gzip", "compress=gzip"];
    let targets: Vec<String> = secured
        .chain(codecs.iter().map(|codec| with(first, codec)))
        .collect();
    let output = said(command.args(&targets)).await;
    assert_eq!(output, "ok\n".repeat(targets.len()));
}

#[tokio::test]
async fn the_same_through_a_broker() {
    let Some(mut command) = program("lab_talk.py") else {
        return;
    };
    let (handler, mut events) = LabServer::new();
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    let place = format!("{THROUGH_A_BROKER}tcp://127.0.0.1:0");
    let (url, _serving) = msip_tests::serve::<Lab, _>(&place, handler).await;
    assert_eq!(said(command.arg(url.to_string())).await, "ok\n");
}

/// A Python client that saves what it is told to, line by line.
struct Saver {
    child: tokio::process::Child,
    input: ChildStdin,
    output: tokio::io::Lines<BufReader<ChildStdout>>,
}

impl Saver {
    fn start(url: &str) -> Option<Self> {
        let mut command = program("lab_saver.py")?;
        let mut child = command
            .arg(url)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("the program runs");
        let input = child.stdin.take().expect("its input is piped");
        let output = child.stdout.take().expect("its output is piped");
        Some(Self {
            child,
            input,
            output: BufReader::new(output).lines(),
        })
    }

    async fn line(&mut self) -> String {
        let line = soon("a line of the client", self.output.next_line()).await;
        line.expect("it can be read").expect("the client goes on")
    }

    async fn until(&mut self, line: &str) {
        while self.line().await != line {}
    }

    async fn tell(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.input.write_all(line.as_bytes()).await.expect("told");
    }

    async fn end(mut self) {
        drop(self.input);
        let status = soon("its end", self.child.wait()).await.expect("ended");
        assert!(status.success(), "{status}");
    }
}

/// The saves that a server has seen, until this one.
async fn saves_until(events: &mut mpsc::Receiver<SeenByServer>, last: u64) -> Vec<u64> {
    let mut saves = Vec::new();
    while saves.last() != Some(&last) {
        if let SeenByServer::Save(number) = next(events).await {
            saves.push(number);
        }
    }
    saves
}

#[tokio::test]
async fn what_is_saved_over_connections_that_are_cut_is_saved_once() {
    let server = Server::<Lab>::builder("tcp://127.0.0.1:0")
        .bind()
        .await
        .expect("listens");
    let address = server.local_url().address().authority().to_owned();
    let (handler, mut events) = LabServer::new();
    tokio::spawn(server.serve(handler));
    let proxy = Proxy::start(address.parse().expect("an address")).await;
    let url = with(&proxy.url(), "reconnect_min=1ms&reconnect_max=20ms");
    let Some(mut saver) = Saver::start(&url) else {
        return;
    };
    saver.until("connected").await;
    saver.tell("100 399").await;
    for cut in 1..=5 {
        saver.until(&format!("saved {}", 100 + cut * 50)).await;
        proxy.cut();
        saver.until("connected").await;
    }
    saver.until("saved 399").await;
    let saves = saves_until(&mut events, 399).await;
    assert_eq!(saves, (100..=399).collect::<Vec<u64>>());
    saver.end().await;
}

#[tokio::test]
async fn a_server_that_is_killed_or_stalls_is_found_out_and_another_one_taken() {
    let start = || async {
        let command = tokio::process::Command::new(env!("CARGO_BIN_EXE_lab-server"));
        ServerProcess::start(command).await
    };
    let mut first = start().await;
    let proxy = Proxy::start(first.address().parse().expect("an address")).await;
    let settings = "reconnect_min=1ms&reconnect_max=20ms&ping_interval=100ms";
    let Some(mut saver) = Saver::start(&with(&proxy.url(), settings)) else {
        return;
    };
    saver.until("connected").await;
    saver.tell("1 1").await;
    saver.until("saved 1").await;

    // Killed: its sessions are gone with it.
    first.child.kill().await.expect("killed");
    saver.until("disconnected").await;
    let second = start().await;
    proxy.aim(second.address().parse().expect("an address"));
    saver.until("session lost").await;
    saver.until("connected").await;
    saver.tell("2 2").await;
    saver.until("saved 2").await;

    // Stopped: it says nothing, and closes nothing.
    let stopped = second.child.id().expect("it runs");
    let pid =
        rustix::process::Pid::from_raw(i32::try_from(stopped).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).expect("stopped");
    saver.until("disconnected").await;
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).expect("continued");
    saver.until("connected").await;
    saver.tell("3 3").await;
    saver.until("saved 3").await;
    saver.end().await;
}

#[tokio::test]
async fn a_credential_that_is_refused_and_one_that_is_not() {
    let server = Server::<Lab>::builder("tcp://127.0.0.1:0")
        .authenticate(|client: msip_runtime::ConnectRequest| async move {
            match client.credential() {
                b"open sesame" => Ok(Identity::new("secret").with_user("ali")),
                _ => Err(Status::unauthenticated("another word")),
            }
        })
        .bind()
        .await
        .expect("listens");
    let url: ServiceUrl = server.local_url().clone();
    let (handler, mut events) = LabServer::new();
    tokio::spawn(server.serve(handler));
    let url = with(&url.to_string(), "token_env=LAB_SECRET");
    let Some(mut command) = program("lab_talk.py") else {
        return;
    };
    tokio::spawn(async move { while events.recv().await.is_some() {} });
    assert_eq!(
        said(command.arg(&url).env("LAB_SECRET", "open sesame")).await,
        "ok\n"
    );
    let mut refused = program("lab_talk.py").expect("there is Python");
    let output = refused.arg(&url).env("LAB_SECRET", "open barley").output();
    let output = soon("the refusal", output).await.expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("UNAUTHENTICATED: refused by tcp://127.0.0.1:"),
        "{said}"
    );
    assert!(!said.contains("barley"), "{said}");
}
