//! The fuzz target of datagrams: whatever comes by them is one message, or is counted.

use bytes::Bytes;

use super::{Choices, ops::open_session};
use crate::{
    MsgKind, Session,
    wire::{Flags, FrameType, HEADER_LEN, Header, MsgId, Side},
};

/// What may be held of datagrams that wait for their handlers: 256 of them, with what each counts besides its bytes.
const MAX_HELD: usize = 256 * (1500 + 64);

/// Datagrams of a peer: none of them is a fault, or is answered, and what they take is bounded.
pub fn datagrams(data: &[u8]) {
    let mut choices = Choices(data);
    let side = match choices.byte() % 2 {
        0 => Side::Accepting,
        _ => Side::Connecting,
    };
    let Some(mut session) = open_session(side) else {
        return;
    };
    session.allow_datagrams(1162);
    while session.poll_transmit().is_some() {}
    let before = session.held();
    let (mut taken, mut dropped) = (0, 0);
    while !choices.is_empty() {
        if !session.may_receive_datagram() {
            session.datagram_handled();
        }
        let datagram = datagram(&mut choices, side.reverse());
        let len = datagram.len();
        match session.handle_datagram(datagram) {
            Some(incoming) => {
                assert!(matches!(incoming.kind, MsgKind::Log | MsgKind::Metric));
                assert!(incoming.body.len() + HEADER_LEN <= len);
                assert_eq!(incoming.payload_len, 0, "it takes no credit");
                taken += 1;
            }
            None => dropped += 1,
        }
        check(&mut session, before, dropped);
    }
    for _ in 0..taken {
        session.datagram_handled();
    }
    assert_eq!(session.held(), before);
}

fn check(session: &mut Session, before: usize, dropped: u64) {
    assert!(session.is_open() && session.take_fault().is_none());
    assert!(!session.has_transmit(), "nothing is answered");
    assert_eq!(session.dropped().received, dropped);
    assert!(session.held() <= before + MAX_HELD, "{}", session.held());
}

/// Some bytes, behind a header of which each part may be as it has to be.
fn datagram(choices: &mut Choices<'_>, peer: Side) -> Bytes {
    let shape = choices.byte();
    let len = usize::from(choices.byte()) * 5;
    if shape.is_multiple_of(4) {
        return Bytes::copy_from_slice(choices.bytes(len));
    }
    let flags = Flags::from_bits(choices.byte() % 128).unwrap_or(Flags::NONE);
    let kind = [
        MsgKind::Log,
        MsgKind::Metric,
        MsgKind::Event,
        MsgKind::State,
    ];
    let frame_type = match shape % 8 {
        1 => FrameType::ALL[usize::from(choices.byte()) % FrameType::ALL.len()],
        _ => FrameType::opening(peer),
    };
    let payload = choices.bytes(len);
    let payload_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let header = Header {
        flags: if shape % 8 == 2 { flags } else { Flags::NONE },
        kind: kind[usize::from(shape >> 6)].into(),
        variant: u16::from(shape),
        payload_len: payload_len.wrapping_add(u32::from(shape % 8 == 3)),
        ..Header::control(frame_type, MsgId::exchange(peer, u64::from(shape)))
    };
    let mut bytes = header.encode().to_vec();
    if shape & 0x20 == 0 {
        // No topic, as a direct connection has none.
        bytes.extend_from_slice(&[0, 0]);
        let header = Header {
            payload_len: payload_len.wrapping_add(2),
            ..header
        };
        bytes[..HEADER_LEN].copy_from_slice(&header.encode());
    }
    bytes.extend_from_slice(payload);
    bytes.into()
}
