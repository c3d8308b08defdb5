//! Deadlines that are passed on: what a handler begins ends no later than what it is for, and no later than it would by
//! itself.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use msip_runtime::{
    CallError, CallOptions, Client, Peer, Server, Status, Stream, Streaming,
    middleware::{ExchangeContext, Middleware, Next},
};
use msip_tests::soon;
use tokio::sync::mpsc;

use limits::{
    HandleClientToServer, HandleServerToClient, Left, Limits, SendClientToServer as _,
    SendServerToClient as _, Word,
};

#[expect(unreachable_pub, reason = "as in a module of its own")]
mod limits {
    use msip_runtime::{ClientToServer, Message, ServerToClient};

    #[derive(Debug, Clone, PartialEq, ClientToServer)]
    #[msip(protocol = "limits")]
    pub enum ClientToServer {
        #[msip(tag = 1, timeout = "60s")]
        RunReq(Word),
        #[msip(tag = 2)]
        QuickRsp(Left),
        #[msip(tag = 3)]
        PlainRsp(Left),
        #[msip(tag = 4)]
        WatchRsp(Left),
        #[msip(tag = 5)]
        EndlessRsp(Left),
        #[msip(tag = 6)]
        GatherRsp(Left),
    }

    #[derive(Debug, Clone, PartialEq, ServerToClient)]
    pub enum ServerToClient {
        #[msip(tag = 1)]
        RunRsp(Left),
        #[msip(tag = 2, timeout = "1s")]
        QuickReq,
        #[msip(tag = 3)]
        PlainReq,
        #[msip(tag = 4, reply = STREAM, timeout = "1s")]
        WatchReq,
        #[msip(tag = 5, reply = STREAM)]
        EndlessReq,
        #[msip(tag = 6, request = STREAM, timeout = "1s")]
        GatherReq(Word),
        #[msip(tag = 7, reply = ACK, timeout = "1s")]
        SaveInd,
    }

    #[derive(Debug, Clone, PartialEq, Message)]
    pub struct Word {
        #[msip(tag = 1)]
        pub text: String,
    }

    /// What is left of a deadline, in milliseconds; 0 is none.
    #[derive(Debug, Clone, PartialEq, Message)]
    pub struct Left {
        #[msip(tag = 1)]
        pub ms: u64,
    }
}

fn left(remaining: Option<Duration>) -> Left {
    let ms = remaining.map_or(0, |left| left.as_millis().try_into().unwrap_or(u64::MAX));
    Left { ms }
}

/// A stream of one.
struct Once<T>(Option<T>);

impl<T: Unpin> Stream for Once<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(self.0.take())
    }
}

/// Passes the deadline of its call on to the client, in whatever way the call says.
struct Hub;

impl HandleClientToServer for Hub {
    async fn on_run_req(&self, peer: &Peer<Limits>, word: Word) -> Result<Left, Status> {
        let passed_on = CallOptions::from(peer.call());
        let peer_of_call = peer.with(peer.call());
        match word.text.as_str() {
            "quick" => Ok(peer_of_call.quick_req().await?),
            "quick, later" => {
                tokio::time::sleep(Duration::from_millis(300)).await;
                Ok(peer_of_call.quick_req().await?)
            }
            "quick, within 45 s" => Ok(peer
                .with(passed_on.timeout(Duration::from_secs(45)))
                .quick_req()
                .await?),
            "quick, within 10 ms" => {
                let options = passed_on.timeout(Duration::from_millis(10));
                Ok(peer.with(options).quick_req().await?)
            }
            "plain" => Ok(peer_of_call.plain_req().await?),
            "watch" => first(peer_of_call.watch_req().await?).await,
            "endless" => first(peer_of_call.endless_req().await?).await,
            "gather" => {
                let words = Once(Some(word.clone()));
                Ok(peer_of_call.gather_req(words).await?)
            }
            "save" => {
                peer_of_call.save_ind().await?;
                Ok(left(None))
            }
            what => Err(Status::invalid_argument(format!("`{what}`?"))),
        }
    }
}

async fn first(mut answers: Streaming<Left>) -> Result<Left, Status> {
    match answers.next().await {
        Some(answer) => Ok(answer?),
        None => Err(Status::internal("no answer")),
    }
}

/// Answers with what is left of its own deadline.
struct Device(mpsc::Sender<Left>);

impl HandleServerToClient for Device {
    async fn on_quick_req(&self, client: &Client<Limits>) -> Result<Left, Status> {
        Ok(left(client.call().remaining()))
    }

    async fn on_plain_req(&self, client: &Client<Limits>) -> Result<Left, Status> {
        Ok(left(client.call().remaining()))
    }

    async fn on_watch_req(
        &self,
        client: &Client<Limits>,
    ) -> Result<impl Stream<Item = Result<Left, Status>> + Send + 'static, Status> {
        let left = left(client.call().remaining());
        Ok(Once(Some(Ok(left))))
    }

    async fn on_endless_req(
        &self,
        client: &Client<Limits>,
    ) -> Result<impl Stream<Item = Result<Left, Status>> + Send + 'static, Status> {
        let left = left(client.call().remaining());
        Ok(Once(Some(Ok(left))))
    }

    async fn on_gather_req(
        &self,
        client: &Client<Limits>,
        mut requests: Streaming<Word>,
    ) -> Result<Left, Status> {
        while requests.next().await.is_some() {}
        Ok(left(client.call().remaining()))
    }

    async fn on_save_ind(&self, client: &Client<Limits>) -> Result<(), Status> {
        let sent = self.0.send(left(client.call().remaining())).await;
        sent.map_err(|_| Status::internal("nobody listens"))
    }
}

/// Does nothing: what goes through middleware takes another path.
#[derive(Debug)]
struct Nothing;

impl Middleware for Nothing {
    async fn handle(
        &self,
        exchange: &mut ExchangeContext,
        mut next: Next<'_>,
    ) -> Result<(), CallError> {
        next.run(exchange).await
    }
}

struct Fleet {
    client: Client<Limits>,
    saved: mpsc::Receiver<Left>,
}

impl Fleet {
    async fn connect(name: &str, with_middleware: bool) -> Self {
        let mut server = Server::<Limits>::builder(format!("mem://{name}"));
        if with_middleware {
            server = server.outgoing(Nothing);
        }
        let server = server.bind().await.expect("binds");
        let url = server.local_url().to_string();
        tokio::spawn(server.serve(Hub));
        let (sender, saved) = mpsc::channel(8);
        let client = Client::<Limits>::builder(url).handler(Device(sender));
        let client = client.connect().await.expect("connects");
        Self { client, saved }
    }

    /// What the device has left of a call that is made within one that has `timeout`.
    async fn left(&self, what: &str, timeout: Option<u64>) -> u64 {
        let mut options = CallOptions::new();
        if let Some(ms) = timeout {
            options = options.timeout(Duration::from_millis(ms));
        }
        let text = what.to_owned();
        let answer = soon(
            "an answer",
            self.client.with(options).run_req(Word { text }),
        )
        .await;
        answer.expect("answered").ms
    }
}

/// The clock stands still while anything runs, so that what is left is exact.
#[tokio::test(start_paused = true)]
async fn the_smaller_of_the_schemas_limit_and_what_is_left_holds() {
    for with_middleware in [false, true] {
        let name = format!("smaller-limit-{with_middleware}");
        let mut fleet = Fleet::connect(&name, with_middleware).await;
        for (what, timeout, expected) in [
            ("quick", None, 1000),
            ("quick", Some(30_000), 1000),
            ("quick", Some(400), 400),
            ("quick, later", Some(30_000), 1000),
            ("quick, later", Some(1000), 700),
            ("quick, within 45 s", None, 45_000),
            ("quick, within 45 s", Some(2000), 2000),
            ("quick, within 10 ms", None, 10),
            // By the default of 30 s.
            ("plain", None, 30_000),
            ("plain", Some(2000), 2000),
            ("watch", None, 1000),
            ("watch", Some(400), 400),
            // Nothing but the caller's deadline ends it.
            ("endless", None, 60_000),
            ("endless", Some(400), 400),
            ("gather", None, 1000),
            ("gather", Some(400), 400),
        ] {
            let left = fleet.left(what, timeout).await;
            assert_eq!(
                left, expected,
                "{what} within {timeout:?}, {with_middleware}"
            );
        }
        fleet.left("save", None).await;
        let left = fleet.saved.recv().await.expect("saved");
        assert_eq!(left.ms, 0, "by no other limit than the schema's");
        fleet.left("save", Some(400)).await;
        let left = fleet.saved.recv().await.expect("saved");
        assert_eq!(left.ms, 400);
    }
}
