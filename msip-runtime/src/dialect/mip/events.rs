//! The EVENTs of a broker, as the session gets them: under ids of its own, and within the credit that it grants.

use std::collections::VecDeque;

use msip_session::wire::{Credit, Flags, FrameType, HEADER_LEN, MsgId, RawHeader, Side};

use super::{
    super::{MAX_KEPT, credit::Window},
    frame::write_frame,
};

/// The EVENTs that the session has no credit for, and the credit that there is.
#[derive(Debug)]
pub(super) struct Events {
    /// Whether the session is there.
    is_open: bool,
    window: Window,
    /// Whole frames, in their order.
    kept: VecDeque<Vec<u8>>,
    kept_len: usize,
    max_kept: usize,
    next: u64,
}

impl Events {
    pub(super) fn new(max_body: usize) -> Self {
        Self {
            is_open: false,
            window: Window::default(),
            kept: VecDeque::new(),
            kept_len: 0,
            max_kept: MAX_KEPT.max(max_body),
            next: 1,
        }
    }

    /// Whether nothing more is to be read until the session grants credit.
    pub(super) fn is_full(&self) -> bool {
        self.kept_len >= self.max_kept
    }

    /// The session is there: gives it what was kept.
    pub(super) fn open(&mut self, output: &mut Vec<u8>) {
        self.is_open = true;
        self.give(output);
    }

    /// The session can take more.
    pub(super) fn grant(&mut self, credit: Credit, output: &mut Vec<u8>) {
        self.window.add(credit);
        self.give(output);
    }

    fn give(&mut self, output: &mut Vec<u8>) {
        while self.may_give() {
            let Some(frame) = self.kept.pop_front() else {
                return;
            };
            self.kept_len -= frame.len();
            self.spend(frame.len());
            output.extend_from_slice(&frame);
        }
    }

    const fn may_give(&self) -> bool {
        self.is_open && self.window.is_open()
    }

    fn spend(&mut self, frame_len: usize) {
        self.window.spend(frame_len.saturating_sub(HEADER_LEN));
    }

    /// Gives an EVENT to the session, or keeps it.
    pub(super) fn push(
        &mut self,
        header: &RawHeader,
        variant: u16,
        topic: &[u8],
        body: &[u8],
        output: &mut Vec<u8>,
    ) {
        let id = MsgId::exchange(Side::Accepting, self.next);
        self.next = self.next.saturating_add(1);
        let event = RawHeader {
            // Whether a body is compressed is between MIP's peers, and no business of a session.
            flags: header.flags & Flags::URGENT.bits(),
            kind: header.kind,
            variant,
            ..RawHeader::new(FrameType::Event, id.number())
        };
        // It was cut from a length of two bytes.
        let topic_len = u16::try_from(topic.len()).unwrap_or_default().to_be_bytes();
        let parts = [&topic_len, topic, body];
        if self.kept.is_empty() && self.may_give() {
            let start = output.len();
            write_frame(output, event, &parts);
            self.spend(output.len() - start);
        } else {
            let mut frame = Vec::new();
            write_frame(&mut frame, event, &parts);
            self.kept_len += frame.len();
            self.kept.push_back(frame);
        }
    }
}

/// The number of the oneof member that begins an envelope; 0 where that is none.
pub(super) fn member_of(body: &[u8]) -> u16 {
    const LENGTH_DELIMITED: u64 = 2;
    let mut tag = 0_u64;
    for (place, byte) in body.iter().take(3).enumerate() {
        tag |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let is_message = tag & 7 == LENGTH_DELIMITED;
            let number = u16::try_from(tag >> 3).unwrap_or(0);
            return if is_message { number } else { 0 };
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_member_of_an_envelope_is_its_first_field() {
        let cases: [(&[u8], u16); 7] = [
            (b"\x12\x09body", 2),
            (b"\xfa\xff\x1f\x00", 65_535),
            (b"\x82\x80\x20\x00", 0),
            (b"\x08\x01", 0),
            (b"", 0),
            (b"\x80", 0),
            (b"\xff\xff\xff\xff\xff", 0),
        ];
        for (body, expected) in cases {
            assert_eq!(member_of(body), expected, "{body:02x?}");
        }
    }
}
