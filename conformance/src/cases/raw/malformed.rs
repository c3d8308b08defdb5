//! The malformed frames of docs/protocol.md, to servers and to clients.

use msip_runtime::wire::{MsgId, Side};
use msip_tests::raw::RawPeer;

use super::Groups;
use crate::{
    case::Driver,
    failure::fail,
    message::item,
    pair::serve,
    process::Process,
    protocol::conformance::control::Status,
    raw::{Block, Met, RawServer, blocks, hear_to_the_end, line, with_id},
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
            Fault::Answered => with_id(bytes, MsgId::exchange(side, 2)),
            // What is about a stream that is not open is ignored.
            _ if self.name.starts_with("credit") => with_id(bytes, MsgId::CONNECTION),
            _ => bytes,
        }
    }
}

pub(super) fn add(groups: &mut Groups) {
    for block in blocks("malformed") {
        let (fault, frame_type) = (block.fault(), block.frame_type());
        let is_of_server = matches!(fault, Fault::Welcome | Fault::Answers)
            || fault == Fault::Ends && frame_type == EVENT;
        let is_of_client = fault == Fault::Hello
            || fault == Fault::Ends && frame_type == PUBLISH && block.name.starts_with("payload");
        let name = format!("malformed/{}", block.name);
        if !is_of_server {
            let block = block.clone();
            groups
                .server
                .server(&name, &[], move |driver| to_server(driver, block.clone()));
        }
        if !is_of_client {
            groups
                .client
                .client(&name, &[], move |driver| to_client(driver, block.clone()));
        }
    }
}

/// That an ERROR came, with this text.
fn is_refused(heard: &[String], block: &Block, process: &Process) {
    // Who knows TLS may say so, and who knows no topics that it is one.
    let is_known = match block.name {
        "tls-hello" => true,
        "topic-not-utf8" | "topic-nul" => !process.has("topics"),
        _ => false,
    };
    let is_told =
        |line: &String| line.starts_with("ERROR") && (is_known || line.contains(block.error));
    assert!(
        heard.iter().any(is_told),
        "{heard:#?} instead of {:?}",
        block.error
    );
}

async fn to_server(driver: Driver, block: Block) {
    if !matches!(block.fault(), Fault::Hello | Fault::EndsAtOnce) {
        return to_either(driver.meet("").await, block).await;
    }
    let listening = serve(&driver.process, &driver.ways, "").await;
    let mut raw = listening.dial().await;
    raw.say(&block.of(Side::Connecting)).await;
    is_refused(&hear_to_the_end(&mut raw).await, &block, &driver.process);
}

async fn to_client(driver: Driver, block: Block) {
    let frame = block.of(Side::Accepting);
    match block.fault() {
        Fault::Welcome | Fault::Hello => {
            let server = RawServer::of(&driver, "").await;
            let (mut raw, id, _) = server.accept().await;
            raw.say(&with_id(frame, id)).await;
            match ends(&server, &mut raw).await {
                Ok(()) => fail("the client is connected"),
                // A client may say it in its own words that a server speaks MIP.
                Err(status) => assert!(
                    status.message.contains(block.error)
                        || block.name == "welcome-mip" && status.message.contains("MIP"),
                    "{status:?}"
                ),
            }
        }
        Fault::EndsAtOnce => {
            let server = RawServer::of(&driver, "").await;
            let (mut raw, ..) = server.accept().await;
            raw.say(&frame).await;
            let outcome = ends(&server, &mut raw).await;
            assert!(outcome.is_err(), "the client is connected");
        }
        _ => to_either(driver.meet("").await, block).await,
    }
}

/// Whether a client connects whose connection ends.
async fn ends(server: &RawServer, raw: &mut RawPeer) -> Result<(), Status> {
    tokio::join!(server.outcome(), hear_to_the_end(raw)).0
}

/// A frame in a connection that is open.
async fn to_either(mut met: Met, block: Block) {
    let frame = block.of(met.side);
    let process = &met.end.process.clone();
    match block.fault() {
        Fault::Answered => {
            met.raw.say(&frame).await;
            let refused = met.hear().await;
            assert_eq!(refused.header.msg_id, met.id(2));
            is_refused(&[line(&refused)], &block, process);
            met.goes_on().await;
        }
        Fault::Answers => {
            let call = met.end.start("unary_req", &item(1)).await;
            let asked = met.hear_opening().await.header.msg_id;
            met.raw.say(&with_id(frame, asked)).await;
            assert_eq!(call.failure().await.code, "INTERNAL");
            met.goes_on().await;
        }
        _ => {
            met.raw.say(&frame).await;
            is_refused(&met.hear_to_the_end().await, &block, process);
            met.end.disconnected().await;
        }
    }
}
