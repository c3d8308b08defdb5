//! Tests of `msip_runtime::testing`: recorders, stub peers and clients, pairs.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use msip_runtime::{
    CallError, CallOptions, Client, Code, Codec, ConnectionState, MetadataError, SendError, Status,
    Stream,
    testing::{self, Answer, ClientRecorder, Pair, PeerRecorder, stream_of, streaming},
};
use msip_tests::{
    LabServer, SeenByServer,
    lab::{
        AskReq, AskRsp, BroadcastServerToClient as _, ClientToServer, CountReq, CountRsp, EchoRsp,
        HandleClientToServer as _, Lab, NoteInd, SaveInd, SendClientToServer, SendServerToClient,
        ServerToClient, ShoutReq, ShoutRsp, SumReq, SumRsp,
    },
    messages::{echo, note},
    soon,
};

fn echoed(text: &str) -> ServerToClient {
    ServerToClient::EchoRsp(EchoRsp {
        text: text.to_owned(),
        ballast: Default::default(),
    })
}

fn shout(text: &str) -> ShoutReq {
    ShoutReq {
        text: text.to_owned(),
    }
}

fn status_of(error: &CallError) -> &Status {
    match error {
        CallError::Status(status) => status,
        other => panic!("{other}"),
    }
}

/// What each way of sending does, whichever stub takes the peer's place.
async fn says_everything(server: &impl SendClientToServer) {
    server.note_ind(note(1)).await.expect("sent");
    server.try_note_ind(note(2)).expect("sent");
    server.tick_ind().await.expect("sent");
    server
        .save_ind(SaveInd { number: 3 })
        .await
        .expect("acknowledged");
    let answer = server.echo_req(echo("four")).await.expect("answered");
    assert_eq!(answer.text, "4");
    let request = CountReq {
        from: 5,
        to: 7,
        ballast_len: 0,
    };
    let mut numbers = server.count_req(request).await.expect("sent");
    let mut counted = Vec::new();
    while let Some(number) = numbers.next().await {
        counted.push(number.expect("a number").number);
    }
    assert_eq!(counted, [5, 6]);
    let sum = server
        .sum_req(stream_of([8, 9].map(|number| SumReq { number })))
        .await
        .expect("answered");
    assert_eq!(sum.sum, 17);
    let mut shouts = server
        .shout_req(stream_of(["ten", "eleven"].map(shout)))
        .await
        .expect("sent");
    let mut heard = Vec::new();
    while let Some(answer) = shouts.next().await {
        heard.push(answer.expect("a shout").text);
    }
    assert_eq!(heard, ["TEN", "ELEVEN"]);
}

/// Answers to [`says_everything`], from a function that sees each request.
fn answers() -> impl FnMut(&ClientToServer) -> Answer<ServerToClient> + Send + 'static {
    let mut sum = 0;
    move |message| match message {
        ClientToServer::EchoReq(_) => echoed("4").into(),
        ClientToServer::CountReq(request) => Answer::items(
            (request.from..request.to)
                .map(|number| {
                    ServerToClient::CountRsp(CountRsp {
                        number,
                        ballast: Default::default(),
                    })
                })
                .collect::<Vec<_>>(),
        ),
        ClientToServer::SumReq(request) => {
            sum += request.number;
            if sum < 17 {
                return Answer::nothing();
            }
            ServerToClient::SumRsp(SumRsp { sum }).into()
        }
        ClientToServer::ShoutReq(request) => ServerToClient::ShoutRsp(ShoutRsp {
            text: request.text.to_uppercase(),
        })
        .into(),
        _ => Answer::nothing(),
    }
}

fn names(sent: &[ClientToServer]) -> Vec<u16> {
    sent.iter().map(ClientToServer::variant).collect()
}

#[tokio::test]
async fn a_recorder_and_a_test_client_take_every_shape() {
    let expected = [2, 2, 4, 3, 1, 8, 9, 9, 10, 10];
    let recorder = ClientRecorder::<Lab>::new();
    recorder.answer_with(answers());
    says_everything(&recorder).await;
    assert_eq!(names(&recorder.take_sent()), expected);
    assert!(recorder.take_sent().is_empty(), "taken is taken");

    let client = testing::client::<Lab>();
    client.answer_with(answers());
    soon("everything is said", says_everything(&*client)).await;
    assert_eq!(names(&client.take_sent()), expected);
}

#[tokio::test]
async fn queued_answers_go_to_the_calls_that_they_fit() {
    let recorder = ClientRecorder::<Lab>::new();
    recorder.answer(ServerToClient::SumRsp(SumRsp { sum: 3 }));
    recorder.answer(Answer::items([ServerToClient::ShoutRsp(ShoutRsp {
        text: "HEY".to_owned(),
    })]));
    recorder.answer(echoed("one"));
    recorder.answer(echoed("two"));
    for text in ["one", "two"] {
        let answer = recorder.echo_req(echo(text)).await.expect("answered");
        assert_eq!(answer.text, text);
    }
    assert_eq!(recorder.answers_left(), 2);
    let requests = stream_of([1, 2].map(|number| SumReq { number }));
    assert_eq!(recorder.sum_req(requests).await.expect("answered").sum, 3);
    let mut shouts = recorder
        .shout_req(stream_of(["a", "b", "c"].map(shout)))
        .await
        .expect("sent");
    assert_eq!(
        shouts.next().await.expect("one").expect("a shout").text,
        "HEY"
    );
    assert!(shouts.next().await.is_none());
    assert_eq!(recorder.answers_left(), 0);
    assert_eq!(names(&recorder.take_sent()), [1, 1, 9, 9, 10, 10, 10]);
}

#[tokio::test]
async fn a_call_without_an_answer_says_what_to_do() {
    let recorder = ClientRecorder::<Lab>::new();
    recorder.answer(ServerToClient::SumRsp(SumRsp { sum: 3 }));
    let error = recorder.echo_req(echo("?")).await.expect_err("no answer");
    assert_eq!(
        error.to_string(),
        "UNIMPLEMENTED: the test has no answer to `echo_req`: queue a `echo_rsp` with `answer`, or return it from `answer_with` (queued, but not valid answers to it: sum_rsp)"
    );
    let mut shouts = recorder
        .shout_req(stream_of([shout("a")]))
        .await
        .expect("sent");
    let error = shouts
        .next()
        .await
        .expect("an item")
        .expect_err("no answer");
    assert_eq!(error.code(), Code::Unimplemented);
    let peer = testing::peer::<Lab>();
    let question = AskReq {
        question: "?".to_owned(),
    };
    let error = soon("an answer", peer.ask_req(question))
        .await
        .expect_err("no answer");
    assert!(
        error.to_string().contains("no answer to `ask_req`"),
        "{error}"
    );
}

#[tokio::test]
async fn errors_are_answered_and_sends_can_fail() {
    let recorder = ClientRecorder::<Lab>::new();
    recorder.answer(Answer::error(CallError::ConnectionLost));
    recorder.answer(Answer::error(Status::not_found("no such thing")));
    let lost = recorder.echo_req(echo("?")).await.expect_err("an error");
    assert_eq!(lost, CallError::ConnectionLost);
    let refused = recorder
        .save_ind(SaveInd { number: 1 })
        .await
        .expect_err("an error");
    assert_eq!(status_of(&refused).message(), "no such thing");
    recorder.take_sent();

    recorder.fail_sends(SendError::Disconnected);
    assert_eq!(
        recorder.note_ind(note(1)).await,
        Err(SendError::Disconnected)
    );
    let error = recorder.echo_req(echo("?")).await.expect_err("an error");
    assert!(error.is_safe_to_repeat(), "{error}");
    assert!(recorder.take_sent().is_empty());
    recorder.fail_sends(None);
    recorder.note_ind(note(2)).await.expect("sent");
    assert_eq!(recorder.take_sent(), [ClientToServer::NoteInd(note(2))]);
}

#[tokio::test]
async fn a_recorder_stands_in_for_a_peer_and_a_broadcast() {
    async fn tells(peer: &impl SendServerToClient) -> Result<(), SendError> {
        peer.note_ind(note(1)).await
    }
    let recorder = PeerRecorder::<Lab>::new();
    tells(&recorder).await.expect("sent");
    assert_eq!(
        msip_tests::lab::BroadcastServerToClient::note_ind(&recorder, note(2)),
        1
    );
    assert_eq!(
        recorder.take_sent(),
        [
            ServerToClient::NoteInd(note(1)),
            ServerToClient::NoteInd(note(2))
        ]
    );
}

#[tokio::test]
async fn a_handler_is_tested_with_a_peer() {
    let (handler, mut seen) = LabServer::new();
    let peer = testing::peer::<Lab>();
    handler.on_client_connected(&peer).await;
    assert!(
        matches!(seen.recv().await, Some(SeenByServer::Connected(known)) if known.id() == peer.id())
    );
    peer.answer(ClientToServer::AskRsp(AskRsp {
        answer: "a lot".to_owned(),
    }));
    let request = msip_tests::lab::ActReq {
        what: "ask".to_owned(),
    };
    let answer = soon("an answer", handler.on_act_req(&peer, request))
        .await
        .expect("done");
    assert_eq!(answer.done, "a lot");
    assert!(matches!(&*peer.take_sent(), [ServerToClient::AskReq(_)]));
    assert_eq!(peer.answers_left(), 0);
}

#[tokio::test]
async fn a_method_that_takes_a_stream_is_tested_with_one() {
    let (handler, _seen) = LabServer::new();
    let peer = testing::peer::<Lab>();
    let requests = streaming(stream_of([1, 2, 3].map(|number| Ok(SumReq { number }))));
    let answer = handler.on_sum_req(&peer, requests).await.expect("a sum");
    assert_eq!(answer.sum, 6);
    let requests = stream_of([Ok(SumReq { number: 1 }), Err(CallError::ConnectionLost)]);
    let error = handler
        .on_sum_req(&peer, streaming(requests))
        .await
        .expect_err("broken off");
    assert_eq!(error.code(), Code::Unknown);
}

#[tokio::test]
async fn what_is_said_to_a_test_peer_is_recorded_when_the_test_looks() {
    let peer = testing::peer::<Lab>();
    // More than any window or queue takes at once.
    for number in 0..5_000 {
        peer.note_ind(note(number)).await.expect("sent");
    }
    let heavy = NoteInd {
        number: 5_000,
        ballast: vec![7; 1024 * 1024],
    };
    peer.with(CallOptions::new().ack())
        .note_ind(heavy)
        .await
        .expect("acknowledged");
    let sent = peer.take_sent();
    assert_eq!(sent.len(), 5_001);
    let numbers = sent.iter().map(|message| match message {
        ServerToClient::NoteInd(note) => note.number,
        other => panic!("{other:?}"),
    });
    assert!(numbers.eq(0..=5_000));
    peer.try_note_ind(note(5_001)).expect("sent");
    assert_eq!(peer.take_sent().len(), 1, "nobody had to wait for it");
    peer.answer(Answer::error(Status::failed_precondition("full")));
    let error = peer
        .save_ind(SaveInd { number: 1 })
        .await
        .expect_err("refused");
    assert_eq!(status_of(&error).message(), "full");
    peer.save_ind(SaveInd { number: 2 })
        .await
        .expect("acknowledged");
    assert!(peer.ping(10, Duration::from_secs(1)).await.is_ok());
}

#[tokio::test]
async fn peers_of_one_server_hear_its_broadcasts() {
    let ada = testing::peer::<Lab>();
    let bob = ada.beside();
    let stranger = testing::peer::<Lab>();
    assert_ne!(ada.id(), bob.id());
    assert_eq!(ada.everyone().note_ind(note(1)), 2);
    assert_eq!(ada.others().note_ind(note(2)), 1);
    bob.leave();
    assert_eq!(ada.everyone().note_ind(note(3)), 1);
    assert_eq!(
        ada.take_sent(),
        [1, 3].map(|number| ServerToClient::NoteInd(note(number)))
    );
    assert_eq!(
        bob.take_sent(),
        [1, 2].map(|number| ServerToClient::NoteInd(note(number)))
    );
    assert!(stranger.take_sent().is_empty());
}

#[tokio::test]
async fn a_test_peer_leaves_and_is_shown_the_door() {
    let peer = testing::peer::<Lab>();
    assert!(peer.connection().is_open());
    let held = peer.clone();
    peer.leave();
    assert_eq!(held.note_ind(note(1)).await, Err(SendError::Closed));
    assert!(!peer.connection().is_open());
    assert!(peer.goodbye().is_none());

    let guest = testing::peer::<Lab>();
    guest.disconnect(Status::new(Code::Aborted, "enough"));
    let goodbye = guest.goodbye().expect("a word");
    assert_eq!(
        (goodbye.code(), goodbye.message()),
        (Code::Aborted, "enough")
    );
    assert_eq!(guest.note_ind(note(1)).await, Err(SendError::Closed));
}

/// A stream that yields nothing and does not end.
struct Silence;

impl Stream for Silence {
    type Item = Result<ServerToClient, CallError>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn who_waits_for_a_test_client_that_is_dropped_is_told() {
    let client = testing::client::<Lab>();
    client.answer(Answer::stream(Silence));
    let held: Client<Lab> = client.clone();
    let request = CountReq {
        from: 0,
        to: 1,
        ballast_len: 0,
    };
    let mut numbers = held.count_req(request).await.expect("sent");
    drop(client);
    let error = soon("an outcome", numbers.next())
        .await
        .expect("an item")
        .expect_err("no number");
    assert_eq!(error, CallError::ConnectionLost);
    assert_eq!(held.note_ind(note(1)).await, Err(SendError::Closed));
}

#[tokio::test]
async fn a_handler_sees_the_deadline_that_a_test_gives() {
    tokio::time::pause();
    let peer = testing::peer::<Lab>();
    assert_eq!(peer.call().remaining(), None);
    let hurried = peer.with_deadline(Duration::from_secs(3));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(hurried.call().remaining(), Some(Duration::from_secs(2)));
    let client = testing::client::<Lab>();
    let hurried = client.with_deadline(Duration::from_secs(3));
    assert_eq!(hurried.call().remaining(), Some(Duration::from_secs(3)));
}

#[tokio::test]
async fn a_handler_sees_the_metadata_that_a_test_gives() {
    tokio::time::pause();
    let options = CallOptions::new()
        .timeout(Duration::from_secs(3))
        .correlation_id("order-17")
        .header("lang", "en");
    let peer = testing::peer::<Lab>();
    let told = peer.with_options(&options).expect("can be sent");
    let client = testing::client::<Lab>();
    let told_client = client.with_options(&options).expect("can be sent");
    for call in [told.call(), told_client.call()] {
        assert_eq!(call.remaining(), Some(Duration::from_secs(3)));
        assert_eq!(call.metadata().correlation_id(), Some("order-17"));
        assert_eq!(call.metadata().header("lang"), Some("en"));
        assert!(!call.is_cancelled());
    }
    let nameless = CallOptions::new().header("", "x");
    assert_eq!(
        peer.with_options(&nameless).map(|_| ()),
        Err(MetadataError::EmptyName)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_client_serves_code_that_runs_elsewhere() {
    let client = testing::client::<Lab>();
    client.answer_with(|message: &ClientToServer| match message {
        ClientToServer::EchoReq(request) => echoed(&request.text).into(),
        _ => Answer::nothing(),
    });
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let client: Client<Lab> = client.clone();
        tasks.spawn(async move {
            for number in 0..50 {
                let text = format!("{task}/{number}");
                let answer = client.echo_req(echo(&text)).await.expect("answered");
                assert_eq!(answer.text, text);
                client.note_ind(note(number)).await.expect("sent");
            }
        });
    }
    soon("all are done", tasks.join_all()).await;
    assert_eq!(client.take_sent().len(), 800);
    soon("closed", client.close()).await;
    assert_eq!(client.connection().state(), ConnectionState::Closed);
    assert_eq!(client.goodbye().expect("a word").code(), Code::Cancelled);
}

#[tokio::test]
async fn an_answer_may_look_at_what_was_sent() {
    let client = Arc::new(testing::client::<Lab>());
    let looks = Arc::downgrade(&client);
    client.answer_with(move |_: &ClientToServer| {
        let sent = looks.upgrade().map(|client| client.take_sent().len());
        echoed(&format!("{sent:?}"))
    });
    client.note_ind(note(1)).await.expect("sent");
    let answer = soon("an answer", client.echo_req(echo("?"))).await;
    assert_eq!(answer.expect("answered").text, "Some(1)");
}

#[tokio::test]
async fn a_test_waits_for_what_a_task_sends() {
    let peer = testing::peer::<Lab>();
    let held = peer.clone();
    let sending = tokio::spawn(async move {
        tokio::task::yield_now().await;
        held.note_ind(note(1)).await
    });
    assert_eq!(
        soon("a message", peer.next_sent()).await,
        ServerToClient::NoteInd(note(1))
    );
    sending.await.expect("no panic").expect("sent");
}

#[tokio::test(start_paused = true)]
async fn a_pair_talks_and_survives_a_cut_in_no_time() {
    let (handler, mut seen) = LabServer::new();
    let pair = Pair::<Lab>::connect(handler, ()).await.expect("connected");
    let answer = pair.echo_req(echo("hello")).await.expect("answered");
    assert_eq!(answer.text, "hello");
    let peer = pair.peer().expect("connected");
    assert!(
        matches!(seen.recv().await, Some(SeenByServer::Connected(known)) if known.id() == peer.id())
    );

    let mut state = pair.connection().watch();
    pair.cut();
    soon(
        "the client notices",
        state.wait_for(|state| *state != ConnectionState::Connected),
    )
    .await
    .expect("the client lives");
    soon(
        "the client comes back",
        state.wait_for(|state| *state == ConnectionState::Connected),
    )
    .await
    .expect("the client lives");
    assert!(pair.connection().resumed());
    assert!(peer.resumed(), "the same session");
    pair.save_ind(SaveInd { number: 7 })
        .await
        .expect("acknowledged");

    let other = Client::<Lab>::connect(pair.url())
        .await
        .expect("another client");
    assert_eq!(pair.everyone().peers().len(), 2);
    let report = soon("the end", pair.shut_down()).await;
    assert_eq!((report.connections, report.aborted), (2, 0));
    drop(other);
}

#[tokio::test(start_paused = true)]
async fn a_pair_has_the_settings_of_a_test() {
    let (handler, _seen) = LabServer::new();
    let pair = Pair::<Lab>::builder()
        .server(|server| server.max_calls(1))
        .client(|client| client.codec(Codec::Json))
        .client(|client| client.call_timeout(Duration::from_secs(40)))
        .connect(handler, ())
        .await
        .expect("connected");
    assert_eq!(pair.connection().codec().to_string(), "json");
    let begun = tokio::time::Instant::now();
    let request = msip_tests::lab::ActReq {
        what: "hang".to_owned(),
    };
    let error = pair.act_req(request).await.expect_err("it hangs");
    assert!(
        matches!(error, CallError::DeadlineExceeded { .. }),
        "{error}"
    );
    assert_eq!(begun.elapsed().as_secs(), 20, "as the schema says");

    let (handler, _seen) = LabServer::new();
    let error = Pair::<Lab>::builder()
        .client(|client| client.max_calls(0))
        .connect(handler, ())
        .await
        .expect_err("no such setting");
    assert!(
        error.to_string().contains("the client of a pair"),
        "{error}"
    );
}
