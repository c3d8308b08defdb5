//! Messages of the `lab` protocol, as attackers send them.

use msip_runtime::wire::{Credit, Flags, FrameType, MsgId};
use msip_tests::{
    attack::RawMessage,
    lab::{ActReq, ClientToServer, CountReq, EchoReq, NoteInd, SumReq},
    raw,
};

/// A one-way message.
pub(crate) fn note() -> RawMessage {
    RawMessage::of(Flags::NONE, &ClientToServer::NoteInd(NoteInd::default()))
}

/// A call that is answered with as many bytes.
pub(crate) fn echo(len: usize) -> RawMessage {
    let request = EchoReq {
        ballast: vec![0; len],
        ..EchoReq::default()
    };
    RawMessage::of(Flags::ACK_REQUIRED, &ClientToServer::EchoReq(request))
}

/// A call whose handler does this: see `LabServer`.
pub(crate) fn act(what: &str) -> RawMessage {
    let request = ActReq { what: what.into() };
    RawMessage::of(Flags::ACK_REQUIRED, &ClientToServer::ActReq(request))
}

/// A call that is answered with a stream that has no end, of items with so many bytes.
pub(crate) fn count(ballast_len: u32) -> RawMessage {
    let request = CountReq {
        from: 20,
        to: 0,
        ballast_len,
    };
    RawMessage::of(Flags::ACK_REQUIRED, &ClientToServer::CountReq(request))
}

/// The first request of a stream.
pub(crate) fn sum() -> RawMessage {
    let request = SumReq { number: 1 };
    RawMessage::of(
        Flags::ACK_REQUIRED | Flags::MORE,
        &ClientToServer::SumReq(request),
    )
}

/// Credit for a stream, or for one-way messages.
pub(crate) fn credit(id: MsgId, items: u32, bytes: u32) -> Vec<u8> {
    raw::frame(FrameType::Credit, id, &Credit { items, bytes }.encode())
}

/// A frame without anything in it.
pub(crate) fn control(frame_type: FrameType, id: MsgId) -> Vec<u8> {
    raw::frame(frame_type, id, b"")
}
