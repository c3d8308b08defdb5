//! Two peers whose handlers send to each other without end: neither may lock the other up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use msip_runtime::{
    Client, ConnectionState, DisconnectReason, EmptyStream, Peer, SendError, Server, Status,
    Stream, Streaming,
};
use msip_tests::{
    Recorder, at,
    lab::{
        ActReq, ActRsp, AskReq, AskRsp, CountReq, CountRsp, EchoReq, EchoRsp, HandleClientToServer,
        HandleServerToClient, Lab, NoteInd, SaveInd, SendClientToServer as _,
        SendServerToClient as _, ShoutReq, ShoutRsp, SumReq, SumRsp,
    },
    recorder, soon,
};
use tokio::sync::mpsc;

/// Sends each note back until its number is down to 0.
#[derive(Debug, Clone)]
struct Mirror {
    seen: Arc<AtomicU64>,
    /// How many notes did not go back, for there was no capacity in time.
    dropped: Arc<AtomicU64>,
    /// Each note that does not go on, by its number.
    ended: Recorder<()>,
    peers: Recorder<Peer<Lab>>,
    disconnected: Recorder<DisconnectReason>,
}

impl Mirror {
    /// What to send back, where anything.
    fn see(&self, message: &NoteInd) -> Option<NoteInd> {
        self.seen.fetch_add(1, Ordering::Relaxed);
        let Some(number) = message.number.checked_sub(1) else {
            self.ended.record(());
            return None;
        };
        Some(NoteInd {
            number,
            ballast: message.ballast.clone(),
        })
    }

    fn sent(&self, sent: Result<(), SendError>) {
        match sent {
            Ok(()) => {}
            Err(SendError::Full) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                self.ended.record(());
            }
            Err(error) => panic!("{error}"),
        }
    }
}

impl HandleClientToServer for Mirror {
    async fn on_note_ind(&self, peer: &Peer<Lab>, message: NoteInd) {
        if let Some(back) = self.see(&message) {
            self.sent(peer.note_ind(back).await);
        }
    }

    async fn on_echo_req(&self, _: &Peer<Lab>, request: EchoReq) -> Result<EchoRsp, Status> {
        Ok(EchoRsp {
            text: request.text,
            ..EchoRsp::default()
        })
    }

    async fn on_act_req(&self, _: &Peer<Lab>, _: ActReq) -> Result<ActRsp, Status> {
        Ok(ActRsp::default())
    }

    async fn on_count_req(
        &self,
        _: &Peer<Lab>,
        _: CountReq,
    ) -> Result<impl Stream<Item = Result<CountRsp, Status>> + Send + 'static, Status> {
        Ok(EmptyStream::new())
    }

    async fn on_sum_req(&self, _: &Peer<Lab>, _: Streaming<SumReq>) -> Result<SumRsp, Status> {
        Ok(SumRsp::default())
    }

    async fn on_shout_req(
        &self,
        _: &Peer<Lab>,
        _: Streaming<ShoutReq>,
    ) -> Result<impl Stream<Item = Result<ShoutRsp, Status>> + Send + 'static, Status> {
        Ok(EmptyStream::new())
    }

    async fn on_save_ind(&self, _: &Peer<Lab>, _: SaveInd) -> Result<(), Status> {
        Ok(())
    }

    async fn on_client_connected(&self, peer: &Peer<Lab>) {
        self.peers.record(peer.clone());
    }

    async fn on_client_disconnected(&self, _: &Peer<Lab>, reason: DisconnectReason) {
        self.disconnected.record(reason);
    }
}

impl HandleServerToClient for Mirror {
    async fn on_note_ind(&self, client: &Client<Lab>, message: NoteInd) {
        if let Some(back) = self.see(&message) {
            self.sent(client.note_ind(back).await);
        }
    }

    async fn on_save_ind(&self, _: &Client<Lab>, _: SaveInd) -> Result<(), Status> {
        Ok(())
    }

    async fn on_ask_req(&self, _: &Client<Lab>, _: AskReq) -> Result<AskRsp, Status> {
        Ok(AskRsp::default())
    }

    async fn on_disconnected(&self, _: &Client<Lab>, reason: DisconnectReason) {
        self.disconnected.record(reason);
    }
}

/// A client and a server with mirrors as handlers.
struct Hall {
    client: Client<Lab>,
    peer: Peer<Lab>,
    mirror: Mirror,
    ended: mpsc::Receiver<()>,
    disconnected: mpsc::Receiver<DisconnectReason>,
}

async fn hall(url: &str, write_timeout: Duration) -> Hall {
    let (ended_sender, ended) = recorder();
    let (peers, mut peer) = recorder();
    let (disconnected_sender, disconnected) = recorder();
    let mirror = Mirror {
        seen: Arc::default(),
        dropped: Arc::default(),
        ended: ended_sender,
        peers,
        disconnected: disconnected_sender,
    };
    let server = Server::<Lab>::builder(url)
        .write_timeout(write_timeout)
        .bind()
        .await
        .expect("binds");
    let url = server.local_url().to_string();
    tokio::spawn(server.serve(mirror.clone()));
    let client = Client::<Lab>::builder(url)
        .write_timeout(write_timeout)
        .handler(mirror.clone())
        .connect()
        .await
        .expect("connects");
    let peer = soon("the peer", peer.recv()).await.expect("lives");
    Hall {
        client,
        peer,
        mirror,
        ended,
        disconnected,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_answer_each_note_with_a_note_go_on_for_ever() {
    const BALLS: u64 = 200;
    const FLIGHTS: u64 = 200;
    let Hall {
        client,
        mirror,
        mut ended,
        mut disconnected,
        ..
    } = hall(at!("tcp://127.0.0.1:0"), Duration::from_secs(60)).await;
    for _ in 0..BALLS {
        let ball = NoteInd {
            number: FLIGHTS - 1,
            ballast: vec![7; 100],
        };
        client.note_ind(ball).await.expect("sent");
    }
    for ball in 0..BALLS {
        soon(&format!("the end of ball {ball}"), ended.recv()).await;
    }
    assert_eq!(
        mirror.seen.load(Ordering::Relaxed),
        BALLS * FLIGHTS,
        "20,000 each way"
    );
    assert_eq!(mirror.dropped.load(Ordering::Relaxed), 0);
    assert!(disconnected.try_recv().is_err());
}

// The clock stands still but where everyone waits, so that all the waiting costs nothing.
#[tokio::test(start_paused = true)]
async fn handlers_that_both_wait_for_room_are_let_go_and_the_connection_lives() {
    // Two windows each, all of which the handlers send back, into each other's arms: each side fills its window without
    // waiting, before the other sees any of it.
    const NOTES: u64 = 2 * 1024;
    let Hall {
        client,
        peer,
        mirror,
        mut ended,
        mut disconnected,
    } = hall(at!("mem://room-for-both"), Duration::from_millis(10)).await;
    let note = || NoteInd {
        number: 1,
        ballast: vec![7; 100],
    };
    let flood_of_client = async {
        for _ in 0..NOTES {
            if client.try_note_ind(note()).is_err() {
                while client.note_ind(note()).await == Err(SendError::Full) {}
            }
        }
    };
    let flood_of_server = async {
        for _ in 0..NOTES {
            if peer.try_note_ind(note()).is_err() {
                while peer.note_ind(note()).await == Err(SendError::Full) {}
            }
        }
    };
    soon("both floods", async {
        tokio::join!(flood_of_client, flood_of_server)
    })
    .await;
    for note in 0..2 * NOTES {
        soon(&format!("the end of note {note}"), ended.recv()).await;
    }
    let dropped = mirror.dropped.load(Ordering::Relaxed);
    assert!(dropped > 0, "they did block each other");
    assert_eq!(
        mirror.seen.load(Ordering::Relaxed),
        4 * NOTES - dropped,
        "each note once, and each that went back"
    );
    assert_eq!(client.connection().state(), ConnectionState::Connected);
    assert!(disconnected.try_recv().is_err());
    let answer = client
        .echo_req(EchoReq {
            text: "alive".into(),
            ..EchoReq::default()
        })
        .await;
    assert_eq!(answer.expect("answers").text, "alive");
}
