//! The chat, once as a `.proto` file and once as Rust types, is one protocol.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "../../examples/src/bin/derive/chat.rs"]
#[expect(unreachable_pub, reason = "written as a library would")]
mod chat;
mod support;

use chat::{
    Chat, ClientToServer, ConnectReq, ConnectRsp, HandleClientToServer, HandleServerToClient,
    MessageInd, PresenceReq, PresenceRsp, SendClientToServer as _, SendServerToClient as _,
    ServerToClient, WhoReq, WhoRsp,
};
use msip_runtime::{
    CallError, Client, Envelope as _, MsgKind, Peer, Protocol as _, Server, Status, body::Body,
    bytes::Bytes,
};

#[test]
fn both_spellings_have_one_fingerprint() {
    let proto = include_str!("../../examples/proto/chat.proto");
    assert_eq!(Chat::fingerprint(), support::fingerprint_of(proto));
}

#[test]
fn the_text_that_is_written_back_is_the_same_protocol() {
    let text = msip_runtime::proto_text::<Chat>();
    assert_eq!(
        support::fingerprint_of(&text),
        Chat::fingerprint(),
        "{text}"
    );
}

#[test]
fn variants_have_names_numbers_and_kinds() {
    let message = ClientToServer::ConnectReq(ConnectReq { user: "ada".into() });
    assert_eq!(message.variant(), 1);
    assert_eq!(message.msg_kind(), MsgKind::Command);
    let names: Vec<_> = ServerToClient::VARIANTS
        .iter()
        .map(|variant| variant.name())
        .collect();
    assert_eq!(
        names,
        [
            "connect_rsp",
            "message_ind",
            "joined_ind",
            "left_ind",
            "presence_req",
            "who_rsp"
        ]
    );
}

#[test]
fn envelopes_survive_a_round_trip() {
    let message = ServerToClient::ConnectRsp(ConnectRsp {
        motd: "hello".into(),
        users: vec!["ada".into(), "bob".into()],
    });
    let mut body = Vec::new();
    message.encode(&mut body);
    assert_eq!(body.len(), message.encoded_len());
    let body = Bytes::from(body);
    assert_eq!(ServerToClient::decode(1, Body::from(&body)), Ok(message));
}

struct Room;

impl HandleClientToServer for Room {
    async fn on_connect_req(
        &self,
        peer: &Peer<Chat>,
        request: ConnectReq,
    ) -> Result<ConnectRsp, Status> {
        let there = peer.presence_req(PresenceReq {}).await?;
        Ok(ConnectRsp {
            motd: if there.active {
                "hello"
            } else {
                "anyone there?"
            }
            .into(),
            users: vec![request.user],
        })
    }

    async fn on_who_req(&self, _: &Peer<Chat>, _: WhoReq) -> Result<WhoRsp, Status> {
        Err(Status::unimplemented("who_req"))
    }

    async fn on_message_ind(&self, peer: &Peer<Chat>, message: MessageInd) {
        peer.message_ind(message).await.expect("sent");
    }
}

struct Person(tokio::sync::mpsc::Sender<MessageInd>);

impl HandleServerToClient for Person {
    async fn on_presence_req(
        &self,
        _: &Client<Chat>,
        _: PresenceReq,
    ) -> Result<PresenceRsp, Status> {
        Ok(PresenceRsp { active: true })
    }

    async fn on_message_ind(&self, _: &Client<Chat>, message: MessageInd) {
        self.0.send(message).await.expect("the test listens");
    }
}

#[tokio::test]
async fn a_derived_client_talks_to_a_derived_server() {
    let server = Server::<Chat>::bind("tcp://127.0.0.1:0")
        .await
        .expect("bound");
    let url = server.local_url().to_string();
    let serving = tokio::spawn(server.serve(Room));
    let (said, mut heard) = tokio::sync::mpsc::channel(8);
    let client = Client::<Chat>::builder(&url)
        .handler(Person(said))
        .connect()
        .await
        .expect("connected");

    let welcome = client
        .connect_req(ConnectReq { user: "ada".into() })
        .await
        .expect("answered");
    assert_eq!(
        welcome,
        ConnectRsp {
            motd: "hello".into(),
            users: vec!["ada".into()]
        }
    );

    let line = MessageInd {
        user: "ada".into(),
        text: "hi".into(),
    };
    client.message_ind(line.clone()).await.expect("sent");
    assert_eq!(heard.recv().await, Some(line));

    let refused = client
        .who_req(WhoReq {})
        .await
        .expect_err("not implemented");
    assert!(matches!(refused, CallError::Status(_)), "{refused:?}");
    client.close().await;
    serving.abort();
}
