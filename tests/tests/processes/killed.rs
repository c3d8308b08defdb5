//! A broker, or a service behind it, is killed between a call and its answer.

use std::{
    net::SocketAddr,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use msip_runtime::{CallOptions, Client, Code, Server, Status};
use msip_tests::{
    LabServer, Recorder, SeenByServer,
    lab::{AskReq, AskRsp, HandleServerToClient, Lab, SaveInd, SendClientToServer as _},
    messages::{act, echo},
    next,
    proxy::Proxy,
    recorder, soon,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// Starts a process, and returns what it says first.
async fn start(command: &mut Command) -> (Child, String) {
    let spawned = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = spawned.expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let line = soon("the first word of a process", lines.next_line()).await;
    (child, line.expect("text").expect("it says something"))
}

async fn start_broker() -> (Child, SocketAddr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_journal-broker"));
    let (child, line) = start(command.arg("tcp://127.0.0.1:0")).await;
    let address = line.trim_start_matches("tcp://").parse();
    (child, address.expect("an address"))
}

/// A service that asks its client something for `act("ask")`, before it answers.
async fn start_service(address: SocketAddr, folder: &tempfile::TempDir, name: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_journal-server"));
    command
        .arg(format!("tcp://{address}/lab"))
        .arg(folder.path().join(name));
    start(&mut command).await.0
}

/// Tells when it is asked, and answers from the third time on.
struct Asked(Recorder<()>, AtomicUsize);

impl HandleServerToClient for Asked {
    async fn on_ask_req(&self, _: &Client<Lab>, _: AskReq) -> Result<AskRsp, Status> {
        let before = self.1.fetch_add(1, Relaxed);
        self.0.record(());
        if before < 2 {
            std::future::pending::<()>().await;
        }
        Ok(AskRsp {
            answer: "me".to_owned(),
        })
    }

    async fn on_save_ind(&self, _: &Client<Lab>, _: SaveInd) -> Result<(), Status> {
        Ok(())
    }
}

#[tokio::test]
async fn a_call_in_a_service_that_is_killed_is_unknown_and_an_idempotent_one_goes_to_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_broker, address) = start_broker().await;
    let mut first = start_service(address, &folder, "first").await;
    let (tell, mut asked) = recorder();
    let client = Client::<Lab>::builder(format!("tcp://{address}/lab"))
        .handler(Asked(tell, AtomicUsize::new(0)))
        .connect()
        .await
        .expect("connects");
    let call = |options: CallOptions| {
        let client = client.clone();
        tokio::spawn(async move { client.with(options).act_req(act("ask")).await })
    };
    let once = call(CallOptions::new());
    next(&mut asked).await;
    let repeatable = call(CallOptions::new().idempotent());
    next(&mut asked).await;
    // Both are between their request and their answer.
    let _second = start_service(address, &folder, "second").await;
    first.kill().await.expect("it runs");
    let outcome = soon("an outcome", once).await.expect("no panic");
    assert_eq!(outcome.expect_err("nobody answers").code(), Code::Unknown);
    let outcome = soon("an outcome", repeatable).await.expect("no panic");
    assert_eq!(outcome.expect("answered by the other").done, "me");
    next(&mut asked).await;
    assert!(asked.try_recv().is_err(), "the other call is not repeated");
}

#[tokio::test]
async fn a_call_through_a_broker_that_is_killed_is_unknown_and_both_ends_go_on_with_the_next() {
    let (mut broker, address) = start_broker().await;
    let proxy = Proxy::start(address).await;
    let url = format!("{}/lab?reconnect_max=20ms", proxy.url());
    let (handler, mut seen) = LabServer::new();
    let service = Server::<Lab>::attach(&url, handler).await.expect("serves");
    let client = Client::<Lab>::connect(&url).await.expect("connects");
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.act_req(act("hang")).await }
    });
    assert!(matches!(next(&mut seen).await, SeenByServer::Connected(_)));
    assert!(matches!(next(&mut seen).await, SeenByServer::Act(_)));
    broker.kill().await.expect("it runs");
    let (_next, address) = start_broker().await;
    proxy.aim(address);
    let outcome = soon("an outcome", call).await.expect("no panic");
    assert_eq!(outcome.expect_err("nobody answers").code(), Code::Unknown);
    // The handler is told too, and that its client has gone.
    let told = [next(&mut seen).await, next(&mut seen).await];
    let is_dropped = |event: &SeenByServer| matches!(event, SeenByServer::Dropped(_));
    let is_gone = |event: &SeenByServer| matches!(event, SeenByServer::Disconnected(_));
    assert!(
        told.iter().any(is_dropped) && told.iter().any(is_gone),
        "{told:?}"
    );
    loop {
        match soon("an answer", client.echo_req(echo("again"))).await {
            Ok(answer) => break assert_eq!(answer.text, "again"),
            // The client is there before the service, or neither is.
            Err(error) => assert_eq!(error.code(), Code::Unavailable, "{error}"),
        }
        tokio::task::yield_now().await;
    }
    soon("the end", service.shutdown()).await;
}
