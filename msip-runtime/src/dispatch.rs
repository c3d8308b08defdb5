//! From bodies to handlers: one-way messages one after the other, calls side by side.
//!
//! The loop here runs inside the connection's own task, so that a message costs no task of its own. A call is
//! polled once in place, and only if it is not done by then does it move to a task, which this loop owns.

use std::{
    any::Any,
    collections::VecDeque,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::{
    Answered, BodyError, Code, DisconnectReason, Envelope, ItemStream, SendError, Status,
    Streaming,
    body::Encoding,
    call::Call,
    link::{CallToAnswer, Link, PROTOCOL_TIMEOUT, Terms},
    protocol::{Exchange, Variant, variant_of},
    session::{Incoming, Reply, ReplyTo, ServedSlot, Session},
    wire::Credit,
};

/// One side of a protocol with its handler: what a message becomes a method call of.
pub(crate) trait Dispatch: Send + Sync + 'static {
    /// What the other side says.
    type In: Envelope;
    /// What this side answers with.
    type Out: Envelope;
    /// What a handler is given beside the message: the peer, or the client.
    type Context: Clone + Send + Sync + 'static;

    /// The context of one exchange.
    fn for_call(context: &Self::Context, call: Call) -> Self::Context;

    /// Hands a message to its handler method.
    fn dispatch(
        &self,
        context: &Self::Context,
        message: Self::In,
    ) -> impl Future<Output = Result<Answered<Self::Out>, Status>> + Send;

    /// Hands a stream of requests to the handler method of this variant.
    fn dispatch_stream(
        &self,
        context: &Self::Context,
        variant: u16,
        requests: Streaming<Self::In>,
    ) -> impl Future<Output = Result<Answered<Self::Out>, Status>> + Send;

    /// The connection is there.
    fn connected(&self, context: &Self::Context) -> impl Future<Output = ()> + Send;

    /// The connection is gone.
    fn disconnected(
        &self,
        context: &Self::Context,
        reason: DisconnectReason,
    ) -> impl Future<Output = ()> + Send;
}

/// What has been received and not been handled yet. The session's window and limits bound it.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    state: Mutex<InboxState>,
}

/// What has been read from one chunk, on its way to the inbox.
#[derive(Debug, Default)]
pub(crate) struct Received(VecDeque<Item>);

impl Received {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, incoming: Incoming) {
        self.0.push_back(Item::Message(incoming));
    }
}

/// Something to be handled, in its turn.
#[derive(Debug)]
enum Item {
    /// A connection is there; what follows came by it.
    Connected(Terms),
    /// It is gone, and the session is not.
    Disconnected(Box<DisconnectReason>),
    Message(Incoming),
}

#[derive(Debug, Default)]
struct InboxState {
    queue: VecDeque<Item>,
    is_closed: bool,
    reader: Option<Waker>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, InboxState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what has been received, in order, and leaves `received` empty. The caller polls the handlers next: nobody
    /// is woken.
    pub(crate) fn extend(&self, received: &mut Received) {
        let mut state = self.lock();
        if state.queue.is_empty() {
            std::mem::swap(&mut state.queue, &mut received.0);
        } else {
            state.queue.append(&mut received.0);
        }
    }

    /// Gives back the memory that a burst needed.
    pub(crate) fn release(&self) {
        let mut state = self.lock();
        if state.queue.is_empty() {
            state.queue = VecDeque::new();
        }
    }

    /// A connection is there: what is added from here on comes by it.
    pub(crate) fn connected(&self, terms: Terms) {
        self.add(Item::Connected(terms));
    }

    /// The connection is gone, and the session is not.
    pub(crate) fn disconnected(&self, reason: DisconnectReason) {
        self.add(Item::Disconnected(Box::new(reason)));
    }

    fn add(&self, item: Item) {
        let reader = {
            let mut state = self.lock();
            state.queue.push_back(item);
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Nothing more will be received.
    pub(crate) fn close(&self) {
        let reader = {
            let mut state = self.lock();
            state.is_closed = true;
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// All that is there, in `batch`, which is empty before. `false` when nothing more will come.
    fn poll_next(&self, context: &mut Context<'_>, batch: &mut VecDeque<Item>) -> Poll<bool> {
        let mut state = self.lock();
        if !state.queue.is_empty() {
            std::mem::swap(&mut state.queue, batch);
            return Poll::Ready(true);
        }
        if state.is_closed {
            return Poll::Ready(false);
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }

    fn is_closed(&self) -> bool {
        self.lock().is_closed
    }
}

/// How many one-way messages are handled before the other side is granted as many again, at most.
const SETTLE_AFTER: u32 = 128;

/// Handles what is received, until the inbox is closed and empty. Calls that are still open then are dropped:
/// nobody is there to take their answers.
pub(crate) async fn run<D: Dispatch>(
    side: Arc<D>,
    context: D::Context,
    link: Arc<Link>,
    inbox: Arc<Inbox>,
) {
    let mut handlers = Handlers {
        terms: link.terms(),
        side,
        context,
        link,
        calls: JoinSet::new(),
        handled: Credit { items: 0, bytes: 0 },
    };
    handlers.run(&inbox).await;
    handlers.calls.shutdown().await;
}

/// The handlers of one connection.
struct Handlers<D: Dispatch> {
    side: Arc<D>,
    context: D::Context,
    link: Arc<Link>,
    terms: Terms,
    /// Calls that were not done at once.
    calls: JoinSet<()>,
    /// What has been handled and not been granted again.
    handled: Credit,
}

impl<D: Dispatch> Handlers<D> {
    async fn run(&mut self, inbox: &Inbox) {
        let mut batch = VecDeque::new();
        while poll_fn(|task| inbox.poll_next(task, &mut batch)).await {
            while let Some(item) = batch.pop_front() {
                let incoming = match item {
                    Item::Message(incoming) => incoming,
                    Item::Connected(terms) => {
                        settle(&self.link, &self.terms, &mut self.handled);
                        self.terms = terms;
                        if let Err(panic) = caught(self.side.connected(&self.context)).await {
                            tracing::error!(panic, "the handler of a new connection panicked");
                        }
                        continue;
                    }
                    Item::Disconnected(reason) => {
                        let told = self.side.disconnected(&self.context, *reason);
                        if let Err(panic) = caught(told).await {
                            tracing::error!(panic, "the handler of a lost connection panicked");
                        }
                        continue;
                    }
                };
                match incoming.reply {
                    ReplyTo::Call(slot) if !inbox.is_closed() => self.serve(incoming, slot).await,
                    ReplyTo::Call(_) => {}
                    ReplyTo::Nobody | ReplyTo::Delivery { .. } => self.handle(incoming).await,
                }
            }
            settle(&self.link, &self.terms, &mut self.handled);
            while let Some(ended) = self.calls.try_join_next() {
                debug_assert!(
                    !ended.is_err_and(|error| error.is_panic()),
                    "calls catch their panics"
                );
            }
        }
    }

    /// Handles a one-way message, to its end.
    async fn handle(&mut self, incoming: Incoming) {
        let Incoming {
            payload_len,
            variant,
            reply,
            ..
        } = incoming;
        let outcome = match decode::<D>(&self.terms.encoding, &self.link, incoming) {
            Ok((message, row)) => {
                tracing::trace!(message = row.name, "handling");
                self.dispatch(variant, message).await
            }
            Err(status) => Err(status),
        };
        self.handled.items += 1;
        self.handled.bytes = self.handled.bytes.saturating_add(payload_len);
        match (reply, &outcome) {
            (ReplyTo::Delivery { id, urgent }, _) => {
                let outcome = outcome.as_ref().map(|&()| ());
                let generation = self.terms.generation;
                self.link.with_this_session(generation, |session| {
                    session.acknowledge(id, urgent, outcome);
                });
            }
            (_, Err(status)) => {
                // The status may quote the body, and what was said is nothing for a log.
                let code = status.code().name();
                tracing::debug!(
                    variant,
                    code,
                    "a message that nobody waits for was not handled"
                );
                self.link.with_session(Session::count_ignored);
            }
            (_, Ok(())) => {}
        }
        if self.handled.items >= SETTLE_AFTER {
            settle(&self.link, &self.terms, &mut self.handled);
        }
    }

    /// Runs the handler of a one-way message. Before it is waited for, what came before it is settled: the other
    /// side may go on meanwhile.
    async fn dispatch(&mut self, variant: u16, message: D::In) -> Result<(), Status> {
        let Self {
            side,
            context,
            link,
            terms,
            handled,
            ..
        } = self;
        let mut handler = pin!(caught(side.dispatch(context, message)));
        let outcome = poll_fn(|task| {
            let polled = handler.as_mut().poll(task);
            if polled.is_pending() {
                settle(link, terms, handled);
            }
            polled
        })
        .await;
        outcome
            .unwrap_or_else(|panic| Err(panicked(variant, &panic)))
            .map(|_| ())
    }

    /// Begins a call, which goes on in a task unless it is done at once.
    async fn serve(&mut self, incoming: Incoming, slot: ServedSlot) {
        let Terms {
            generation,
            ref encoding,
            ..
        } = self.terms;
        let call = CallToAnswer { slot, generation };
        let mut owed = Owed {
            link: Arc::clone(&self.link),
            call,
            encoding: encoding.clone(),
            deadline: None,
            is_paid: false,
        };
        let timeout = incoming.timeout;
        let (request, row) = match self.request(incoming, call) {
            Ok(request) => request,
            Err(status) => return owed.fail(&status),
        };
        tracing::trace!(call = row.name, "serving");
        let deadline = deadline(row, timeout);
        owed.deadline = deadline;
        let context = D::for_call(&self.context, Call::with_deadline(deadline));
        let side = Arc::clone(&self.side);
        let variant = row.number;
        let mut serving = Box::pin(async move {
            let handled = match request {
                Request::Message(message) => caught(side.dispatch(&context, message)).await,
                Request::Stream(requests) => {
                    caught(side.dispatch_stream(&context, variant, requests)).await
                }
            };
            match handled {
                Ok(Ok(Answered::Message(answer))) => owed.answer::<D::Out>(&answer),
                Ok(Ok(Answered::Stream(answers))) => owed.answer_stream(answers, variant).await,
                Ok(Ok(Answered::Nothing)) => {
                    owed.fail(&Status::internal("the handler has no answer for a call"))
                }
                Ok(Err(status)) => owed.fail(&status),
                Err(panic) => owed.fail(&panicked(variant, &panic)),
            }
        });
        if poll_fn(|task| Poll::Ready(serving.as_mut().poll(task).is_ready())).await {
            return;
        }
        let task = self.calls.spawn(async move {
            match deadline {
                // Dropping the call answers it.
                Some(deadline) => drop(timeout_at(deadline, serving).await),
                None => serving.await,
            }
        });
        self.link.call_runs(call, task);
    }

    /// What a call asks for, unless nobody waits for the answer any more.
    fn request(
        &self,
        incoming: Incoming,
        call: CallToAnswer,
    ) -> Result<(Request<D::In>, &'static Variant), Status> {
        if self.link.is_cancelled(call) {
            return Err(Status::new(Code::Cancelled, "cancelled before it began"));
        }
        if !incoming.is_stream {
            let (message, row) = decode::<D>(&self.terms.encoding, &self.link, incoming)?;
            return match row.exchange {
                Exchange::Call {
                    request_stream: true,
                    ..
                } => Err(Status::invalid_argument(format!(
                    "`{}` asks for a stream of requests",
                    row.name
                ))),
                _ => Ok((Request::Message(message), row)),
            };
        }
        let row = expect::<D>(incoming.variant, incoming.reply)?;
        let requests = match row.exchange {
            Exchange::Call {
                request_stream: true,
                ..
            } => self.link.requests(call.slot),
            _ => {
                return Err(Status::invalid_argument(format!(
                    "`{}` asks for one request",
                    row.name
                )));
            }
        };
        let requests =
            requests.ok_or_else(|| Status::new(Code::Cancelled, "the call has ended"))?;
        Ok((Request::Stream(Streaming::requests(requests)), row))
    }
}

/// What a handler of a call is given.
enum Request<In> {
    Message(In),
    Stream(Streaming<In>),
}

/// When a call has to be answered. One with a stream may go on for as long as both sides like, unless the schema or
/// the caller says otherwise.
fn deadline(row: &Variant, told: Option<Duration>) -> Option<Instant> {
    let schema = row
        .timeout_ms
        .map(|ms| Duration::from_millis(u64::from(ms)));
    let default = (!row.has_streams()).then_some(PROTOCOL_TIMEOUT);
    Instant::now().checked_add(told.or(schema).or(default)?)
}

/// Grants the other side as much as has been handled.
fn settle(link: &Link, terms: &Terms, handled: &mut Credit) {
    let handled = std::mem::replace(handled, Credit { items: 0, bytes: 0 });
    if handled.items > 0 {
        link.with_this_session(terms.generation, |session| {
            session.consumed(handled, terms.connection);
        });
    }
}

/// Reads a body, unless its variant is not one that can come so.
fn decode<D: Dispatch>(
    encoding: &Encoding,
    link: &Link,
    incoming: Incoming,
) -> Result<(D::In, &'static Variant), Status> {
    let Incoming {
        variant,
        mut body,
        compressed,
        reply,
        ..
    } = incoming;
    let row = expect::<D>(variant, reply)?;
    let unreadable = |error: BodyError| Status::new(error.code(), error.to_string());
    if compressed {
        body = encoding.inflate(variant, body).map_err(unreadable)?;
        if let ReplyTo::Call(slot) = reply
            && let Some(Err(busy)) = link.with_session(|session| session.inflated(slot, body.len()))
        {
            return Err(Status::resource_exhausted(busy.to_string()));
        }
    }
    let message = encoding.decode(variant, body);
    message.map(|message| (message, row)).map_err(unreadable)
}

/// The row of a variant, unless it is not one that can come so.
fn expect<D: Dispatch>(variant: u16, reply: ReplyTo) -> Result<&'static Variant, Status> {
    let Some(row) = variant_of::<D::In>(variant) else {
        return Err(Status::new(
            Code::Unimplemented,
            BodyError::unknown_variant(variant).to_string(),
        ));
    };
    let name = row.name;
    match (row.exchange, reply) {
        (Exchange::Answer, _) => Err(Status::unsolicited(name)),
        (Exchange::Call { .. }, ReplyTo::Call(_))
        | (Exchange::OneWay | Exchange::Acknowledged, ReplyTo::Nobody | ReplyTo::Delivery { .. }) => {
            Ok(row)
        }
        (Exchange::Call { .. }, _) => Err(Status::invalid_argument(format!(
            "`{name}` is a call, and nobody waits for its answer"
        ))),
        (_, ReplyTo::Call(_)) => Err(Status::invalid_argument(format!(
            "`{name}` has no answer, and somebody waits for one"
        ))),
    }
}

fn panicked(variant: u16, panic: &str) -> Status {
    tracing::error!(variant, panic, "a handler panicked");
    Status::internal("the handler panicked")
}

/// The answer that a call is owed. Dropped without one, it tells the caller why.
struct Owed {
    link: Arc<Link>,
    call: CallToAnswer,
    encoding: Encoding,
    deadline: Option<Instant>,
    is_paid: bool,
}

/// What [`Reply`] needs as the type of an encoder where there is none.
type NoBody = fn(&mut Vec<u8>);

impl Owed {
    fn answer<E: Envelope>(mut self, answer: &E) {
        let Some(row) = E::VARIANTS.get(answer.index()) else {
            return self.fail(&Status::internal("the answer has no variant"));
        };
        let prepared = match self.encoding.prepare(answer, row) {
            Ok(prepared) => prepared,
            Err(error) => return self.fail(&Status::new(error.code(), error.to_string())),
        };
        self.is_paid = true;
        let encode = |buffer: &mut Vec<u8>| match &prepared {
            Some(prepared) => buffer.extend_from_slice(&prepared.bytes),
            None => answer.encode(buffer),
        };
        let reply = Reply::Message {
            variant: row.number,
            len: prepared
                .as_ref()
                .map_or_else(|| answer.encoded_len(), |prepared| prepared.len),
            compressed: prepared
                .as_ref()
                .is_some_and(|prepared| prepared.compressed),
            encode,
        };
        self.link.reply(self.call, reply);
    }

    /// Sends the answers of a stream, and its end. Their own panic ends them.
    async fn answer_stream<E: Envelope>(self, answers: ItemStream<E>, variant: u16) {
        self.link.begin_answers(self.call);
        let mut answers = answers;
        loop {
            let next = poll_fn(|task| answers.as_mut().poll_next(task));
            match caught(next).await {
                Ok(Some(Ok(answer))) => match self.link.send_answer(self.call, &answer).await {
                    Ok(()) => {}
                    Err(error @ SendError::TooLarge { .. }) => return self.fail(&error.into()),
                    // The caller is gone, or has lost interest.
                    Err(_) => {
                        return self.fail(&Status::new(Code::Cancelled, "the call has ended"));
                    }
                },
                Ok(Some(Err(status))) => return self.fail(&status),
                Ok(None) => return self.end(),
                Err(panic) => return self.fail(&panicked(variant, &panic)),
            }
        }
    }

    fn end(mut self) {
        self.is_paid = true;
        self.link.reply(self.call, Reply::<NoBody>::End);
    }

    fn fail(mut self, status: &Status) {
        self.pay_error(status);
    }

    fn pay_error(&mut self, status: &Status) {
        self.is_paid = true;
        self.link.reply(self.call, Reply::<NoBody>::Error(status));
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        if self.is_paid {
            return;
        }
        let status = match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Status::deadline_exceeded(),
            _ => Status::new(Code::Cancelled, "the handler was dropped"),
        };
        self.pay_error(&status);
    }
}

/// Runs a handler, and turns its panic into an error with the panic's text.
pub(crate) async fn caught<F: Future>(handler: F) -> Result<F::Output, String> {
    let mut handler = pin!(handler);
    poll_fn(|task| poll_caught(handler.as_mut(), task)).await
}

fn poll_caught<F: Future>(
    handler: Pin<&mut F>,
    task: &mut Context<'_>,
) -> Poll<Result<F::Output, String>> {
    // The handler is not touched again after its panic but to be dropped, and what it shares with others is the
    // user's: as in a task that panics.
    match catch_unwind(AssertUnwindSafe(|| handler.poll(task))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic_text(&*panic))),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a text").to_owned()
}
