//! Long bodies, which are read on other threads: messages and items keep their order, and nothing waits for one that nobody
//! wants any more.

use msip_runtime::{Client, Compression, bytes::Bytes};
use msip_tests::{
    SeenByServer, connected,
    lab::{CountReq, EchoReq, Lab, NoteInd, SendClientToServer as _},
    messages::note,
    next, soon, start,
};
use tokio::{sync::mpsc, task::JoinSet};

/// Above what is read in a turn, as it is and compressed.
const LONG: usize = 200 * 1024;

async fn client(
    url: &str,
    compression: Compression,
) -> (Client<Lab>, mpsc::Receiver<SeenByServer>) {
    let (url, mut seen, _serving) = start(url).await;
    let client = Client::<Lab>::builder(url.to_string()).compress(compression);
    let client = soon("a client", client.connect()).await.expect("connects");
    connected(&mut seen).await;
    (client, seen)
}

#[tokio::test]
async fn messages_keep_their_order_whatever_their_length() {
    for compression in [Compression::None, Compression::Zstd] {
        let url = format!("mem://long-messages-{compression}");
        let (client, mut seen) = client(&url, compression).await;
        for number in 0..30 {
            let len = if number % 3 == 0 { LONG } else { 10 };
            let long = NoteInd {
                ballast: vec![0; len],
                ..note(number)
            };
            soon("sent", client.note_ind(long)).await.expect("is sent");
        }
        for number in 0..30 {
            match next(&mut seen).await {
                SeenByServer::Note(seen) => assert_eq!(seen, number, "{compression}"),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn calls_and_answers_of_any_length_find_each_other() {
    for compression in [Compression::None, Compression::Gzip] {
        let url = format!("mem://long-calls-{compression}");
        let (client, _seen) = client(&url, compression).await;
        let mut calls = JoinSet::new();
        for number in 0..20 {
            let client = client.clone();
            calls.spawn(async move {
                let len = if number % 2 == 0 { LONG } else { 10 };
                let request = EchoReq {
                    text: number.to_string(),
                    ballast: vec![7; len],
                };
                let answer = client.echo_req(request.clone()).await.expect("answers");
                assert_eq!(answer.text, request.text);
                assert_eq!(answer.ballast, request.ballast);
            });
        }
        while let Some(call) = soon("an answer", calls.join_next()).await {
            call.expect("no panic");
        }
    }
}

#[tokio::test]
async fn items_keep_their_order_whatever_their_length() {
    for compression in [Compression::None, Compression::Lz4] {
        let url = format!("mem://long-items-{compression}");
        let (client, _seen) = client(&url, compression).await;
        for ballast_len in [10, 20_000, 200 * 1024] {
            let request = CountReq {
                from: 0,
                to: 50,
                ballast_len,
            };
            let mut numbers = client.count_req(request).await.expect("begins");
            for number in 0..50 {
                let item = soon("an item", numbers.next()).await;
                let item = item.expect("there are more").expect("is read");
                assert_eq!(item.number, number, "{compression} {ballast_len}");
            }
            assert!(soon("the end", numbers.next()).await.is_none());
        }
    }
}

#[tokio::test]
async fn nobody_waits_for_a_body_of_a_client_that_has_gone() {
    let (url, mut seen, _serving) = start("tcp://127.0.0.1:0").await;
    let body = Bytes::from(vec![0; 1 << 20]);
    for _ in 0..3 {
        let client = soon("a client", Client::<Lab>::connect(url.to_string()))
            .await
            .expect("connects");
        connected(&mut seen).await;
        let mut calls = JoinSet::new();
        for _ in 0..8 {
            let (client, ballast) = (client.clone(), body.to_vec());
            calls.spawn(async move {
                let text = String::new();
                client.echo_req(EchoReq { text, ballast }).await
            });
        }
        // One answer, so that the others are on their way.
        let first = soon("an answer", calls.join_next()).await;
        first
            .expect("there are calls")
            .expect("no panic")
            .expect("answers");
        calls.shutdown().await;
        drop(client);
        let ended = next(&mut seen).await;
        assert!(matches!(ended, SeenByServer::Disconnected(_)), "{ended:?}");
    }
    let client = soon("a client", Client::<Lab>::connect(url.to_string()))
        .await
        .expect("connects");
    let answer = soon("an answer", client.echo_req(EchoReq::default())).await;
    assert_eq!(answer.expect("answers").text, "");
}
