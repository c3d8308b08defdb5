//! Calls with streams on either side: their order, their ends, their credit, and giving them up.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use msip_runtime::{CallError, CallOptions, Client, Code, Stream};
use msip_tests::{
    SeenByServer, advance, at, connected, direct_only,
    lab::{CountReq, EchoReq, Lab, SendClientToServer as _, ShoutReq, SumReq},
    messages::count,
    next, soon, start, with_settings,
};
use tokio::sync::mpsc;

/// Numbers, and how many of them were taken.
struct Numbers {
    next: u64,
    to: u64,
    taken: Arc<AtomicU64>,
}

impl Stream for Numbers {
    type Item = SumReq;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<SumReq>> {
        if self.next == self.to {
            return Poll::Ready(None);
        }
        self.next += 1;
        self.taken.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Some(SumReq {
            number: self.next - 1,
        }))
    }
}

fn numbers(next: u64, to: u64) -> (Numbers, Arc<AtomicU64>) {
    let taken = Arc::new(AtomicU64::new(0));
    (
        Numbers {
            next,
            to,
            taken: Arc::clone(&taken),
        },
        taken,
    )
}

/// What a channel yields.
struct Said(mpsc::Receiver<&'static str>);

impl Stream for Said {
    type Item = ShoutReq;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ShoutReq>> {
        self.0.poll_recv(context).map(|text| {
            text.map(|text| ShoutReq {
                text: text.to_owned(),
            })
        })
    }
}

/// Texts that are ready from the beginning, the first one first.
struct AtOnce(Vec<String>);

impl Stream for AtOnce {
    type Item = ShoutReq;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<ShoutReq>> {
        let text = (!self.0.is_empty()).then(|| self.0.remove(0));
        Poll::Ready(text.map(|text| ShoutReq { text }))
    }
}

#[tokio::test]
async fn a_response_stream_yields_everything_in_order_and_ends() {
    for query in ["", "?codec=json", "?compress=zstd"] {
        if query.contains("codec") {
            direct_only!("Codecs", continue);
        }
        let (url, _events, _server) = start(at!("tcp://127.0.0.1:0")).await;
        let client = Client::<Lab>::connect(with_settings(&url, query))
            .await
            .expect("connects");
        let request = CountReq {
            from: 0,
            to: 2_000,
            ballast_len: 2_000,
        };
        let mut numbers = client.count_req(request).await.expect("sent");
        for expected in 0..2_000 {
            let item = soon("an item", numbers.next())
                .await
                .expect("not the end")
                .unwrap_or_else(|error| panic!("{query} {expected}: {error}"));
            assert_eq!((item.number, item.ballast.len()), (expected, 2_000));
        }
        assert!(soon("the end", numbers.next()).await.is_none());
        assert!(numbers.next().await.is_none(), "it stays over");
        let mut none = client.count_req(count(5, 5)).await.expect("sent");
        assert!(
            soon("the end", none.next()).await.is_none(),
            "a stream may be empty"
        );
    }
}

#[tokio::test]
async fn a_handlers_refusal_is_the_only_item() {
    let (url, _events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    let mut refused = client.count_req(count(13, 0)).await.expect("sent");
    let error = soon("an item", refused.next())
        .await
        .expect("not the end")
        .expect_err("refused");
    assert_eq!(error.to_string(), "FAILED_PRECONDITION: not from thirteen");
    assert!(refused.next().await.is_none());
}

#[tokio::test]
async fn what_was_sent_before_a_failure_comes_before_it() {
    let (url, _events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    let mut numbers = client.count_req(count(3, 100)).await.expect("sent");
    for expected in 3..13 {
        let item = soon("an item", numbers.next())
            .await
            .expect("not the end")
            .expect("no error");
        assert_eq!(item.number, expected);
    }
    let error = soon("the failure", numbers.next())
        .await
        .expect("not the end")
        .expect_err("refused");
    assert_eq!(error.to_string(), "FAILED_PRECONDITION: not thirteen");
    assert!(numbers.next().await.is_none());
}

#[tokio::test]
async fn items_of_all_sizes_keep_their_order() {
    // Those that are gathered, those that go by themselves, and such as exceed what is left of a window.
    let lens = [0, 5_000, 1, 2, 4_096, 4_097, 3, 300_000, 4, 5, 60_000];
    let texts: Vec<String> = (0..400_usize)
        .map(|place| format!("{place} {}", "x".repeat(lens[place % lens.len()])))
        .collect();
    for query in ["", "?codec=json", "?compress=lz4"] {
        if query.contains("codec") {
            direct_only!("Codecs", continue);
        }
        let (url, _events, _server) = start(at!("tcp://127.0.0.1:0")).await;
        let client = Client::<Lab>::connect(with_settings(&url, query))
            .await
            .expect("connects");
        let mut shouted = client.shout_req(AtOnce(texts.clone())).await.expect("sent");
        for text in &texts {
            let answer = soon("an answer", shouted.next())
                .await
                .expect("not the end")
                .unwrap_or_else(|error| panic!("{query}: {error}"));
            assert!(answer.text == text.to_uppercase(), "{query}: {:.9}", text);
        }
        assert!(soon("the end", shouted.next()).await.is_none());
    }
}

#[tokio::test]
async fn a_request_stream_is_answered_once() {
    let (url, _events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    let (requests, taken) = numbers(14, 10_014);
    let sum = soon("the sum", client.sum_req(requests))
        .await
        .expect("answered")
        .sum;
    assert_eq!((sum, taken.load(Ordering::Relaxed)), (50_135_000, 10_000));
    let (none, _) = numbers(0, 0);
    assert_eq!(
        soon("the sum", client.sum_req(none))
            .await
            .expect("answered")
            .sum,
        0
    );
    // An answer before the end of the requests ends them.
    let (endless, taken) = numbers(0, u64::MAX);
    let error = soon("the answer", client.sum_req(endless))
        .await
        .expect_err("refused");
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert!(taken.load(Ordering::Relaxed) < 100, "the window is 16");
    client
        .echo_req(EchoReq::default())
        .await
        .expect("the connection goes on");
}

#[tokio::test]
async fn both_streams_run_side_by_side() {
    let (url, _events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    let (say, said) = mpsc::channel(1);
    let mut shouted = client.shout_req(Said(said)).await.expect("sent");
    for text in ["hi", "you", "there"] {
        say.send(text).await.expect("taken");
        let answer = soon("an answer", shouted.next())
            .await
            .expect("not the end")
            .expect("no error");
        assert_eq!(answer.text, text.to_uppercase());
    }
    drop(say);
    assert!(soon("the end", shouted.next()).await.is_none());
}

#[tokio::test]
async fn a_stream_that_is_not_taken_holds_up_nobody() {
    let (url, mut events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    let request = CountReq {
        from: 0,
        to: 0,
        ballast_len: 100_000,
    };
    let mut endless = client.count_req(request).await.expect("sent");
    let first = soon("an item", endless.next())
        .await
        .expect("not the end")
        .expect("no error");
    assert_eq!(first.number, 0);
    for _ in 0..100 {
        let request = EchoReq {
            text: String::new(),
            ballast: vec![0; 10_000],
        };
        soon("an answer", client.echo_req(request))
            .await
            .expect("answered");
    }
    // Given up, its handler's stream is dropped.
    drop(endless);
    assert!(matches!(next(&mut events).await, SeenByServer::Dropped(what) if what == "count"));
    client
        .echo_req(EchoReq::default())
        .await
        .expect("the connection goes on");
}

#[tokio::test]
async fn a_deadline_ends_a_stream_at_both_ends() {
    let (url, mut events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    let limit = Duration::from_secs(10);
    let mut endless = client
        .with(CallOptions::new().timeout(limit))
        .count_req(count(0, 0))
        .await
        .expect("sent");
    let first = soon("an item", endless.next()).await;
    first.expect("no end").expect("in time");
    advance(limit).await;
    let error = loop {
        match soon("an item", endless.next()).await {
            Some(Ok(_)) => tokio::task::yield_now().await,
            Some(Err(error)) => break error,
            None => panic!("an end without an error"),
        }
    };
    // Whichever end's clock was first.
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
    assert!(matches!(next(&mut events).await, SeenByServer::Dropped(what) if what == "count"));
}

#[tokio::test]
async fn a_lost_connection_ends_a_stream() {
    let (url, mut events, server) = start(at!("tcp://127.0.0.1:0")).await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    let mut endless = client.count_req(count(0, 0)).await.expect("sent");
    soon("an item", endless.next())
        .await
        .expect("not the end")
        .expect("no error");
    server.abort();
    let error = loop {
        match soon("an item", endless.next()).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("an end without an error"),
        }
    };
    assert_eq!(error, CallError::ConnectionLost);
    assert!(endless.next().await.is_none());
}

#[tokio::test]
async fn a_call_that_is_given_up_is_cancelled_over_there() {
    let (url, mut events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let client = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    connected(&mut events).await;
    let request = msip_tests::lab::ActReq {
        what: "hang".into(),
    };
    let hanging = tokio::spawn({
        let client = client.clone();
        async move { client.act_req(request).await }
    });
    assert!(matches!(next(&mut events).await, SeenByServer::Act(what) if what == "hang"));
    hanging.abort();
    assert!(matches!(next(&mut events).await, SeenByServer::Dropped(what) if what == "hang"));
    client
        .echo_req(EchoReq::default())
        .await
        .expect("the connection goes on");
}
