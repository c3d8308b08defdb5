//! One side's calls with streams: those that it has opened, and those that it serves.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{
    super::{
        Blocked, CallShape, CreditBatcher, InboundSlot, Incoming, Item, ItemBatch, ItemTarget,
        Outcome, Reply, Session, Slot, StreamSide, Token, window::STREAM_GROWTH,
    },
    STREAM_WINDOW,
    flows::{FlowId, MAX_ITEM},
    node::{STREAM, fails},
    random::Random,
    rules::Rules,
};
use crate::wire::{Code, ErrorRef, Side};

/// Which parts of the call with this number are streams.
pub(super) fn shape_of(number: u64) -> CallShape {
    CallShape {
        request_stream: !number.is_multiple_of(3),
        response_stream: number % 3 != 1,
    }
}

/// How many items each stream has that its sender chooses the length of.
fn length_of(number: u64) -> u64 {
    number * 7 % 23
}

/// Which handlers answer before the requests have ended.
fn is_early(number: u64) -> bool {
    number % 5 == 1
}

/// A slow reader: items that were received and not read yet.
#[derive(Debug, Default)]
struct SimulatedReader {
    items: VecDeque<u32>,
    takes_at: Duration,
    credit_batcher: CreditBatcher,
    /// The sender waits for credit.
    is_credit_wanted: bool,
}

impl SimulatedReader {
    fn push(&mut self, item: &Item) -> Result<u64, String> {
        self.items.push_back(item.payload_len);
        if self.items.len() > (STREAM_WINDOW.items * STREAM_GROWTH) as usize {
            return Err(format!("{} items wait to be taken", self.items.len()));
        }
        let place = item.body.get(8..16).and_then(|bytes| bytes.first_chunk());
        place
            .map(|bytes| u64::from_be_bytes(*bytes))
            .ok_or_else(|| format!("an item of {} bytes", item.body.len()))
    }

    /// Takes the next one, if it is time.
    fn take(&mut self, now: Duration, random: &mut Random) -> Option<u32> {
        if now < self.takes_at {
            return None;
        }
        let len = self.items.pop_front()?;
        if random.once_in(3) {
            self.takes_at = now + Duration::from_millis(random.below(400));
        }
        Some(len)
    }

    /// Notes an item that was read, and notifies the session when that is due.
    fn taken(&mut self, end: StreamSide, len: u32, session: &mut Session) {
        let mut taken = self.credit_batcher.take(len);
        if std::mem::take(&mut self.is_credit_wanted) {
            taken = taken.or_else(|| self.credit_batcher.take_all());
        }
        if let Some(taken) = taken {
            self.credit_batcher
                .set_due(session.items_consumed(end, taken));
        }
    }
}

/// A call that this side has opened.
#[derive(Debug)]
struct Calling {
    number: u64,
    slot: Slot,
    /// How many requests are to be sent still, while their stream is open.
    requests: Option<u64>,
    answers: SimulatedReader,
}

/// A call that this side serves.
#[derive(Debug)]
struct Serving {
    number: u64,
    has_begun: bool,
    requests: SimulatedReader,
    have_requests_ended: bool,
    requests_taken: u64,
    /// How many answers are to be sent still.
    answers: u64,
}

/// All calls with streams of one side.
#[derive(Debug, Default)]
pub(super) struct Streams {
    calls: BTreeMap<Token, Calling>,
    inbound: BTreeMap<InboundSlot, Serving>,
}

impl Streams {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.inbound.is_empty()
    }

    /// The sender of this stream waits for credit.
    pub(super) fn want_credit(&mut self, target: ItemTarget) {
        let reader = match target {
            ItemTarget::Answers(token) => self.calls.get_mut(&token).map(|call| &mut call.answers),
            ItemTarget::Requests(slot) => {
                self.inbound.get_mut(&slot).map(|call| &mut call.requests)
            }
        };
        if let Some(reader) = reader {
            reader.is_credit_wanted = true;
        }
    }

    pub(super) fn clear(&mut self) {
        self.calls.clear();
        self.inbound.clear();
    }

    /// The session is over; what it served is dropped.
    pub(super) fn end_session(&mut self) {
        self.inbound.clear();
    }

    /// A call has been begun.
    pub(super) fn begin(&mut self, token: Token, number: u64, slot: Slot) {
        let requests = shape_of(number).request_stream.then(|| length_of(number));
        let calling = Calling {
            number,
            slot,
            requests,
            answers: SimulatedReader::default(),
        };
        self.calls.insert(token, calling);
    }

    /// The call has been given up.
    pub(super) fn forget(&mut self, token: Token) {
        self.calls.remove(&token);
    }

    /// The call has ended.
    pub(super) fn complete(
        &mut self,
        side: Side,
        token: Token,
        outcome: &Outcome,
        rules: &mut Rules,
    ) -> Result<(), String> {
        match (self.calls.remove(&token), outcome) {
            (Some(calling), Outcome::Answer { .. }) if shape_of(calling.number).response_stream => {
                rules.flows.end_received(answers(side, calling.number))
            }
            _ => Ok(()),
        }
    }

    /// An answer was received.
    pub(super) fn answer(
        &mut self,
        side: Side,
        token: Token,
        item: &Item,
        rules: &mut Rules,
    ) -> Result<(), String> {
        let Some(calling) = self.calls.get_mut(&token) else {
            return Err(format!("{side:?}: an item of a call that has ended"));
        };
        let place = calling.answers.push(item)?;
        rules.flows.received(answers(side, calling.number), place)
    }

    /// A call was received.
    pub(super) fn incoming(&mut self, slot: InboundSlot, number: u64, incoming: &Incoming) {
        let shape = shape_of(number);
        let serving = Serving {
            number,
            has_begun: false,
            requests: SimulatedReader::default(),
            have_requests_ended: !incoming.is_stream,
            requests_taken: 0,
            answers: if shape.request_stream {
                0
            } else {
                length_of(number)
            },
        };
        self.inbound.insert(slot, serving);
    }

    /// A request was received, or the end of them.
    pub(super) fn request(
        &mut self,
        side: Side,
        slot: InboundSlot,
        item: Option<&Item>,
        is_last: bool,
        rules: &mut Rules,
    ) -> Result<(), String> {
        let Some(serving) = self.inbound.get_mut(&slot) else {
            return Err(format!("{side:?}: a request of a call that is not served"));
        };
        let id = requests(side.reverse(), serving.number);
        if let Some(item) = item {
            let place = serving.requests.push(item)?;
            rules.flows.received(id, place)?;
        }
        if is_last {
            serving.have_requests_ended = true;
            rules.flows.end_received(id)?;
        }
        Ok(())
    }

    /// The handler of a call begins.
    pub(super) fn serve(&mut self, slot: InboundSlot, session: &mut Session) {
        let Some(serving) = self.inbound.get_mut(&slot) else {
            return;
        };
        serving.has_begun = true;
        if shape_of(serving.number).response_stream {
            session.begin_answers(slot);
        }
    }

    /// The caller has gone. Returns whether the handler had begun; `None` where it is no call with streams.
    pub(super) fn cancel(&mut self, slot: InboundSlot) -> Option<bool> {
        self.inbound.remove(&slot).map(|serving| serving.has_begun)
    }

    /// Lets all calls send and read what they can.
    pub(super) fn progress(
        &mut self,
        side: Side,
        session: &mut Session,
        now: Duration,
        random: &mut Random,
        rules: &mut Rules,
    ) -> Result<(), String> {
        for calling in self.calls.values_mut() {
            calling.progress(side, session, now, random, rules)?;
        }
        let mut done = Vec::new();
        for (slot, serving) in &mut self.inbound {
            if serving.has_begun && serving.progress(side, *slot, session, now, random, rules)? {
                done.push(*slot);
            }
        }
        for slot in done {
            self.inbound.remove(&slot);
        }
        Ok(())
    }
}

impl Calling {
    fn progress(
        &mut self,
        side: Side,
        session: &mut Session,
        now: Duration,
        random: &mut Random,
        rules: &mut Rules,
    ) -> Result<(), String> {
        let end = StreamSide::Caller(self.slot);
        while let Some(len) = self.answers.take(now, random) {
            rules.flows.taken(answers(side, self.number), len.into());
            self.answers.taken(end, len, session);
        }
        let id = requests(side, self.number);
        while let Some(left) = &mut self.requests {
            if *left == 0 {
                self.requests = None;
                session.end_requests(self.slot);
                rules.flows.ended(id)?;
            } else if random.once_in(4) {
                break;
            } else {
                match send(session, end, id, *left, random, rules)? {
                    0 => break,
                    sent => *left -= sent,
                }
            }
        }
        Ok(())
    }
}

impl Serving {
    /// Says whether the handler has ended.
    fn progress(
        &mut self,
        side: Side,
        slot: InboundSlot,
        session: &mut Session,
        now: Duration,
        random: &mut Random,
        rules: &mut Rules,
    ) -> Result<bool, String> {
        let (end, shape) = (StreamSide::Callee(slot), shape_of(self.number));
        while let Some(len) = self.requests.take(now, random) {
            let id = requests(side.reverse(), self.number);
            rules.flows.taken(id, len.into());
            self.requests.taken(end, len, session);
            self.requests_taken += 1;
            // Where both sides stream, each request is answered.
            self.answers += u64::from(shape.response_stream);
        }
        let id = answers(side.reverse(), self.number);
        if session.is_suspended() {
            // It began after the loss, and the answer is not awaited.
            let status = ErrorRef::new(Code::Cancelled, "the call has ended");
            session.reply(slot, Reply::<fn(&mut Vec<u8>)>::Error(status));
            return Ok(true);
        }
        while self.answers > 0 {
            if random.once_in(4) {
                return Ok(false);
            }
            match send(session, end, id, self.answers, random, rules)? {
                0 => return Ok(false),
                sent => self.answers -= sent,
            }
        }
        let is_early = is_early(self.number) && self.requests_taken > 1;
        let is_complete = self.have_requests_ended && self.requests.items.is_empty();
        if !(is_early || is_complete) {
            return Ok(false);
        }
        let number = self.number;
        rules.handled(side, number);
        if fails(number) {
            let status = ErrorRef::new(Code::NotFound, "not this one");
            session.reply(slot, Reply::<fn(&mut Vec<u8>)>::Error(status));
        } else if shape.response_stream {
            rules.flows.ended(id)?;
            session.reply(slot, Reply::<fn(&mut Vec<u8>)>::END);
        } else {
            let encode = |buffer: &mut Vec<u8>| buffer.extend_from_slice(&number.to_be_bytes());
            session.reply(
                slot,
                Reply::Message {
                    variant: STREAM,
                    len: 8,
                    compressed: false,
                    metadata: None,
                    encode,
                },
            );
        }
        Ok(true)
    }
}

/// Sends the next item or some more, up to `most`, where there is capacity. Returns how many.
fn send(
    session: &mut Session,
    end: StreamSide,
    id: FlowId,
    most: u64,
    random: &mut Random,
    rules: &mut Rules,
) -> Result<u64, String> {
    let first = rules.flows.sent_count(id);
    let most = if random.once_in(2) { most.min(8) } else { 1 };
    let bodies: Vec<Vec<u8>> = (first..first + most)
        .map(|place| body(id, place, random))
        .collect();
    let (sent, count) = if most == 1 {
        let body = bodies.first().map_or(&[][..], Vec::as_slice);
        let encode = |buffer: &mut Vec<u8>| buffer.extend_from_slice(body);
        let sent = session.send_item(end, STREAM, false, body.len(), encode);
        (sent, 1)
    } else {
        let mut batch = ItemBatch::default();
        let head = session.item_head(end);
        let head = head.ok_or_else(|| format!("{id:?}: no stream, and the call is open"))?;
        let capacity = session.item_capacity(end);
        for body in &bodies {
            let is_full = batch.item_count() >= capacity.items as usize
                || batch.payload_len() >= capacity.bytes as usize;
            if is_full && !batch.is_empty() {
                break;
            }
            let encode = |buffer: &mut Vec<u8>| buffer.extend_from_slice(body);
            batch.push(&head, STREAM, false, body.len(), encode);
        }
        let count = batch.item_count();
        (session.send_items(end, &mut batch), count)
    };
    match sent {
        Ok(()) => {
            // An item of requests has a topic, an empty one.
            let topic = if id.is_answers { 0 } else { 2 };
            for body in bodies.iter().take(count) {
                rules.flows.sent(id, body.len() as u64 + topic)?;
            }
            Ok(count as u64)
        }
        Err(Blocked::NoCapacity) => Ok(0),
        Err(blocked) => Err(format!("{id:?}: {blocked:?}, and the call is open")),
    }
}

/// An item that tells its place, short or as long as items are.
fn body(id: FlowId, place: u64, random: &mut Random) -> Vec<u8> {
    let len = if random.once_in(4) {
        MAX_ITEM as usize - 18
    } else {
        16
    };
    let mut body = [id.number.to_be_bytes(), place.to_be_bytes()].concat();
    body.resize(len, 7);
    body
}

fn requests(caller: Side, number: u64) -> FlowId {
    FlowId {
        caller,
        number,
        is_answers: false,
    }
}

fn answers(caller: Side, number: u64) -> FlowId {
    FlowId {
        caller,
        number,
        is_answers: true,
    }
}
