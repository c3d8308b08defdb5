//! The malformed frames of docs/protocol.md, to servers and to clients.

use msip_runtime::wire::{FrameType, MsgId, Side};

use crate::{
    case::{Case, Group},
    end::item,
    pair::{Ways, serve},
    process::Process,
    raw::{Block, RawServer, blocks, client_of, hear, id, line, round_trip, with_id},
};

/// Types of frames, as they are written.
const PUBLISH: u8 = 4;
const EVENT: u8 = 5;
const ACK: u8 = 6;

/// What a frame leads to.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// It ends the connection, with this text.
    Ends,
    /// The same, where no header has come yet.
    EndsAtOnce,
    /// It is answered, and the connection goes on.
    Answered,
    /// An answer that cannot be read.
    Answers,
    /// It is a HELLO.
    Hello,
    /// It is an answer to a HELLO.
    Welcome,
}

impl Block {
    fn frame_type(&self) -> u8 {
        self.bytes.get(7).copied().unwrap_or_default()
    }

    fn fault(&self) -> Fault {
        let is_frame = self.bytes.starts_with(b"MSIP");
        match self.name {
            name if name.starts_with("hello") => Fault::Hello,
            name if name.starts_with("welcome") => Fault::Welcome,
            name if name.starts_with("topic") || name == "unknown-kind" => Fault::Answered,
            name if name.starts_with("metadata") => match self.frame_type() {
                ACK => Fault::Answers,
                _ => Fault::Answered,
            },
            _ if !is_frame => Fault::EndsAtOnce,
            _ => Fault::Ends,
        }
    }

    /// The frame as this side would send it.
    fn of(&self, side: Side) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        if let (Fault::Answered, Some(frame_type)) = (self.fault(), bytes.get_mut(7)) {
            *frame_type = match side {
                Side::Connecting => PUBLISH,
                Side::Accepting => EVENT,
            };
        }
        match self.fault() {
            Fault::Answered => with_id(bytes, id(side, 2)),
            // What is about a stream that is not open is ignored.
            _ if self.name.starts_with("credit") => with_id(bytes, MsgId::CONNECTION),
            _ => bytes,
        }
    }
}

pub(super) fn to_servers() -> Vec<Case> {
    let mut group = Group::new("server/malformed");
    for block in blocks("malformed") {
        let is_of_server = matches!(block.fault(), Fault::Welcome | Fault::Answers)
            || block.fault() == Fault::Ends && block.frame_type() == EVENT;
        if !is_of_server {
            group.server(block.name, &[], move |server, ways| {
                Box::pin(to_server(server, ways, block.clone()))
            });
        }
    }
    group.cases()
}

pub(super) fn to_clients() -> Vec<Case> {
    let mut group = Group::new("client/malformed");
    for block in blocks("malformed") {
        let is_of_client = block.fault() == Fault::Hello
            || block.fault() == Fault::Ends
                && block.frame_type() == PUBLISH
                && block.name.starts_with("payload");
        if !is_of_client {
            group.client(block.name, &[], move |client, ways| {
                Box::pin(to_client(client, ways, block.clone()))
            });
        }
    }
    group.cases()
}

/// That an ERROR came, with this text.
fn is_refused(heard: &[String], block: &Block) {
    // Who knows TLS may say so.
    let is_known = block.name == "tls-hello";
    let is_told =
        |line: &String| line.starts_with("ERROR") && (is_known || line.contains(block.error));
    assert!(
        heard.iter().any(is_told),
        "{heard:#?} instead of {:?}",
        block.error
    );
}

async fn to_server(server: Process, ways: Ways, block: Block) {
    let frame = block.of(Side::Connecting);
    match block.fault() {
        Fault::Hello | Fault::EndsAtOnce => {
            let listening = serve(&server, &ways, "").await;
            let mut raw = listening.dial().await;
            raw.say(&frame).await;
            is_refused(&raw.hear_to_the_end().await, &block);
        }
        Fault::Answered => {
            let (mut raw, ..) = client_of(&server, &ways, "").await;
            raw.say(&frame).await;
            let refused = hear(&mut raw).await;
            assert_eq!(refused.header.msg_id, id(Side::Connecting, 2));
            is_refused(&[line(&refused)], &block);
            round_trip(&mut raw, Side::Connecting, 20).await;
        }
        Fault::Ends | Fault::Answers | Fault::Welcome => {
            let (mut raw, peer, _) = client_of(&server, &ways, "").await;
            raw.say(&frame).await;
            is_refused(&raw.hear_to_the_end().await, &block);
            peer.disconnected().await;
        }
    }
}

async fn to_client(client: Process, ways: Ways, block: Block) {
    let server = RawServer::of(&client, &ways, "").await;
    let frame = block.of(Side::Accepting);
    match block.fault() {
        Fault::Welcome | Fault::Hello => {
            let (mut raw, id, _) = server.accept().await;
            raw.say(&with_id(frame, id)).await;
            match server.outcome().await {
                Ok(()) => panic!("the client is connected"),
                // A client may say it in its own words that a server speaks MIP.
                Err(status) => assert!(
                    status.message.contains(block.error)
                        || block.name == "welcome-mip" && status.message.contains("MIP"),
                    "{status:?}"
                ),
            }
        }
        Fault::EndsAtOnce => {
            let (mut raw, ..) = server.accept().await;
            raw.say(&frame).await;
            assert!(server.outcome().await.is_err(), "the client is connected");
        }
        Fault::Answered => {
            let (mut raw, _) = server.connected().await;
            raw.say(&frame).await;
            let refused = hear(&mut raw).await;
            assert_eq!(refused.header.msg_id, id(Side::Accepting, 2));
            is_refused(&[line(&refused)], &block);
            round_trip(&mut raw, Side::Accepting, 20).await;
        }
        Fault::Answers => {
            let (mut raw, _) = server.connected().await;
            let call = server.client.start("unary_req", &item(1)).await;
            let asked: MsgId = raw.hear_type(FrameType::Publish).await.header.msg_id;
            raw.say(&with_id(frame, asked)).await;
            assert_eq!(call.failure().await.code, "INTERNAL");
            round_trip(&mut raw, Side::Accepting, 20).await;
        }
        Fault::Ends => {
            let (mut raw, _) = server.connected().await;
            raw.say(&frame).await;
            is_refused(&raw.hear_to_the_end().await, &block);
            server.client.disconnected().await;
        }
    }
}
