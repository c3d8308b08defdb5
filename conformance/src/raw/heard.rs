//! What the raw peer hears, besides pings and credit.

use msip_runtime::wire::{Frame, FrameType};
use msip_tests::raw::{self, RawPeer};

use crate::failure::fail;

/// The next frame that is not about credit or pings.
pub(crate) async fn hear(peer: &mut RawPeer) -> Frame {
    match try_hear(peer).await {
        Some(frame) => frame,
        None => fail("the connection has ended"),
    }
}

/// The same; `None` where the connection has ended.
pub(crate) async fn try_hear(peer: &mut RawPeer) -> Option<Frame> {
    loop {
        let frame = peer.hear().await?;
        match frame.header.frame_type {
            FrameType::Credit | FrameType::Ping | FrameType::Pong => {}
            _ => return Some(frame),
        }
    }
}

/// What comes until the connection has ended, a line for each frame. This side says that it has nothing more to say as soon as the
/// other does, which else waits for it.
pub(crate) async fn hear_to_the_end(peer: &mut RawPeer) -> Vec<String> {
    let mut heard = Vec::new();
    while let Some(frame) = peer.hear().await {
        heard.extend(raw::describe(&frame));
        if frame.header.frame_type == FrameType::Close {
            peer.finish().await;
        }
    }
    peer.finish().await;
    heard
}
