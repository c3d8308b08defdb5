//! Exchanges that the other side begins: what their handlers are told.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use msip_runtime::{Call, Status, Stream, Streaming, prost::Message};
use tokio::sync::mpsc;

use super::{Driver, Exchange, MAX_STEPS, status, told};
use crate::protocol::conformance::{
    self,
    control::{
        HandlerDropped, Handling, Item, ItemsEnded, command::Command as Told,
        report::Report as Event,
    },
};

/// An exchange in its handler.
pub(super) struct Handler {
    driver: Arc<Driver>,
    id: u64,
    steps: mpsc::Receiver<Told>,
    has_returned: bool,
}

impl Handler {
    /// Reports that a handler was called.
    pub(super) fn begin(
        driver: &Arc<Driver>,
        endpoint: u64,
        member: &str,
        message: &impl Message,
        call: &Call<'_>,
    ) -> Self {
        let id = driver.number();
        let (steps, told) = mpsc::channel(MAX_STEPS);
        let exchange = Exchange { steps, items: None };
        driver.exchanges().insert(id, exchange);
        let metadata = call.metadata();
        let headers = metadata.headers();
        let left = call.remaining().unwrap_or_default().as_millis();
        driver.report(Event::Handling(Handling {
            endpoint,
            exchange: id,
            member: member.to_owned(),
            message: message.encode_to_vec(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            correlation_id: metadata.correlation_id().unwrap_or_default().to_owned(),
            remaining_ms: u32::try_from(left).unwrap_or(u32::MAX),
            user: metadata
                .identity()
                .map_or_else(String::new, |identity| identity.user.clone()),
            cleared: false,
        }));
        Self {
            driver: Arc::clone(driver),
            id,
            steps: told,
            has_returned: false,
        }
    }

    /// Reports that a STATE was cleared, as a message of its key alone.
    pub(super) fn cleared(driver: &Driver, endpoint: u64, member: &str, state: &impl Message) {
        driver.report(Event::Handling(Handling {
            endpoint,
            exchange: driver.number(),
            member: member.to_owned(),
            message: state.encode_to_vec(),
            cleared: true,
            ..Handling::default()
        }));
    }

    /// Waits until the handler is to return.
    pub(super) async fn returns<T: Message + Default>(
        mut self,
        call: &Call<'_>,
    ) -> Result<T, Status> {
        loop {
            if let Some(outcome) = self.outcome(call).await {
                return outcome;
            }
        }
    }

    /// The same, where the request is a stream that is read meanwhile.
    pub(super) async fn reads<T: Message + Default>(
        mut self,
        mut requests: Streaming<conformance::Item>,
        call: &Call<'_>,
    ) -> Result<T, Status> {
        let mut reading = Reading::default();
        loop {
            let step = tokio::select! {
                biased;
                step = self.steps.recv() => step,
                item = requests.next(), if reading.left > 0 => {
                    reading.take(&self.driver, self.id, item);
                    continue;
                }
            };
            match step {
                Some(Told::Read(read)) => reading.allow(read.count),
                step => {
                    if let Some(outcome) = self.take(step, call) {
                        return outcome;
                    }
                }
            }
        }
    }

    /// Returns at once.
    pub(super) fn done(mut self) {
        self.has_returned = true;
    }

    /// The stream of answers, as it is told.
    pub(super) fn answers<T>(self, requests: Option<Streaming<conformance::Item>>) -> Answers<T> {
        Answers {
            handler: self,
            requests,
            reading: Reading::default(),
            repeated: None,
        }
    }

    async fn outcome<T: Message + Default>(
        &mut self,
        call: &Call<'_>,
    ) -> Option<Result<T, Status>> {
        let step = self.steps.recv().await;
        self.take(step, call)
    }

    /// The outcome, where a step says it.
    fn take<T: Message + Default>(
        &mut self,
        step: Option<Told>,
        call: &Call<'_>,
    ) -> Option<Result<T, Status>> {
        let (outcome, headers) = match step {
            Some(Told::Answer(answer)) => {
                let message = T::decode(&*answer.message);
                (message.map_err(|_| no_message()), answer.headers)
            }
            Some(Told::Fail(fail)) => {
                let told = fail.status.unwrap_or_default();
                let headers = told.headers.clone();
                (Err(status(Some(told))), headers)
            }
            // The case is over.
            None => (Err(Status::unavailable("the case is over")), [].into()),
            Some(_) => return None,
        };
        self.has_returned = true;
        for (name, value) in headers {
            if let Err(error) = call.set_header(&name, &value) {
                return Some(Err(error.into()));
            }
        }
        Some(outcome)
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.driver.exchanges().remove(&self.id);
        if !self.has_returned {
            let exchange = self.id;
            self.driver
                .report(Event::HandlerDropped(HandlerDropped { exchange }));
        }
    }
}

fn no_message() -> Status {
    Status::internal("told no message")
}

/// How many requests are still to be read.
#[derive(Default)]
struct Reading {
    left: u64,
    has_ended: bool,
}

impl Reading {
    fn allow(&mut self, count: u64) {
        if !self.has_ended {
            self.left = self.left.saturating_add(count);
        }
    }

    /// Reports what was read.
    fn take<E: Into<Status>>(
        &mut self,
        driver: &Driver,
        exchange: u64,
        item: Option<Result<conformance::Item, E>>,
    ) {
        let status = match item {
            Some(Ok(item)) => {
                self.left -= 1;
                let message = item.encode_to_vec();
                return driver.report(Event::Item(Item { exchange, message }));
            }
            Some(Err(error)) => Some(told(&error.into())),
            None => None,
        };
        (self.left, self.has_ended) = (0, true);
        driver.report(Event::ItemsEnded(ItemsEnded { exchange, status }));
    }
}

/// A stream of answers.
pub(super) struct Answers<T> {
    handler: Handler,
    requests: Option<Streaming<conformance::Item>>,
    reading: Reading,
    /// One that is sent more often.
    repeated: Option<(T, u32)>,
}

impl<T: Message + Default + Clone + Unpin> Stream for Answers<T> {
    type Item = Result<T, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.handler.has_returned {
            return Poll::Ready(None);
        }
        loop {
            if let Some((item, left)) = &mut this.repeated
                && *left > 0
            {
                *left -= 1;
                return Poll::Ready(Some(Ok(item.clone())));
            }
            if this.reading.left > 0
                && let Some(requests) = &mut this.requests
                && let Poll::Ready(item) = Pin::new(requests).poll_next(context)
            {
                this.reading
                    .take(&this.handler.driver, this.handler.id, item);
                continue;
            }
            let step = ready!(this.handler.steps.poll_recv(context));
            match step {
                Some(Told::Send(send)) => {
                    // What the runner tells is well-formed.
                    let item = T::decode(&*send.message).unwrap_or_default();
                    this.repeated = Some((item, send.count.max(1)));
                }
                Some(Told::Read(read)) => this.reading.allow(read.count),
                Some(Told::Fail(fail)) => {
                    this.handler.has_returned = true;
                    return Poll::Ready(Some(Err(status(fail.status))));
                }
                Some(_) | None => {
                    this.handler.has_returned = true;
                    return Poll::Ready(None);
                }
            }
        }
    }
}
