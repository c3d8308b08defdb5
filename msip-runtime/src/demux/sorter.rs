//! The service that sorts what a connection receives.

use std::{
    future::{Future, poll_fn},
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{
    endpoints::Endpoints,
    table::{Found, Table},
};
use crate::{
    Code, Status, VariantLabel,
    raw::UntypedMessage,
    service::{Received, Receiver, SessionService, SubscriptionEvent},
};
use msip_session::{BareMessage, Incoming, ReplyTo, wire::Credit};

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
            // It was just seen.
            if let Some(message) = self.receiver.take_bare() {
                let incoming = self.receiver.incoming(message);
                self.sort(Box::new(incoming));
            }
            return;
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
            let found = self.table.add_bare(topic, run, memory);
            match found {
                Found::GrantsLater => continue,
                Found::GrantsNow => {}
                Found::Nobody => unknown += run.len(),
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

    /// Sorts a message with metadata, a delivery or a call.
    fn sort(&mut self, incoming: Box<Incoming>) {
        let (reply, id, payload_len) = (incoming.reply, incoming.id, incoming.payload_len);
        let variant = VariantLabel::from(incoming.variant);
        if let ReplyTo::Call(slot) = reply {
            if self.receiver.is_closed() {
                return;
            }
            let call = self.receiver.call(slot, id);
            let sorted =
                self.receiver
                    .check_awaited(call)
                    .and_then(|()| match self.table.add(incoming) {
                        Ok(Found::Nobody) => Err(nobody()),
                        sorted => sorted.map(|_| ()),
                    });
            if let Err(status) = sorted {
                self.receiver.responder(call, None).fail(&status);
            }
            return;
        }
        let sorted = self.table.add(incoming);
        let is_granted = match sorted {
            Ok(Found::GrantsLater) => return,
            Ok(Found::GrantsNow) => Ok(()),
            Ok(Found::Nobody) => Err(nobody()),
            Err(status) => Err(status),
        };
        // A message that came by a datagram took no credit.
        if payload_len > 0 || is_granted.is_err() {
            self.receiver.handled(payload_len);
        }
        let Err(status) = is_granted else {
            return;
        };
        match reply {
            ReplyTo::Delivery { id, urgent } => {
                self.receiver.acknowledge(id, urgent, Err(status));
            }
            _ => self.receiver.ignored(variant, &status),
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
