//! The service that sorts what a connection receives.

use std::{
    future::{Future, poll_fn},
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{endpoints::Endpoints, table::Table};
use crate::{
    Code, MsgKind, Status, Variant, VariantLabel,
    connection::CallToAnswer,
    describe::OwnSchema,
    raw::UntypedMessage,
    service::{Received, Receiver, SessionService, SubscriptionEvent},
};
use msip_schema::DESCRIBE_VARIANT;
use msip_session::{BareMessage, Incoming, ReplyTo, wire::Credit};

/// The answer to a call for a schema.
const DESCRIBED: Variant = Variant::new(DESCRIBE_VARIANT, "describe", MsgKind::Command);

/// Sorts what the sessions of a connection to a broker receive, for its endpoints.
#[derive(Debug)]
pub(crate) struct Demux(pub(crate) Endpoints);

impl SessionService for Demux {
    type Context = ();
    /// It answers with errors only: its endpoints answer.
    type Answer = UntypedMessage;

    fn serve(
        self: Arc<Self>,
        (): (),
        receiver: Receiver<UntypedMessage>,
    ) -> impl Future<Output = ()> + Send {
        let table = Table::new(self.0.clone(), receiver.connection(), receiver.terms());
        let mut sorter = Sorter { receiver, table };
        async move {
            poll_fn(|task| sorter.poll(task)).await;
            sorter.table.finish().await;
        }
    }
}

struct Sorter {
    receiver: Receiver<UntypedMessage>,
    table: Table,
}

impl Sorter {
    /// Ready when the session has ended.
    fn poll(&mut self, task: &mut Context<'_>) -> Poll<()> {
        self.table.poll(task);
        loop {
            if self.receiver.is_turn_over() {
                self.receiver.wait();
                self.receiver.yield_turn(task);
                return Poll::Pending;
            }
            if let Some(first) = self.receiver.peek_bare() {
                self.sort_bare(first);
                continue;
            }
            match ready!(self.receiver.poll_next(task)) {
                Some(Received::Bare) => {}
                Some(Received::Message(incoming)) => self.sort(incoming),
                Some(Received::Connected) => self.table.connected(self.receiver.terms()),
                Some(Received::Disconnected(reason)) => self.table.disconnected(&reason),
                Some(Received::Subscription(event)) => self.subscription(*event),
                None => return Poll::Ready(()),
            }
        }
    }

    /// Sorts the messages that come next without metadata, or a call.
    fn sort_bare(&mut self, first: BareMessage) {
        if first.call.is_some() {
            return self.sort_calls();
        }
        let (messages, memory) = self.receiver.take_run();
        let mut granted = Credit { items: 0, bytes: 0 };
        let mut unknown = 0;
        let mut rest = messages;
        while let Some(first) = rest.first() {
            let topic = memory.get(first.topic()).unwrap_or_default();
            let is_same =
                |message: &BareMessage| memory.get(message.topic()).unwrap_or_default() == topic;
            let len = rest.iter().position(|message| !is_same(message));
            let (run, others) = rest.split_at(len.unwrap_or(rest.len()));
            rest = others;
            if !self.table.add_bare(topic, run, memory) {
                unknown += run.len();
            }
            granted.items = granted
                .items
                .saturating_add(u32::try_from(run.len()).unwrap_or(u32::MAX));
            granted.bytes = run.iter().fold(granted.bytes, |sum, message| {
                sum.saturating_add(message.payload_len)
            });
        }
        let variant = messages.first().map_or(0, |message| message.variant);
        if unknown > 0 {
            self.receiver
                .ignored(VariantLabel::from(variant), &nobody());
        }
        if granted.items > 0 {
            self.receiver.handled_many(granted);
        }
    }

    /// Sorts the calls that come next without metadata. Whoever takes them looks whether they are awaited still.
    fn sort_calls(&mut self) {
        let is_closed = self.receiver.is_closed();
        let (calls, memory) = self.receiver.take_calls();
        if is_closed {
            return;
        }
        let mut unknown = Vec::new();
        let mut rest = calls;
        while let Some(first) = rest.first() {
            let topic = memory.get(first.topic()).unwrap_or_default();
            let is_same =
                |call: &BareMessage| memory.get(call.topic()).unwrap_or_default() == topic;
            let len = rest.iter().position(|call| !is_same(call));
            let (run, others) = rest.split_at(len.unwrap_or(rest.len()));
            rest = others;
            if !self.table.add_calls(topic, run, memory) {
                unknown.extend(run.iter().filter_map(|call| Some((call.call?, call.id))));
            }
        }
        for (slot, id) in unknown {
            let call = self.receiver.call(slot, id);
            self.receiver.responder(call, None).fail(&nobody());
        }
    }

    /// Sorts a message with metadata, a delivery or a call.
    fn sort(&mut self, incoming: Box<Incoming>) {
        let (reply, id, payload_len) = (incoming.reply, incoming.id, incoming.payload_len);
        let variant = VariantLabel::from(incoming.variant);
        if let ReplyTo::Call(slot) = reply {
            if self.receiver.is_closed() {
                return;
            }
            let call = self.receiver.call(slot, id);
            if incoming.variant == DESCRIBE_VARIANT
                && let Some(own) = self.table.schema(incoming.topic.as_bytes())
            {
                return self.describe(call, &own);
            }
            let sorted = self.receiver.check_awaited(call).and_then(|()| {
                match self.table.add(incoming)? {
                    true => Ok(()),
                    false => Err(nobody()),
                }
            });
            if let Err(status) = sorted {
                self.receiver.responder(call, None).fail(&status);
            }
            return;
        }
        let sorted = match self.table.add(incoming) {
            Ok(true) => Ok(()),
            Ok(false) => Err(nobody()),
            Err(status) => Err(status),
        };
        // A message that came by a datagram took no credit.
        if payload_len > 0 || sorted.is_err() {
            self.receiver.handled(payload_len);
        }
        let Err(status) = sorted else {
            return;
        };
        match reply {
            ReplyTo::Delivery { id, urgent } => {
                self.receiver.acknowledge(id, urgent, Err(status));
            }
            _ => self.receiver.ignored(variant, &status),
        }
    }

    /// Tells the schema of an endpoint.
    fn describe(&mut self, call: CallToAnswer, own: &OwnSchema) {
        let responder = self.receiver.responder(call, None);
        match own.text() {
            Ok(text) => responder.answer(&UntypedMessage::new(&DESCRIBED, text.clone())),
            Err(reason) => {
                let text = format!("no description: {reason}");
                responder.fail(&Status::new(Code::Unimplemented, text));
            }
        }
    }

    fn subscription(&mut self, event: SubscriptionEvent) {
        if let SubscriptionEvent::Refused(refused) = event {
            let status = Status::from(refused.text);
            self.table.refused(refused.topic.as_str(), &status);
        }
    }
}

/// Nobody hears this topic.
fn nobody() -> Status {
    Status::new(
        Code::NotFound,
        "no endpoint of this connection hears the topic",
    )
}
