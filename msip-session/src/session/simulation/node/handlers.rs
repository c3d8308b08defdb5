//! The handlers of a side: they serve what was received, one-way messages in order, and calls concurrently.

use std::time::Duration;

use super::{Asks, CALL, Node, Queued, Running, STREAM, Subscribing, answer_len, fails, number_of};
use crate::{
    session::{
        Event, InboundSlot, Reply, ReplyTo, Session,
        simulation::{random::Random, rules::Rules},
    },
    wire::{Code, Credit, ErrorRef, Flags, FrameType, Header, Side},
};

/// One message in so many has a handler that asks the peer.
const ASKING: u64 = 9;

/// One call in so many has a handler that runs on when it is cancelled.
const RUNS_ON: u64 = 3;

impl Node {
    /// Calls of the peer are dropped.
    pub(super) fn cancel(&mut self, slots: &[InboundSlot]) {
        let Some(session) = self.session.as_mut() else {
            return;
        };
        let generation = self.generation;
        for slot in slots {
            let is_it =
                |running: &Running| running.slot == *slot && running.generation == generation;
            // Some handlers take their time to end.
            let runs_on =
                |running: &Running| is_it(running) && running.number.is_multiple_of(RUNS_ON);
            if self.running.iter().any(runs_on) {
                continue;
            }
            if self.streams.cancel(*slot) == Some(true) || self.running.iter().any(is_it) {
                self.running.retain(|running| !is_it(running));
                let status = ErrorRef::new(Code::Internal, "dropped");
                session.reply(*slot, Reply::<fn(&mut Vec<u8>)>::Error(status));
            } else {
                self.cancelled.push(*slot);
            }
        }
    }

    /// Hands what has been read to the session.
    pub(in crate::session::simulation) fn handle_read(
        &mut self,
        bytes: &[u8],
        now: Duration,
        rules: &mut Rules,
    ) -> Result<(), String> {
        let Some(attached) = self.attached.as_mut() else {
            return Ok(());
        };
        attached.decoder.buffer().extend_from_slice(bytes);
        self.handle_decoded(now, rules)
    }

    /// Hands all whole frames to the session.
    pub(in crate::session::simulation) fn handle_decoded(
        &mut self,
        now: Duration,
        rules: &mut Rules,
    ) -> Result<(), String> {
        loop {
            let (Some(session), Some(attached)) = (self.session.as_mut(), self.attached.as_mut())
            else {
                return Ok(());
            };
            session.received(now);
            let before = (session.ignored(), session.send_window.items());
            let Some(frame) = attached
                .decoder
                .decode()
                .map_err(|error| error.to_string())?
            else {
                return Ok(());
            };
            let may_be_late = is_part(&frame.header);
            let event = session
                .handle_any(frame, now)
                .map_err(|fault| format!("{:?} finds a fault: {fault}", self.side))?;
            // A frame of no exchange is counted, and grants no credit.
            let is_for_one = may_be_late && event.is_none();
            if is_for_one
                && (session.ignored(), session.send_window.items()) != (before.0 + 1, before.1)
            {
                return Err(format!("{:?}: a late frame, and not counted", self.side));
            }
            match event {
                None | Some(Event::Capacity | Event::GivenUpEnded(_) | Event::StreamCredit(_)) => {}
                Some(Event::Item { token, item }) => {
                    self.streams.answer(self.side, token, &item, rules)?;
                }
                Some(Event::RequestItem {
                    slot,
                    item,
                    is_last,
                }) => {
                    let item = item.as_ref();
                    self.streams
                        .request(self.side, slot, item, is_last, rules)?;
                }
                Some(Event::Cancelled(slot)) => self.cancel(&[slot]),
                Some(Event::Answered { token, outcome }) => {
                    self.complete(token, &outcome, rules)?;
                }
                Some(Event::Subscribe(request)) => {
                    let number = request.topic.as_str().parse().map_err(|_| "no number")?;
                    rules.subscribed(self.side, number)?;
                    self.subscribing.push(Subscribing {
                        reply: request.reply,
                        number,
                        generation: self.generation,
                    });
                }
                Some(Event::Incoming(incoming)) => {
                    let connection = session.connection();
                    if let ReplyTo::Call(slot) = incoming.reply
                        && incoming.variant == STREAM
                    {
                        let number = number_of(&incoming);
                        self.streams.incoming(slot, number, &incoming);
                    }
                    self.queue.push_back(Queued {
                        incoming,
                        generation: self.generation,
                        connection,
                        by_datagram: false,
                    });
                }
                Some(event) => return Err(format!("{:?} has {event:?}", self.side)),
            }
        }
    }

    /// Lets the handlers go on: one-way messages one after the other, calls side by side.
    pub(in crate::session::simulation) fn handle_messages(
        &mut self,
        now: Duration,
        random: &mut Random,
        rules: &mut Rules,
    ) -> Result<(), String> {
        loop {
            if let Some((queued, until)) = self.handling.take() {
                self.ask(now, rules);
                if now < until || self.is_asking() {
                    self.handling = Some((queued, until));
                    break;
                }
                self.asks = None;
                self.handled(&queued, rules);
            }
            if self.session.as_ref().is_some_and(Session::is_backlogged) {
                break;
            }
            let Some(queued) = self.queue.pop_front() else {
                break;
            };
            self.check_owed()?;
            let number = number_of(&queued.incoming);
            match queued.incoming.reply {
                ReplyTo::Call(slot) => {
                    if queued.generation != self.generation || self.session.is_none() {
                        continue;
                    }
                    if let Some(place) = self.cancelled.iter().position(|it| *it == slot) {
                        self.cancelled.remove(place);
                        if let Some(session) = self.session.as_mut() {
                            let status = ErrorRef::new(Code::Internal, "dropped");
                            session.reply(slot, Reply::<fn(&mut Vec<u8>)>::Error(status));
                        }
                        continue;
                    }
                    rules.handling(self.side, number)?;
                    if queued.incoming.variant == STREAM {
                        if let Some(session) = self.session.as_mut() {
                            self.streams.serve(slot, session);
                        }
                        continue;
                    }
                    let time = if random.once_in(2) {
                        0
                    } else {
                        random.below(3000)
                    };
                    self.running.push(Running {
                        slot,
                        number,
                        generation: queued.generation,
                        until: now + Duration::from_millis(time),
                    });
                }
                ReplyTo::Nobody | ReplyTo::Delivery { .. } => {
                    if queued.by_datagram {
                        rules.handling_datagram(self.side, number)?;
                    } else {
                        rules.handling(self.side, number)?;
                    }
                    // There are many datagrams, and most of them are for a counter.
                    let times = if queued.by_datagram { 30 } else { 3 };
                    let time = if random.once_in(times) {
                        random.below(300)
                    } else {
                        0
                    };
                    if self.side == Side::Accepting && number.is_multiple_of(ASKING) {
                        self.asks = Some(Asks::Soon);
                    }
                    self.handling = Some((queued, now + Duration::from_millis(time)));
                }
            }
        }
        self.reply(now, rules);
        self.answer_subscribes(random);
        Ok(())
    }

    /// Answers SUBSCRIBEs, some later than others.
    fn answer_subscribes(&mut self, random: &mut Random) {
        let waiting = std::mem::take(&mut self.subscribing);
        for subscribing in waiting {
            if random.once_in(3) {
                self.subscribing.push(subscribing);
                continue;
            }
            let Some(session) = self
                .session
                .as_mut()
                .filter(|_| subscribing.generation == self.generation)
            else {
                continue;
            };
            let failure = ErrorRef::new(Code::NotFound, "not this one");
            let is_refused = fails(subscribing.number);
            let outcome: Result<&[u8], _> = if is_refused { Err(failure) } else { Ok(&[]) };
            session.answer_subscribe(subscribing.reply, outcome);
        }
    }

    /// A handler begins: checks that the peer has not left too many answers unread.
    fn check_owed(&self) -> Result<(), String> {
        let Some(session) = self.session.as_ref().filter(|it| it.is_open()) else {
            return Ok(());
        };
        let owed = session.outgoing.response_cost();
        if owed > session.config.outgoing_queue {
            return Err(format!(
                "{:?} begins a handler, and owes {owed} bytes",
                self.side
            ));
        }
        Ok(())
    }

    /// A one-way message has been handled.
    fn handled(&mut self, queued: &Queued, rules: &mut Rules) {
        let number = number_of(&queued.incoming);
        rules.handled(self.side, number);
        let Some(session) = self
            .session
            .as_mut()
            .filter(|_| queued.generation == self.generation)
        else {
            return;
        };
        if let ReplyTo::Delivery { id, urgent } = queued.incoming.reply {
            let failure = ErrorRef::new(Code::NotFound, "not this one");
            let outcome = if fails(number) { Err(failure) } else { Ok(()) };
            session.acknowledge(id, urgent, outcome);
        }
        // As a driver knows it: it has taken no credit.
        if queued.incoming.payload_len == 0 {
            session.datagram_handled();
            return;
        }
        let handled = Credit {
            items: 1,
            bytes: queued.incoming.payload_len,
        };
        session.consumed(handled, queued.connection);
    }

    /// Answers the calls whose handlers have ended.
    fn reply(&mut self, now: Duration, rules: &mut Rules) {
        let (done, running): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|running| running.until <= now);
        self.running = running;
        for Running {
            slot,
            number,
            generation,
            ..
        } in done
        {
            rules.handled(self.side, number);
            let Some(session) = self
                .session
                .as_mut()
                .filter(|_| generation == self.generation)
            else {
                continue;
            };
            if fails(number) {
                let status = ErrorRef::new(Code::NotFound, "not this one");
                session.reply(slot, Reply::<fn(&mut Vec<u8>)>::Error(status));
            } else {
                let len = answer_len(number);
                let encode = |buffer: &mut Vec<u8>| {
                    let end = buffer.len() + len;
                    buffer.extend_from_slice(&number.to_be_bytes());
                    buffer.resize(end, 7);
                };
                session.reply(
                    slot,
                    Reply::Message {
                        variant: CALL,
                        len,
                        compressed: false,
                        metadata: None,
                        encode,
                    },
                );
            }
        }
    }
}

/// Whether a frame is a later part of an exchange: it may come when that has ended.
fn is_part(header: &Header) -> bool {
    match header.frame_type {
        FrameType::Publish | FrameType::Event => header.flags.contains(Flags::ITEM),
        FrameType::Ack | FrameType::Error | FrameType::Cancel => true,
        FrameType::Credit => !header.msg_id.is_connection(),
        _ => false,
    }
}
