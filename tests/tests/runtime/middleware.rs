//! Middleware around exchanges of every shape, on both sides.

use std::time::Duration;

use msip_runtime::{
    CallError, CallOptions, Client, Code, Peer, SendError, Server, Status, Stream,
    middleware::{Direction, ExchangeContext, Middleware, Next, Timeout},
};
use msip_tests::{
    LabClient, LabServer, Recorder, SeenByClient, SeenByServer, advance,
    lab::{
        AskReq, EchoReq, Lab, NoteInd, SaveInd, SendClientToServer as _, SendServerToClient as _,
        ShoutReq, SumReq,
    },
    messages::{act, count},
    recorder, soon,
};
use tokio::sync::mpsc;

/// Reports each exchange, once it has a result.
struct Spy {
    side: &'static str,
    seen: Recorder<String>,
}

impl Middleware for Spy {
    async fn handle(
        &self,
        exchange: &mut ExchangeContext,
        mut next: Next<'_>,
    ) -> Result<(), CallError> {
        let outcome = next.run(exchange).await;
        let code = match &outcome {
            Ok(()) => "OK",
            Err(error) => error.code().name(),
        };
        let told = format!(
            "{} {} {} {} {} {} {code} {:?}",
            self.side,
            exchange.direction().name(),
            exchange.message(),
            exchange.shape().name(),
            exchange.peer().is_some(),
            exchange.body_len(),
            exchange.answer_len(),
        );
        self.seen.record(told);
        outcome
    }
}

/// A server and a client of it, with these middleware; the server's own comes from `server`.
struct Hall {
    client: Client<Lab>,
    peer: Peer<Lab>,
    events: mpsc::Receiver<SeenByServer>,
    told: mpsc::Receiver<SeenByClient>,
}

impl Hall {
    async fn open(
        url: &str,
        server: impl FnOnce(msip_runtime::ServerBuilder<Lab>) -> msip_runtime::ServerBuilder<Lab>,
        client: impl FnOnce(
            msip_runtime::ClientBuilder<Lab, LabClient>,
        ) -> msip_runtime::ClientBuilder<Lab, LabClient>,
    ) -> Self {
        let server = server(Server::<Lab>::builder(url))
            .bind()
            .await
            .expect("binds");
        let url = server.local_url().to_string();
        let (handler, mut events) = LabServer::new();
        tokio::spawn(server.serve(handler));
        let (handler, told) = LabClient::new();
        let client = client(Client::<Lab>::builder(url).handler(handler));
        let client = client.connect().await.expect("connects");
        let SeenByServer::Connected(peer) = soon("a client", events.recv()).await.expect("lives")
        else {
            panic!("another event")
        };
        Self {
            client,
            peer,
            events,
            told,
        }
    }
}

/// A stream of these.
fn stream<T: Send + Unpin + 'static>(
    items: impl Into<Vec<T>>,
) -> impl Stream<Item = T> + Send + 'static {
    struct Items<T>(std::vec::IntoIter<T>);
    impl<T: Unpin> Stream for Items<T> {
        type Item = T;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<T>> {
            std::task::Poll::Ready(self.0.next())
        }
    }
    Items(items.into().into_iter())
}

#[tokio::test]
async fn every_shape_passes_on_both_sides() {
    let (seen, mut lines) = recorder();
    let spy = |side| Spy {
        side,
        seen: seen.clone(),
    };
    let Hall { client, peer, .. } = Hall::open(
        "mem://every-shape-passes",
        |server| server.incoming(spy("server")).outgoing(spy("server")),
        |client| client.incoming(spy("client")).outgoing(spy("client")),
    )
    .await;
    client.echo_req(EchoReq::default()).await.expect("answers");
    let note = NoteInd {
        number: 300,
        ..NoteInd::default()
    };
    client.note_ind(note.clone()).await.expect("sent");
    client.try_alarm_ind(note.clone()).expect("sent");
    let acked = CallOptions::new().ack();
    client
        .with(acked)
        .note_ind(note.clone())
        .await
        .expect("handled");
    client
        .save_ind(SaveInd { number: 1 })
        .await
        .expect("handled");
    client.act_req(act("fail")).await.expect_err("fails");
    let mut answers = client.count_req(count(0, 3)).await.expect("begins");
    let mut numbers = Vec::new();
    while let Some(answer) = answers.next().await {
        numbers.push(answer.expect("goes well").number);
    }
    assert_eq!(numbers, [0, 1, 2]);
    let sum = client
        .sum_req(stream([SumReq { number: 2 }, SumReq { number: 3 }]))
        .await;
    assert_eq!(sum.expect("adds").sum, 5);
    let words = [ShoutReq { text: "hi".into() }];
    let mut shouts = client.shout_req(stream(words)).await.expect("begins");
    assert_eq!(shouts.next().await.expect("one").expect("well").text, "HI");
    assert!(shouts.next().await.is_none());
    peer.ask_req(AskReq::default()).await.expect("answers");
    peer.note_ind(note).await.expect("sent");
    peer.save_ind(SaveInd { number: 1 }).await.expect("handled");
    let mut told = Vec::new();
    for _ in 0..24 {
        told.push(soon("a line", lines.recv()).await.expect("lives"));
    }
    told.sort_unstable();
    let both = |message: &str, shape: &str, body: &str, end: &str| {
        // From a client, and at its server.
        vec![
            format!("client outgoing {message} {shape} false {} {end}", body),
            format!("server incoming {message} {shape} true {} {end}", body),
        ]
    };
    let back = |message: &str, shape: &str, body: &str, end: &str| {
        vec![
            format!("client incoming {message} {shape} false {} {end}", body),
            format!("server outgoing {message} {shape} true {} {end}", body),
        ]
    };
    let mut expected = [
        both("echo_req", "call", "2", "OK Some(2)"),
        both("note_ind", "one_way", "5", "OK None"),
        both("alarm_ind", "one_way", "5", "OK None"),
        both("note_ind", "delivery", "5", "OK None"),
        both("save_ind", "delivery", "4", "OK None"),
        both("act_req", "call", "8", "NOT_FOUND None"),
        both("count_req", "response_stream", "4", "OK None"),
        both("sum_req", "request_stream", "0", "OK Some(4)"),
        both("shout_req", "both_streams", "0", "OK None"),
        back("ask_req", "call", "2", "OK Some(7)"),
        back("note_ind", "one_way", "5", "OK None"),
        back("save_ind", "delivery", "4", "OK None"),
    ]
    .concat();
    expected.sort_unstable();
    assert_eq!(told, expected);
}

/// Lets nothing in, or nothing out.
struct Wall;

impl Middleware for Wall {
    async fn handle(&self, exchange: &mut ExchangeContext, _: Next<'_>) -> Result<(), CallError> {
        let text = format!("no {}", exchange.message());
        Err(exchange.refuse(Status::permission_denied(text)))
    }
}

#[tokio::test]
async fn what_is_refused_reaches_no_handler_and_is_told() {
    let Hall {
        client, mut events, ..
    } = Hall::open(
        "mem://refused",
        |server| server.incoming(Wall),
        |client| client,
    )
    .await;
    let told = |what: &str| Status::permission_denied(format!("no {what}"));
    let refused = client.echo_req(EchoReq::default()).await;
    assert_eq!(refused, Err(CallError::Status(told("echo_req"))));
    let refused = client.save_ind(SaveInd::default()).await;
    assert_eq!(refused, Err(CallError::Status(told("save_ind"))));
    client.note_ind(NoteInd::default()).await.expect("sent");
    let mut answers = client.count_req(count(0, 3)).await.expect("begins");
    let refused = answers
        .next()
        .await
        .expect("an error")
        .expect_err("refused");
    assert_eq!(refused, CallError::Status(told("count_req")));
    let refused = client.sum_req(stream([SumReq { number: 1 }])).await;
    assert_eq!(refused, Err(CallError::Status(told("sum_req"))));
    client.close().await;
    let next = soon("the end", events.recv()).await.expect("lives");
    assert!(matches!(next, SeenByServer::Disconnected(_)), "{next:?}");
}

#[tokio::test]
async fn what_is_not_let_out_is_not_sent() {
    let Hall {
        client, mut events, ..
    } = Hall::open(
        "mem://not-let-out",
        |server| server,
        |client| client.outgoing(Wall),
    )
    .await;
    let refused = |what: &str| SendError::Refused(Status::permission_denied(format!("no {what}")));
    let echo = client.echo_req(EchoReq::default()).await;
    assert_eq!(echo, Err(CallError::NotSent(refused("echo_req"))));
    let note = client.note_ind(NoteInd::default()).await;
    assert_eq!(note, Err(refused("note_ind")));
    let note = client.try_note_ind(NoteInd::default());
    assert_eq!(note, Err(refused("note_ind")));
    let note = client
        .with(CallOptions::new().ack())
        .note_ind(NoteInd::default())
        .await;
    assert_eq!(note, Err(refused("note_ind")));
    let save = client.save_ind(SaveInd::default()).await;
    assert_eq!(save, Err(CallError::NotSent(refused("save_ind"))));
    let count = client.count_req(count(0, 3)).await.expect_err("refused");
    assert_eq!(count, CallError::NotSent(refused("count_req")));
    let sum = client.sum_req(stream([SumReq { number: 1 }])).await;
    assert_eq!(sum, Err(CallError::NotSent(refused("sum_req"))));
    let shout = client.shout_req(stream([])).await.expect_err("refused");
    assert_eq!(shout, CallError::NotSent(refused("shout_req")));
    client.close().await;
    let next = soon("the end", events.recv()).await.expect("lives");
    assert!(matches!(next, SeenByServer::Disconnected(_)), "{next:?}");
}

#[tokio::test]
async fn a_stream_is_given_up_in_the_middle_of_it() {
    let limit = Duration::from_secs(10);
    let Hall { client, .. } = Hall::open(
        "mem://given-up",
        |server| server,
        |client| client.outgoing(Timeout::new(limit).with_streams()),
    )
    .await;
    let mut answers = client.count_req(count(0, 0)).await.expect("begins");
    let first = soon("an answer", answers.next()).await;
    first.expect("it has no end").expect("in time");
    advance(limit).await;
    let error = loop {
        match soon("an answer", answers.next()).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("it has no end"),
        }
    };
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
    assert!(
        answers.next().await.is_none(),
        "nothing comes after an error"
    );
}

/// Fails in its own way.
struct Odd;

impl Middleware for Odd {
    async fn handle(
        &self,
        exchange: &mut ExchangeContext,
        mut next: Next<'_>,
    ) -> Result<(), CallError> {
        if exchange.direction() == Direction::Outgoing {
            return next.run(exchange).await;
        }
        match exchange.message() {
            "echo_req" => panic!("on purpose"),
            "act_req" => Ok(()),
            "save_ind" => {
                next.run(exchange).await?;
                next.run(exchange).await
            }
            _ => next.run(exchange).await,
        }
    }
}

#[tokio::test]
async fn a_middleware_that_misbehaves_hurts_its_exchange_alone() {
    let Hall {
        client,
        peer,
        mut told,
        ..
    } = Hall::open(
        "mem://misbehaves",
        |server| server.incoming(Odd),
        |client| client.incoming(Odd).outgoing(Odd),
    )
    .await;
    let internal = |text: &'static str| CallError::Status(Status::internal(text));
    let echo = client.echo_req(EchoReq::default()).await;
    assert_eq!(echo, Err(internal("the handler panicked")));
    let acted = client.act_req(act("fail")).await;
    let text = "a middleware let a call succeed without an answer";
    assert_eq!(acted, Err(internal(text)));
    let twice = CallError::Status(Status::failed_precondition(
        "a handler runs once: a middleware tried it again",
    ));
    assert_eq!(
        client.save_ind(SaveInd::default()).await,
        Err(twice.clone())
    );
    assert_eq!(peer.save_ind(SaveInd { number: 7 }).await, Err(twice));
    loop {
        match soon("what was saved", told.recv()).await.expect("lives") {
            SeenByClient::Save(number) => break assert_eq!(number, 7),
            SeenByClient::Connected => {}
            event => panic!("{event:?}"),
        }
    }
    let sum = client.sum_req(stream([SumReq { number: 1 }])).await;
    assert_eq!(sum.expect("adds").sum, 1);
}
