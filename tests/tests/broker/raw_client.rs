//! A client of the broker that says and hears frames, and lets the broker's turns pass between them.

use msip_runtime::{
    MsgKind,
    transport::{ServiceUrl, memory_pair},
    wire::{Flags, Frame, FrameType, Header, Hello, MsgId, RawKind, Side},
};
use msip_tests::raw::{self, HELLO_ID, RawPeer, describe};
use tokio::task::yield_now;

use crate::fixture::ASK;

/// More turns than the broker takes for one thing.
pub(crate) const TURNS: usize = 16;

/// Lets all others run, so many times.
pub(crate) async fn turns(count: usize) {
    for _ in 0..count {
        yield_now().await;
    }
}

/// A client of the broker that says and hears frames.
pub(crate) struct RawClient {
    url: ServiceUrl,
    pub(crate) peer: RawPeer,
    last: u64,
}

impl RawClient {
    pub(crate) async fn enter(url: &ServiceUrl) -> Self {
        let mut peer = RawPeer::dial(url).await;
        peer.say(&raw::hello_frame(&Self::hello())).await;
        peer.hear_type(FrameType::Ack).await;
        Self::with(url, peer)
    }

    /// In the session that [`come_back`](Self::come_back) goes on with, of which there is one.
    pub(crate) async fn enter_to_come_back(url: &ServiceUrl) -> Self {
        let mut peer = RawPeer::dial(url).await;
        peer.say(&raw::resuming_frame(&Self::hello())).await;
        peer.hear_type(FrameType::Ack).await;
        Self::with(url, peer)
    }

    fn with(url: &ServiceUrl, peer: RawPeer) -> Self {
        Self {
            url: url.clone(),
            peer,
            last: HELLO_ID.sequence(),
        }
    }

    fn hello() -> Hello {
        let mut hello = raw::hello();
        let says_when_ended = "ends-cancelled".to_owned();
        hello.extensions.insert(says_when_ended, Vec::new());
        hello
    }

    /// The connection ends without a word.
    pub(crate) fn lose(&mut self) {
        let (nowhere, _) = memory_pair();
        self.peer = RawPeer::new(nowhere.stream);
    }

    /// Begins another connection of the same session, which awaits these calls.
    pub(crate) async fn come_back(&mut self, awaited: &[MsgId]) {
        self.peer = RawPeer::dial(&self.url).await;
        let mut hello = Self::hello();
        hello.awaited = awaited.iter().map(|id| id.number()).collect();
        self.peer.say(&raw::resuming_frame(&hello)).await;
    }

    fn next_id(&mut self) -> MsgId {
        self.last += 1;
        MsgId::exchange(Side::Connecting, self.last)
    }

    pub(crate) async fn subscribe(&mut self, filter: &str) {
        let id = self.next_id();
        let header = Header {
            flags: Flags::ACK_REQUIRED,
            ..Header::control(FrameType::Subscribe, id)
        };
        let asks = raw::frame_of(header, filter.as_bytes());
        self.peer.say(&asks).await;
        let (_, end) = self.peer.hear_until(id).await;
        let end = end.expect("an answer");
        assert_eq!(end.header.frame_type, FrameType::Ack, "{end:?}");
    }

    /// Makes a call of `ask`.
    pub(crate) async fn call(&mut self) -> MsgId {
        let id = self.next_id();
        let header = Header {
            flags: Flags::ACK_REQUIRED,
            kind: RawKind::from(MsgKind::Command),
            variant: ASK.number(),
            ..Header::control(FrameType::Publish, id)
        };
        let payload = [b"\0\x03ask".as_slice(), b"?"].concat();
        self.peer.say(&raw::frame_of(header, &payload)).await;
        id
    }

    /// The next call that it is given.
    pub(crate) async fn next_call(&mut self) -> MsgId {
        self.peer.hear_type(FrameType::Event).await.header.msg_id
    }

    /// Answers a call, or begins a stream of answers.
    pub(crate) async fn answer(&mut self, id: MsgId, flags: Flags) {
        let header = Header {
            flags,
            variant: ASK.number(),
            ..Header::control(FrameType::Ack, id)
        };
        self.peer.say(&raw::frame_of(header, b"here")).await;
    }

    pub(crate) async fn end_cancelled(&mut self, id: MsgId) {
        let end = raw::frame(FrameType::Error, id, b"CANCELLED: given up by its caller");
        self.peer.say(&end).await;
    }

    pub(crate) async fn cancel(&mut self, id: MsgId) {
        self.peer.say(&raw::frame(FrameType::Cancel, id, b"")).await;
    }

    /// What comes until all that was said is dealt with, and what that has led to, a line for each frame.
    pub(crate) async fn hear_all(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        // What one peer says comes to another by the broker within fewer turns.
        for _ in 0..2 {
            turns(4 * TURNS).await;
            let ping = self.next_id();
            self.peer.say(&raw::frame(FrameType::Ping, ping, b"")).await;
            loop {
                let frame = self.peer.hear().await.expect("the connection is there");
                if frame.header.frame_type == FrameType::Pong {
                    break;
                }
                heard.extend(line_of(&frame));
            }
        }
        heard
    }
}

/// A frame in one line, which says of an answer whether more follow.
fn line_of(frame: &Frame) -> Option<String> {
    let more = match frame.header.flags.contains(Flags::MORE) {
        true => " and more",
        false => "",
    };
    describe(frame).map(|line| format!("{line}{more}"))
}
