//! The requests of this side that the peer has not answered.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use msip_session::wire::{Flags, Header, MsgId};

use super::{
    super::{DialectError, credit::Earned},
    packet::fault,
};

/// How long a message waits for its response before another may be sent in its place: as long as the reference's callers wait.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many requests may be without a response. A peer that leaves more has lost them, and the numbers must not run out.
const MAX_UNANSWERED: usize = 32_768;

/// Who waits for a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AwaitedResponse {
    /// A call, answered by this variant.
    Call { id: MsgId, response: u16 },
    /// A one-way message; its sender too, where it waits for the acknowledgment.
    Message { nth: u64, delivery: Option<MsgId> },
    /// A PING of this many bytes.
    Ping { id: MsgId, len: usize },
}

impl AwaitedResponse {
    const fn is_awaited(self) -> bool {
        match self {
            Self::Call { .. } => true,
            Self::Message { delivery, .. } => delivery.is_some(),
            Self::Ping { .. } => false,
        }
    }
}

/// The requests that were sent, by their numbers. A number is not used again before its response is there.
#[derive(Debug)]
pub(super) struct Requests {
    open: HashMap<u16, AwaitedResponse>,
    /// How many of them somebody waits for.
    awaited: usize,
    next: u16,
    /// The messages whose credit was not given back: when they were sent, and their length. Their number is bounded by the
    /// credit.
    messages: BTreeMap<u64, (Duration, u32)>,
    next_message: u64,
    /// What the session gets back.
    earned: Earned,
}

impl Requests {
    pub(super) fn new() -> Self {
        Self {
            open: HashMap::new(),
            awaited: 0,
            next: 1,
            messages: BTreeMap::new(),
            next_message: 0,
            earned: Earned::default(),
        }
    }

    /// The number of a new request.
    ///
    /// # Errors
    ///
    /// The peer has left too many without a response.
    pub(super) fn open(&mut self, asked: AwaitedResponse) -> Result<u16, DialectError> {
        if self.open.len() >= MAX_UNANSWERED {
            return Err(fault(format!(
                "{MAX_UNANSWERED} requests have no response: the peer does not answer what it cannot read"
            )));
        }
        // Of 65,536 numbers more than half are free.
        while self.open.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let seq = self.next;
        self.next = seq.wrapping_add(1);
        self.open.insert(seq, asked);
        if asked.is_awaited() {
            self.awaited += 1;
        }
        Ok(seq)
    }

    /// The same for a message that has taken this many bytes of credit.
    ///
    /// # Errors
    ///
    /// As of [`open`](Self::open).
    pub(super) fn open_message(
        &mut self,
        delivery: Option<MsgId>,
        len: u32,
        now: Duration,
    ) -> Result<u16, DialectError> {
        let nth = self.next_message;
        let seq = self.open(AwaitedResponse::Message { nth, delivery })?;
        self.next_message = nth.saturating_add(1);
        self.messages.insert(nth, (now, len));
        Ok(seq)
    }

    /// Takes out what the peer answers; `None` where nobody waits for that.
    pub(super) fn answered(&mut self, seq: u16) -> Option<AwaitedResponse> {
        let asked = self.open.remove(&seq)?;
        if asked.is_awaited() {
            self.awaited = self.awaited.saturating_sub(1);
        }
        if let AwaitedResponse::Message { nth, .. } = asked {
            self.earn(nth);
        }
        Some(asked)
    }

    /// Whether somebody waits for a response.
    pub(super) const fn has_awaited(&self) -> bool {
        self.awaited > 0
    }

    fn earn(&mut self, nth: u64) {
        if let Some((_, len)) = self.messages.remove(&nth) {
            self.earned.add(len);
        }
    }

    /// What was not sent at all is no more under way. A call has taken no credit.
    pub(super) fn earn_unsent(&mut self, header: &Header) {
        let is_call = header.flags.contains(Flags::ACK_REQUIRED) && !header.msg_id.is_delivery();
        if !is_call && !header.flags.contains(Flags::ITEM) {
            self.earned.add(header.payload_len);
        }
    }

    /// When the oldest message has waited for long enough.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        let (_, (sent, _)) = self.messages.first_key_value()?;
        Some(sent.saturating_add(MESSAGE_TIMEOUT))
    }

    pub(super) fn handle_timeout(&mut self, now: Duration) {
        while let Some((nth, (sent, _))) = self.messages.first_key_value() {
            if sent.saturating_add(MESSAGE_TIMEOUT) > now {
                return;
            }
            let nth = *nth;
            self.earn(nth);
        }
    }

    /// Grants again what messages are done with.
    pub(super) fn grant(&mut self, output: &mut Vec<u8>) {
        self.earned.grant(output);
    }

    /// Begins with another number than 1.
    #[cfg(test)]
    pub(super) fn start_at(&mut self, seq: u16) {
        self.next = seq;
    }
}

#[cfg(test)]
mod tests {
    use msip_session::wire::{Credit, HEADER_LEN};

    use super::*;

    const CALL: AwaitedResponse = AwaitedResponse::Call {
        id: MsgId::CONNECTION,
        response: 1,
    };

    #[test]
    fn numbers_count_from_1_and_wrap_over_those_that_are_open() {
        let mut requests = Requests::new();
        assert_eq!(requests.open(CALL), Ok(1));
        assert_eq!(requests.open(CALL), Ok(2));
        assert_eq!(requests.answered(1), Some(CALL));
        requests.start_at(65_535);
        assert_eq!(requests.open(CALL), Ok(65_535));
        assert_eq!(requests.open(CALL), Ok(0));
        assert_eq!(requests.open(CALL), Ok(1));
        assert_eq!(requests.open(CALL), Ok(3), "2 is open");
        assert_eq!(requests.answered(4), None);
    }

    #[test]
    fn a_peer_that_answers_nothing_is_given_up() {
        let mut requests = Requests::new();
        for _ in 0..MAX_UNANSWERED {
            requests.open(CALL).unwrap();
        }
        assert!(requests.open(CALL).is_err());
    }

    #[test]
    fn credit_comes_back_with_the_response_or_after_10_seconds() {
        let mut requests = Requests::new();
        let at = Duration::from_secs;
        let first = requests.open_message(None, 5, at(1)).unwrap();
        let second = requests.open_message(None, 7, at(2)).unwrap();
        assert_eq!(requests.poll_timeout(), Some(at(11)));
        assert!(requests.answered(second).is_some());
        let credit = |requests: &mut Requests| {
            let mut frame = Vec::new();
            requests.grant(&mut frame);
            frame
                .get(HEADER_LEN..)
                .map(|payload| Credit::parse(payload).unwrap())
        };
        let worth = |items, bytes| Some(Credit { items, bytes });
        assert_eq!(credit(&mut requests), worth(1, 7));
        requests.handle_timeout(at(10));
        assert_eq!(credit(&mut requests), None);
        requests.handle_timeout(at(11));
        assert_eq!(credit(&mut requests), worth(1, 5));
        assert_eq!(requests.poll_timeout(), None);
        assert!(requests.answered(first).is_some(), "it is late, and known");
        assert_eq!(credit(&mut requests), None, "once only");
    }
}
