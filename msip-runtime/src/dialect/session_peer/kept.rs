//! Messages of a foreign peer that the session is not given yet.

use std::collections::VecDeque;

use msip_session::wire::{Header, MsgId};

/// What a message takes besides its frame.
const OVERHEAD: usize = 64;

/// Messages in the order in which they came.
#[derive(Debug)]
pub(super) struct KeptMessages {
    messages: VecDeque<Kept>,
    len: usize,
    max_len: usize,
}

/// A frame for the session.
#[derive(Debug)]
pub(super) struct Kept {
    header: Header,
    /// Of a call: the turn that it takes.
    turn: Option<u16>,
    /// The topic's length, which is 0, and the envelope.
    payload: Vec<u8>,
}

impl Kept {
    pub(super) fn message(header: Header, body: &[u8]) -> Self {
        Self::new(header, None, body)
    }

    pub(super) fn call(header: Header, turn: u16, body: &[u8]) -> Self {
        Self::new(header, Some(turn), body)
    }

    fn new(header: Header, turn: Option<u16>, body: &[u8]) -> Self {
        const NO_TOPIC: [u8; 2] = [0; 2];
        let payload = [&NO_TOPIC[..], body].concat();
        Self {
            header: Header {
                // No dialect has messages of 4 GiB.
                payload_len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
                ..header
            },
            turn,
            payload,
        }
    }

    /// The id of a call, and the turn that it takes.
    pub(super) fn call_turn(&self) -> Option<(MsgId, u16)> {
        self.turn.map(|turn| (self.header.msg_id, turn))
    }

    pub(super) fn payload_len(&self) -> usize {
        self.payload.len()
    }
}

impl KeptMessages {
    pub(super) fn new(max_len: usize) -> Self {
        Self {
            messages: VecDeque::new(),
            len: 0,
            max_len,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.len >= self.max_len
    }

    pub(super) fn push(&mut self, message: Kept) {
        self.len += message.payload.len() + OVERHEAD;
        self.messages.push_back(message);
    }

    pub(super) fn first(&self) -> Option<&Kept> {
        self.messages.front()
    }

    /// Takes the first one, and writes its frame.
    pub(super) fn pop(&mut self, output: &mut Vec<u8>) {
        if let Some(message) = self.messages.pop_front() {
            self.len -= message.payload.len() + OVERHEAD;
            output.extend_from_slice(&message.header.encode());
            output.extend_from_slice(&message.payload);
        }
        if self.messages.is_empty() {
            // Its memory is given back.
            self.messages = VecDeque::new();
        }
    }

    pub(super) fn clear(&mut self) {
        self.messages = VecDeque::new();
        self.len = 0;
    }
}
