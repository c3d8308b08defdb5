//! A raw client that makes calls, with bodies that a test writes byte by byte.

use msip_runtime::{
    MsgKind,
    transport::ServiceUrl,
    wire::{Flags, Frame, FrameType, Header, Hello, MsgId, RawKind, Side},
};

use crate::{
    raw::{self, RawPeer},
    soon,
};

/// A connection, and how many calls have been made on it.
#[derive(Debug)]
pub struct RawCaller {
    peer: RawPeer,
    /// The number of the last exchange: the handshake was the first.
    last: u64,
}

impl RawCaller {
    /// Connects, and shakes hands with this Hello.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn new(url: &ServiceUrl, hello: &Hello) -> Self {
        let mut peer = RawPeer::dial(url).await;
        peer.greet_with(hello).await;
        Self { peer, last: 1 }
    }

    /// The next call, as bytes.
    pub fn request(&mut self, variant: u16, flags: Flags, body: &[u8]) -> Vec<u8> {
        self.last += 1;
        let id = MsgId::exchange(Side::Connecting, self.last);
        let header = Header {
            flags: Flags::ACK_REQUIRED.union(flags),
            kind: RawKind::from(MsgKind::Command),
            variant,
            ..Header::control(FrameType::Publish, id)
        };
        raw::frame_of(header, &[&[0, 0], body].concat())
    }

    /// Sends a call that [`request`](Self::request) made last, and returns the frame that ends it.
    ///
    /// # Panics
    ///
    /// When the connection ends instead.
    pub async fn send(&mut self, request: &[u8]) -> Frame {
        self.peer.say(request).await;
        let id = MsgId::exchange(Side::Connecting, self.last);
        let (_, answer) = soon("an answer", self.peer.hear_until(id)).await;
        match answer {
            Some(answer) => answer,
            None => panic!("the connection ended instead of an answer"),
        }
    }

    /// Makes a call, and returns the frame that ends it.
    ///
    /// # Panics
    ///
    /// When the connection ends instead.
    pub async fn call(&mut self, variant: u16, flags: Flags, body: &[u8]) -> Frame {
        let request = self.request(variant, flags, body);
        self.send(&request).await
    }
}
