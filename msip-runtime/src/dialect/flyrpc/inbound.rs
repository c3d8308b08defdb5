//! The requests of the peer, as the session gets them: under ids of its own, in their order, and within what it allows.

use std::collections::{BTreeMap, VecDeque};

use msip_schema::MsgKind;
use msip_session::wire::{
    Credit, Flags, FrameType, Header, MsgId, Side, begin_frame, finish_frame,
};

use super::{
    super::{MAX_KEPT, Output, credit::Window},
    packet::{PacketKind, write_packet},
};

/// What a request that is kept counts besides its body.
const KEPT_OVERHEAD: usize = 64;

/// How far the ids of deliveries may be ahead of the oldest that is not answered (docs/protocol.md, "Resumption").
const DELIVERY_WINDOW: u64 = 4096;

/// A request of the peer, its payload put into an envelope.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) asker: Asker,
    /// Else it is a message, which the session acknowledges.
    pub(super) is_call: bool,
    pub(super) variant: u16,
    pub(super) kind: MsgKind,
    pub(super) urgent: bool,
    pub(super) body: Vec<u8>,
}

/// Who is answered, and whether by more than an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asker {
    pub(super) seq: u16,
    pub(super) wants_response: bool,
}

impl Asker {
    pub(super) fn answer(self, message: &[u8], output: &mut Output) {
        if self.wants_response {
            self.respond("", message, output);
        }
    }

    /// An error is sent to whoever asks, as the reference does, even where no response is wanted.
    pub(super) fn fail(self, code: &str, output: &mut Output) {
        self.respond(code, &[], output);
    }

    fn respond(self, code: &str, message: &[u8], output: &mut Output) {
        let kind = PacketKind::Response;
        write_packet(&mut output.to_peer, kind, self.seq, code, message);
    }
}

/// The requests that the session has, and those that it cannot take yet.
#[derive(Debug)]
pub(super) struct Inbound {
    /// The side whose part is played to the session.
    side: Side,
    is_open: bool,
    open: BTreeMap<u64, Asker>,
    open_calls: usize,
    max_calls: usize,
    window: Window,
    next_call: u64,
    next_delivery: u64,
    kept: VecDeque<Request>,
    kept_len: usize,
    max_kept: usize,
}

impl Inbound {
    pub(super) fn new(side: Side, max_body: usize) -> Self {
        Self {
            side,
            is_open: false,
            open: BTreeMap::new(),
            open_calls: 0,
            max_calls: 0,
            window: Window::default(),
            next_call: 2,
            next_delivery: 1,
            kept: VecDeque::new(),
            kept_len: 0,
            max_kept: MAX_KEPT.max(max_body),
        }
    }

    /// Whether nothing more is to be read until the session is done with something.
    pub(super) fn is_full(&self) -> bool {
        self.kept_len >= self.max_kept
    }

    /// Whether the session has not answered all that it was asked.
    pub(super) fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// The session is there, and allows so many open calls.
    pub(super) fn start(&mut self, max_calls: usize, output: &mut Vec<u8>) {
        self.is_open = true;
        self.max_calls = max_calls;
        self.give(output);
    }

    /// The session can take more messages.
    pub(super) fn grant(&mut self, credit: Credit, output: &mut Vec<u8>) {
        self.window.add(credit);
        self.give(output);
    }

    /// Gives a request to the session, or keeps it.
    pub(super) fn push(&mut self, request: Request, output: &mut Vec<u8>) {
        if self.kept.is_empty() && self.may_give(&request) {
            self.give_one(&request, output);
        } else {
            self.kept_len += request.body.len() + KEPT_OVERHEAD;
            self.kept.push_back(request);
        }
    }

    /// Who has asked what the session answers; `None` where that is nobody.
    pub(super) fn answered(&mut self, id: MsgId, output: &mut Vec<u8>) -> Option<Asker> {
        let asker = self.open.remove(&id.number())?;
        if !id.is_delivery() {
            self.open_calls = self.open_calls.saturating_sub(1);
        }
        self.give(output);
        Some(asker)
    }

    /// The session takes nothing more: those whose requests it does not get.
    pub(super) fn close(&mut self) -> impl Iterator<Item = Asker> {
        self.is_open = false;
        self.kept_len = 0;
        std::mem::take(&mut self.kept)
            .into_iter()
            .map(|kept| kept.asker)
    }

    fn give(&mut self, output: &mut Vec<u8>) {
        while self
            .kept
            .front()
            .is_some_and(|request| self.may_give(request))
            && let Some(request) = self.kept.pop_front()
        {
            self.kept_len = self
                .kept_len
                .saturating_sub(request.body.len() + KEPT_OVERHEAD);
            self.give_one(&request, output);
        }
    }

    fn may_give(&self, request: &Request) -> bool {
        if request.is_call {
            return self.is_open && self.open_calls < self.max_calls;
        }
        let first = MsgId::delivery(self.side, 0).number();
        let last = MsgId::delivery(self.side, u64::MAX).number();
        let oldest = self.open.range(first..=last).next();
        let is_within = oldest.is_none_or(|(oldest, _)| {
            self.next_delivery < (oldest - first).saturating_add(DELIVERY_WINDOW)
        });
        self.is_open && self.window.is_open() && is_within
    }

    fn give_one(&mut self, request: &Request, output: &mut Vec<u8>) {
        let id = if request.is_call {
            self.open_calls += 1;
            let id = MsgId::exchange(self.side, self.next_call);
            self.next_call = self.next_call.saturating_add(1);
            id
        } else {
            let id = MsgId::delivery(self.side, self.next_delivery);
            self.next_delivery = self.next_delivery.saturating_add(1);
            id
        };
        let mut flags = Flags::ACK_REQUIRED;
        if request.urgent {
            flags = flags | Flags::URGENT;
        }
        let frame_type = match self.side {
            Side::Connecting => FrameType::Publish,
            Side::Accepting => FrameType::Event,
        };
        let header = Header {
            flags,
            kind: request.kind.into(),
            variant: request.variant,
            ..Header::control(frame_type, id)
        };
        let mark = begin_frame(output, &header);
        // No topic.
        output.extend_from_slice(&[0, 0]);
        output.extend_from_slice(&request.body);
        // A body is limited to far less than 4 GiB.
        let _ = finish_frame(output, mark);
        if !request.is_call {
            self.window.spend(request.body.len() + 2);
        }
        self.open.insert(id.number(), request.asker);
    }
}
