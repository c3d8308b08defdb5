//! Exchanges that this side begins.

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use msip_runtime::{
    CallError, CallOptions, Client, Code, Peer, ResponseMetadata, Status, Stream, Streaming,
    prost::Message,
};
use tokio::{
    sync::{Mutex, mpsc},
    task::coop,
};

use super::{
    Driver, Exchange, MAX_STEPS, decode,
    endpoint::{self, Endpoint},
};
use crate::protocol::conformance::{
    Conformance, SendClientToServer, SendServerToClient,
    control::{Answered, Item, Sent, Start, command::Command as Told, report::Report as Event},
};

/// Begins an exchange. Messages leave in the order in which they were told, and are on their way when this returns where they need not
/// wait.
pub(super) async fn start(driver: &Arc<Driver>, told: Start) {
    let id = told.exchange;
    let endpoint = match endpoint::find(driver, told.endpoint) {
        Ok(endpoint) => endpoint,
        Err(status) => return driver.fail(id, status, HashMap::new()),
    };
    let (steps, told_steps) = mpsc::channel(MAX_STEPS);
    let (items, told_items) = mpsc::channel(MAX_STEPS);
    let exchange = Exchange {
        steps,
        items: Some(items),
    };
    driver.exchanges().insert(id, exchange);
    let outgoing = Outgoing {
        steps: told_steps,
        items: Some(told_items),
        metadata: ResponseMetadata::new(),
        to_read: told.read,
        send_lock: driver.send_lock(told.endpoint),
        driver: Arc::clone(driver),
        id,
    };
    let (owner, metadata) = (Arc::clone(driver), outgoing.metadata.clone());
    let mut running: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
        let outcome = match endpoint {
            Endpoint::Client(client) => of_client(&client, told, outgoing).await,
            Endpoint::OtherClient(client) => client.call(&told).await.map(|message| {
                Event::Answered(Answered {
                    exchange: id,
                    message,
                    ..Answered::default()
                })
            }),
            Endpoint::Peer(peer) => of_peer(&peer, told, outgoing).await,
            Endpoint::Server(_) => Err(Status::invalid_argument("it is a server").into()),
        };
        owner.exchanges().remove(&id);
        match outcome {
            Ok(event) => owner.report(event),
            Err(error) => owner.fail(id, error, headers(&metadata)),
        }
    });
    // Where tokio's budget is used up it would not join the queue of the lock, and others would overtake it.
    let mut first_poll = coop::unconstrained(running.as_mut());
    let first = poll_fn(|context| Poll::Ready(Pin::new(&mut first_poll).poll(context)));
    if first.await.is_pending() {
        driver.spawn(running);
    }
}

/// The exchanges of one side; both have the same members.
macro_rules! members {
    ($name:ident, $target:ty, $trait:ident) => {
        async fn $name(
            target: &$target,
            told: Start,
            mut out: Outgoing,
        ) -> Result<Event, CallError> {
            let target = &target.with(out.options(&told));
            let message = &*told.message;
            match &*told.member {
                "unary_req" => out.call($trait::unary_req(target, decode(message)?)).await,
                "fields_req" => out.call($trait::fields_req(target, decode(message)?)).await,
                "urgent_req" => out.call($trait::urgent_req(target, decode(message)?)).await,
                "short_req" => out.call($trait::short_req(target, decode(message)?)).await,
                "empty_req" => out.call($trait::empty_req(target)).await,
                "download_req" => {
                    let answers = $trait::download_req(target, decode(message)?);
                    out.stream(answers).await
                }
                "upload_req" => {
                    let requests = out.requests();
                    out.call($trait::upload_req(target, requests)).await
                }
                "both_req" => {
                    let requests = out.requests();
                    out.stream($trait::both_req(target, requests)).await
                }
                "note_ind" => out.send($trait::note_ind(target, decode(message)?)).await,
                "order_cmd" => out.send($trait::order_cmd(target, decode(message)?)).await,
                "place_state" => {
                    out.send($trait::place_state(target, decode(message)?))
                        .await
                }
                "trace_log" => out.send($trait::trace_log(target, decode(message)?)).await,
                "charge_metric" => {
                    out.send($trait::charge_metric(target, decode(message)?))
                        .await
                }
                "alarm_ind" => out.send($trait::alarm_ind(target, decode(message)?)).await,
                "save_ind" => {
                    out.deliver($trait::save_ind(target, decode(message)?))
                        .await
                }
                "plain_ind" => out.send($trait::plain_ind(target, decode(message)?)).await,
                "tick_ind" => out.send($trait::tick_ind(target)).await,
                other => Err(Status::unimplemented(other).into()),
            }
        }
    };
}

members!(of_client, Client<Conformance>, SendClientToServer);
members!(of_peer, Peer<Conformance>, SendServerToClient);

/// An exchange that this side has begun.
struct Outgoing {
    driver: Arc<Driver>,
    id: u64,
    steps: mpsc::Receiver<Told>,
    /// The items of its request, until they are taken for it.
    items: Option<mpsc::Receiver<Told>>,
    metadata: ResponseMetadata,
    to_read: u64,
    /// Held by a message until it is accepted. Of several sends that are polled at once, one may wait for the connection to write, and
    /// the next not: a program that wants an order awaits one after the other.
    send_lock: Arc<Mutex<()>>,
}

impl Outgoing {
    fn options(&self, told: &Start) -> CallOptions {
        let mut options = CallOptions::new()
            .headers(told.headers.clone())
            .response_metadata(&self.metadata);
        if told.timeout_ms > 0 {
            options = options.timeout(Duration::from_millis(told.timeout_ms.into()));
        }
        if told.clears {
            options = options.clearing();
        }
        if !told.correlation_id.is_empty() {
            options = options.correlation_id(&told.correlation_id);
        }
        options
    }

    /// The stream of requests, as it is told.
    fn requests<T>(&mut self) -> Requests<T> {
        Requests {
            items: self.items.take(),
            repeated: None,
        }
    }

    /// Sends a one-way message, and waits until it is accepted.
    async fn send<E: Into<CallError>>(
        self,
        sending: impl Future<Output = Result<(), E>>,
    ) -> Result<Event, CallError> {
        let send_lock = Arc::clone(&self.send_lock);
        self.sent(async {
            let _turn = send_lock.lock().await;
            sending.await
        })
        .await
    }

    /// Sends a delivery, and waits until it is acknowledged. Others do not wait for that.
    async fn deliver(
        self,
        sending: impl Future<Output = Result<(), CallError>>,
    ) -> Result<Event, CallError> {
        let send_lock = Arc::clone(&self.send_lock);
        let mut sending = pin!(sending);
        self.sent(async {
            let turn = send_lock.lock().await;
            let first = poll_fn(|context| Poll::Ready(sending.as_mut().poll(context))).await;
            drop(turn);
            match first {
                Poll::Ready(sent) => sent,
                Poll::Pending => sending.await,
            }
        })
        .await
    }

    async fn sent<E: Into<CallError>>(
        mut self,
        sending: impl Future<Output = Result<(), E>>,
    ) -> Result<Event, CallError> {
        let exchange = self.id;
        tokio::select! {
            sent = sending => sent.map_err(Into::into)?,
            () = self.cancelled() => return Err(given_up()),
        }
        Ok(Event::Sent(Sent { exchange }))
    }

    /// Makes a call with one answer.
    async fn call<T: Message>(
        mut self,
        calling: impl Future<Output = Result<T, CallError>>,
    ) -> Result<Event, CallError> {
        let answer = tokio::select! {
            answer = calling => answer?,
            () = self.cancelled() => return Err(given_up()),
        };
        Ok(self.answered(answer.encode_to_vec()))
    }

    /// Makes a call with a stream of answers, and reads as many as it is told.
    async fn stream<T: Message + 'static>(
        mut self,
        calling: impl Future<Output = Result<Streaming<T>, CallError>>,
    ) -> Result<Event, CallError> {
        let mut answers = tokio::select! {
            answers = calling => answers?,
            () = self.cancelled() => return Err(given_up()),
        };
        loop {
            tokio::select! {
                biased;
                step = self.steps.recv() => match step {
                    Some(Told::Read(read)) => self.to_read = self.to_read.saturating_add(read.count),
                    _ => return Err(given_up()),
                },
                item = answers.next(), if self.to_read > 0 => match item {
                    Some(item) => {
                        let message = item?.encode_to_vec();
                        self.to_read -= 1;
                        let exchange = self.id;
                        self.driver.report(Event::Item(Item { exchange, message }));
                    }
                    None => return Ok(self.answered(Vec::new())),
                },
            }
        }
    }

    fn answered(&self, message: Vec<u8>) -> Event {
        Event::Answered(Answered {
            exchange: self.id,
            message,
            headers: headers(&self.metadata),
        })
    }

    /// Waits until the exchange is given up.
    async fn cancelled(&mut self) {
        while let Some(Told::Read(read)) = self.steps.recv().await {
            self.to_read = self.to_read.saturating_add(read.count);
        }
    }
}

/// The headers of what came of an exchange.
fn headers(metadata: &ResponseMetadata) -> HashMap<String, String> {
    let metadata = metadata.get();
    let headers = metadata.iter().flat_map(|metadata| metadata.headers());
    headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn given_up() -> CallError {
    Status::new(Code::Cancelled, "given up").into()
}

/// The items of a request.
struct Requests<T> {
    items: Option<mpsc::Receiver<Told>>,
    /// One that is sent more often.
    repeated: Option<(T, u32)>,
}

impl<T: Message + Default + Clone + Unpin> Stream for Requests<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some((item, left)) = &mut self.repeated
            && *left > 0
        {
            *left -= 1;
            return Poll::Ready(Some(item.clone()));
        }
        let Some(items) = &mut self.items else {
            return Poll::Ready(None);
        };
        let Some(Told::Send(send)) = ready!(items.poll_recv(context)) else {
            self.items = None;
            return Poll::Ready(None);
        };
        // What the runner tells is well-formed.
        let item: T = decode(&send.message).unwrap_or_default();
        self.repeated = Some((item.clone(), send.count.saturating_sub(1)));
        Poll::Ready(Some(item))
    }
}
