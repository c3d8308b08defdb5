//! An untyped service that rests while its session is silent.

use std::future::poll_fn;

use msip_runtime::{
    Client,
    untyped::{Event, Inbound, Reply, Service, UntypedPeer, UntypedProtocol, UntypedServer},
};
use msip_tests::{
    lab::{EchoReq, Lab, NoteInd, SendClientToServer as _},
    soon,
};
use tokio::sync::mpsc;

/// Answers each call with its own body, rests whenever nothing comes, and says what it does.
struct Sleeper(mpsc::Sender<&'static str>);

impl Sleeper {
    async fn says(&self, what: &'static str) {
        // Nobody hears it where the test has ended.
        let _ = self.0.send(what).await;
    }
}

impl Service for Sleeper {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        inbound.tell_idle();
        let mut inbound = Box::new(inbound);
        while let Some(event) = inbound.next().await {
            match event {
                Event::Messages(_) => self.says("message").await,
                Event::Exchange(exchange) => {
                    if let Reply::Call(responder) = exchange.reply {
                        responder.answer(&exchange.message);
                    }
                }
                Event::Idle => match inbound.rest() {
                    Ok(mut idle) => {
                        self.says("rests").await;
                        poll_fn(|task| idle.poll_ready(task)).await;
                        self.says("wakes").await;
                        inbound = Box::new(idle.wake());
                    }
                    Err(awake) => inbound = awake,
                },
                _ => {}
            }
        }
        self.says("ended").await;
    }
}

#[tokio::test]
async fn a_service_that_rests_gets_what_comes_then() {
    let (says, mut said) = mpsc::channel(16);
    let server = UntypedServer::builder("tcp://127.0.0.1:0")
        .untyped(UntypedProtocol::any(), Sleeper(says))
        .bind()
        .await
        .expect("listens");
    let url = server.local_url().to_string();
    let server = tokio::spawn(server.serve());
    let mut heard = async |what| {
        let until = async {
            while let Some(said) = said.recv().await {
                if said == what {
                    return;
                }
            }
            panic!("the service was dropped: {what}");
        };
        soon(what, until).await;
    };
    let client = Client::<Lab>::connect(&url).await.expect("connects");
    let asked = EchoReq {
        text: "one".to_owned(),
        ballast: Vec::new(),
    };
    for _ in 0..2 {
        heard("rests").await;
        client.note_ind(NoteInd::default()).await.expect("sent");
        heard("message").await;
        heard("rests").await;
        let answer = client.echo_req(asked.clone()).await.expect("answers");
        assert_eq!(answer.text, asked.text);
    }
    heard("rests").await;
    client.close().await;
    heard("ended").await;
    server.abort();
}
