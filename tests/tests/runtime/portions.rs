//! The work limit: results of the first received messages are sent before the last ones are handled.

use std::{
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use msip_runtime::{
    CallError, Client, ClientToServer, Message, Peer, Server, ServerToClient, Status,
};
use msip_tests::soon;
use tokio::{sync::oneshot, task::JoinSet};

#[derive(Debug, Clone, PartialEq, ClientToServer)]
#[msip(protocol = "office")]
enum ClientToServer {
    #[msip(tag = 1)]
    WorkReq(Work),
}

#[derive(Debug, Clone, PartialEq, ServerToClient)]
enum ServerToClient {
    #[msip(tag = 1)]
    WorkRsp(Work),
}

#[derive(Debug, Clone, PartialEq, Message)]
struct Work {
    #[msip(tag = 1)]
    is_last: bool,
}

/// Answers at once, but for the last request: that one holds up the thread, as a handler does that computes.
struct Busy {
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl HandleClientToServer for Busy {
    async fn on_work_req(&self, _: &Peer<Office>, request: Work) -> Result<Work, Status> {
        if request.is_last {
            let go_on = self.go_on.lock().unwrap_or_else(PoisonError::into_inner);
            go_on
                .recv_timeout(Duration::from_secs(60))
                .map_err(|_| Status::internal("nobody had an answer before this one"))?;
        }
        Ok(request)
    }
}

/// A server on a thread of its own. It ends with the process.
fn serve(go_on: mpsc::Receiver<()>) -> oneshot::Receiver<String> {
    let (announce, url) = oneshot::channel();
    let handler = Busy {
        go_on: Mutex::new(go_on),
    };
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("there is a runtime");
        runtime.block_on(async {
            let server = Server::<Office>::bind("tcp://127.0.0.1:0")
                .await
                .expect("binds");
            announce
                .send(server.local_url().to_string())
                .expect("the test waits");
            server.serve(handler).await;
        });
    });
    url
}

/// One call, and whether its answer is the last one.
fn work(
    client: &Client<Office>,
    is_last: bool,
) -> impl Future<Output = Result<bool, CallError>> + use<> {
    let client = client.clone();
    async move {
        let answer = client.work_req(Work { is_last }).await?;
        Ok(answer.is_last)
    }
}

/// As many calls, which leave together.
const TOGETHER: usize = 1000;

#[tokio::test]
async fn the_first_calls_are_answered_before_the_last_is_handled() {
    let (go_on, wait) = mpsc::channel();
    let url = serve(wait).await.expect("the server lives");
    let client = Client::<Office>::connect(url).await.expect("connects");
    let mut calls = JoinSet::new();
    // The other side reads more at once while there is more.
    for _ in 0..5 {
        (0..TOGETHER).for_each(|_| {
            calls.spawn(work(&client, false));
        });
        while let Some(answer) = calls.join_next().await {
            answer.expect("no panic").expect("is answered");
        }
    }
    (1..TOGETHER).for_each(|_| {
        calls.spawn(work(&client, false));
    });
    calls.spawn(work(&client, true));
    let first = soon("an answer", calls.join_next()).await;
    let first = first.expect("there are calls").expect("no panic");
    assert!(!first.expect("is answered"), "it was asked last");
    go_on.send(()).expect("the server lives");
    while let Some(answer) = soon("the others", calls.join_next()).await {
        answer.expect("no panic").expect("is answered");
    }
}
