//! What a server says on its own goes into the session's log.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use msip_runtime::{
    Status,
    untyped::{Event, Inbound, Reply, Service, UntypedExchange, UntypedPeer},
};

use super::events::{EventLog, ServerEvent};

/// The service of a session.
#[derive(Debug)]
pub(super) struct EventService {
    log: Arc<EventLog>,
    had_session: AtomicBool,
}

impl Service for EventService {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        if self.had_session.swap(true, Ordering::Relaxed) {
            self.log.lost();
        }
        while let Some(event) = inbound.next().await {
            match event {
                Event::Messages(messages) => {
                    for message in messages.iter() {
                        if !is_internal(message.topic()) {
                            // A copy: it would keep all that was read together.
                            let body = Bytes::copy_from_slice(message.body());
                            self.push(message.number(), body);
                        }
                    }
                }
                Event::Exchange(exchange) => self.exchange(exchange),
                Event::SubscriptionLost { status, .. } => self.log.end(status),
                _ => {}
            }
        }
    }
}

impl EventService {
    pub(super) fn new(log: &Arc<EventLog>) -> Self {
        Self {
            log: Arc::clone(log),
            had_session: AtomicBool::new(false),
        }
    }

    fn push(&self, number: u16, body: Bytes) {
        self.log.push(ServerEvent { number, body });
    }

    fn exchange(&self, exchange: UntypedExchange) {
        let number = exchange.message.number();
        if is_internal(exchange.message.topic()) {
            return exchange.refuse(Status::unimplemented_variant(number));
        }
        let body = exchange.message.body();
        match (exchange.reply, body) {
            (Reply::Nobody, Ok(body)) => self.push(number, body),
            (Reply::Nobody, Err(error)) => {
                tracing::debug!(%error, "an event of the server cannot be read");
            }
            (Reply::Delivery(acknowledgment), Ok(body)) => {
                if self.log.has_readers() {
                    self.push(number, body);
                    acknowledgment.acknowledge();
                } else {
                    let nobody = "no event stream of this client is open";
                    acknowledgment.fail(Status::unavailable(nobody));
                }
            }
            (Reply::Delivery(acknowledgment), Err(error)) => {
                acknowledgment.fail(Status::invalid_argument(error.to_string()));
            }
            (Reply::Call(responder), _) => {
                let text = "a client of an HTTP gateway answers no calls";
                responder.fail(&Status::new(msip_runtime::Code::Unimplemented, text));
            }
            // Whatever waits is answered when it is dropped.
            _ => {}
        }
    }
}

/// Whether a broker speaks for itself.
fn is_internal(topic: &str) -> bool {
    topic.starts_with('$')
}
