//! FlyRPC: peers that are written from its wire against our server and our client, and ours against ours.

mod client;
mod ours;
mod python;
mod server;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use msip_runtime::{Client, Code, Peer, Server, Status, Stream};
use msip_tests::calc::{
    AddReq, AddRsp, Calc, HandleClientToServer, HandleServerToClient, Number,
    SendServerToClient as _,
};
use tokio::sync::mpsc;

/// A calculator as FlyRPC's users write one.
#[derive(Debug, Clone, Default)]
struct CalcServer {
    notes: Arc<Mutex<Vec<String>>>,
    acks: Arc<AtomicUsize>,
}

impl CalcServer {
    fn notes(&self) -> Vec<String> {
        self.notes.lock().expect("no panic").clone()
    }

    fn note(&self, text: String) {
        self.notes.lock().expect("no panic").push(text);
    }
}

impl HandleClientToServer for CalcServer {
    async fn on_ack_ind(&self, _: &Peer<Calc>) {
        self.acks.fetch_add(1, Ordering::Relaxed);
    }

    async fn on_add_req(&self, _: &Peer<Calc>, request: AddReq) -> Result<AddRsp, Status> {
        Ok(AddRsp {
            sum: request.a + request.b,
        })
    }

    async fn on_upper_req(&self, _: &Peer<Calc>, text: String) -> Result<String, Status> {
        // As Go does: one letter for each.
        let upper = |c: char| {
            let mut letters = c.to_uppercase();
            match (letters.next(), letters.next()) {
                (Some(letter), None) => letter,
                _ => c,
            }
        };
        Ok(text.chars().map(upper).collect())
    }

    async fn on_echo_req(&self, _: &Peer<Calc>, bytes: Vec<u8>) -> Result<Vec<u8>, Status> {
        Ok(bytes)
    }

    async fn on_fail_req(&self, _: &Peer<Calc>, code: String) -> Result<(), Status> {
        Err(Status::new(Code::Unknown, code))
    }

    async fn on_panic_req(&self, _: &Peer<Calc>, _: String) -> Result<(), Status> {
        panic!("asked to")
    }

    async fn on_call_back_req(&self, peer: &Peer<Calc>, number: Number) -> Result<Number, Status> {
        let doubled = peer.double_req(number).await?;
        // A server that shuts down tells nothing new.
        let _ = peer.told_ind("hello".to_owned()).await;
        Ok(doubled)
    }

    async fn on_note_ind(&self, _: &Peer<Calc>, text: String) {
        self.note(text);
    }

    async fn on_save_cmd(&self, _: &Peer<Calc>, text: String) -> Result<(), Status> {
        if text.is_empty() {
            return Err(Status::new(Code::Unknown, "E_EMPTY"));
        }
        self.note(text);
        Ok(())
    }

    async fn on_hang_req(&self, _: &Peer<Calc>) -> Result<(), Status> {
        std::future::pending().await
    }

    async fn on_count_req(
        &self,
        _: &Peer<Calc>,
        _: Number,
    ) -> Result<impl Stream<Item = Result<Number, Status>> + Send + 'static, Status> {
        Ok(futures_util::stream::empty())
    }
}

/// A client that doubles, and hears what it is told.
#[derive(Debug, Clone)]
struct CalcClient(mpsc::Sender<String>);

impl CalcClient {
    fn new() -> (Self, mpsc::Receiver<String>) {
        let (sender, told) = mpsc::channel(64);
        (Self(sender), told)
    }
}

impl HandleServerToClient for CalcClient {
    async fn on_double_req(&self, _: &Client<Calc>, number: Number) -> Result<Number, Status> {
        Ok(Number { n: number.n * 2 })
    }

    async fn on_told_ind(&self, _: &Client<Calc>, text: String) {
        let _ = self.0.send(text).await;
    }
}

/// A calculator for FlyRPC, and where it listens.
async fn calculator(settings: &str) -> (CalcServer, SocketAddr) {
    let handler = CalcServer::default();
    let server = Server::<Calc>::bind(&format!("flyrpc://127.0.0.1:0{settings}")).await;
    let server = server.expect("listens");
    let url = server.local_url().to_string();
    let address = url.strip_prefix("flyrpc://").expect("is FlyRPC's");
    let address = address.parse().expect("an address");
    tokio::spawn(server.serve(handler.clone()));
    (handler, address)
}

/// A packet, its length as short as possible.
fn packet(flag: u8, seq: u16, code: &str, payload: &[u8]) -> Bytes {
    let len = payload.len();
    let (width, length) = match len {
        0..=0xff => (0, vec![len as u8]),
        0x100..=0xffff => (1, (len as u16).to_be_bytes().to_vec()),
        _ => (2, (len as u32).to_be_bytes().to_vec()),
    };
    let seq = seq.to_be_bytes();
    [
        &[flag | width],
        &seq[..],
        code.as_bytes(),
        &[0],
        &length,
        payload,
    ]
    .concat()
    .into()
}
