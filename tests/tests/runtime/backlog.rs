//! Answers that a peer reads late: handlers wait for it, and two peers never wait for each other.

use std::time::Duration;

use msip_runtime::{CallError, CallOptions, Client, Peer, Server};
use msip_tests::{
    LabClient, LabServer, SeenByClient, SeenByServer, connected,
    lab::{ActReq, ActRsp, AskReq, AskRsp, Lab, SendClientToServer as _, SendServerToClient as _},
    soon,
};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};

/// How many calls each of two peers makes at once, and how long the answers are.
const CALLS: usize = 2000;
const ANSWER_LEN: usize = 64 * 1024;

/// When a peer that reads nothing is cut off; as long as nobody has to wait for it, it does not matter.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// A client and a server that talk.
struct Hall {
    client: Client<Lab>,
    peer: Peer<Lab>,
    client_events: mpsc::Receiver<SeenByClient>,
    server_events: mpsc::Receiver<SeenByServer>,
}

impl Hall {
    async fn open(url: &str) -> Self {
        let (handler, mut server_events) = LabServer::new();
        let server = Server::<Lab>::builder(url)
            .write_timeout(WRITE_TIMEOUT)
            .bind()
            .await
            .expect("binds");
        let url = server.local_url().to_string();
        tokio::spawn(server.serve(handler));
        let (handler, client_events) = LabClient::new();
        let client = Client::<Lab>::builder(url)
            .handler(handler)
            .write_timeout(WRITE_TIMEOUT)
            .connect()
            .await
            .expect("connects");
        let peer = connected(&mut server_events).await;
        Self {
            client,
            peer,
            client_events,
            server_events,
        }
    }

    /// Both call each other at once, and get all their answers, of this length.
    async fn call_each_other(&self, calls: usize, ask: impl Fn() -> (ActReq, AskReq), len: usize) {
        let options = CallOptions::new().timeout(Duration::from_secs(3600));
        let mut answers: JoinSet<Result<usize, CallError>> = JoinSet::new();
        for _ in 0..calls {
            let (act, question) = ask();
            let client = self.client.clone();
            let view = options.clone();
            answers.spawn(async move {
                let ActRsp { done } = client.with(view).act_req(act).await?;
                Ok(done.len())
            });
            let peer = self.peer.clone();
            let view = options.clone();
            answers.spawn(async move {
                let AskRsp { answer } = peer.with(view).ask_req(question).await?;
                Ok(answer.len())
            });
        }
        for answer in soon("all answers", answers.join_all()).await {
            assert_eq!(answer, Ok(len));
        }
    }

    /// Nobody was cut off meanwhile.
    fn assert_untouched(&mut self) {
        while let Ok(event) = self.client_events.try_recv() {
            assert!(!matches!(event, SeenByClient::Disconnected(_)), "{event:?}");
        }
        while let Ok(event) = self.server_events.try_recv() {
            assert!(!matches!(event, SeenByServer::Disconnected(_)), "{event:?}");
        }
    }
}

fn small_questions() -> (ActReq, AskReq) {
    let what = format!("answer {ANSWER_LEN}");
    (ActReq { what: what.clone() }, AskReq { question: what })
}

// The clock stands still but where everyone waits: where the peers wait for each other, it moves.
#[tokio::test(start_paused = true)]
async fn two_peers_that_owe_each_other_much_do_not_wait_for_each_other() {
    let mut hall = Hall::open("mem://owed-to-each-other").await;
    let begun = Instant::now();
    hall.call_each_other(CALLS, small_questions, ANSWER_LEN)
        .await;
    let waited = begun.elapsed();
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    hall.assert_untouched();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_peers_that_owe_each_other_much_do_so_over_sockets() {
    let mut hall = Hall::open("tcp://127.0.0.1:0").await;
    hall.call_each_other(CALLS, small_questions, ANSWER_LEN)
        .await;
    hall.assert_untouched();
}
