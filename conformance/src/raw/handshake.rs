//! What the raw peer says of itself in a handshake.

use msip_runtime::{
    Protocol as _,
    wire::{Frame, FrameType, Hello, Welcome, parse_welcome},
};
use msip_tests::raw;

use super::line;
use crate::{failure::fail, protocol::conformance::Conformance};

/// The peer id in Welcomes.
const PEER_ID: u64 = 7;

/// A Hello of this protocol.
pub(crate) fn hello() -> Hello {
    raw::hello_of::<Conformance>()
}

/// A Welcome of this protocol.
pub(crate) fn welcome() -> Welcome {
    Welcome {
        fingerprint: Conformance::fingerprint(),
        peer_id: PEER_ID,
        max_open_calls: 1024,
        session_expiry_ms: 60_000,
        ..raw::welcome()
    }
}

/// The Welcome of a session that is resumed.
pub(crate) fn resumed() -> Welcome {
    Welcome {
        resumed: true,
        ..welcome()
    }
}

/// What a server says to a HELLO.
pub(crate) fn welcome_in(frame: Frame) -> Welcome {
    assert_eq!(frame.header.frame_type, FrameType::Ack, "{}", line(&frame));
    match parse_welcome(frame.payload) {
        Ok(welcome) => welcome.welcome,
        Err(error) => fail(error),
    }
}
