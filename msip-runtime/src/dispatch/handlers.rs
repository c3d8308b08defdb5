//! The loop that runs the handlers of one session.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{
    Dispatch,
    completion_batch::CompletionBatch,
    decode::{decode, decode_call, decode_fast, decode_told, expect, expect_one_request},
    inbox::{Inbox, Item, Plains},
    panics::{caught, panicked, poll_caught, poll_told},
    responder::{Handled, Responder},
    slow_path::Instrumented,
};
use crate::{
    Answered, Code, Status, Streaming,
    call::Serving,
    connection::{CallToAnswer, ConnectionShared, PROTOCOL_TIMEOUT},
    protocol::{Envelope as _, Exchange, Variant},
};
use msip_session::{BareMessage, InboundSlot, Incoming, ReplyTo, Session};

/// Handles what is received, until the inbox is closed and empty. Calls that are still open then are dropped:
/// nobody is there to take their answers.
pub(crate) async fn run<D: Dispatch>(
    side: Arc<D>,
    context: D::Context,
    connection: Arc<ConnectionShared>,
    inbox: Arc<Inbox>,
) {
    let mut handlers = Handlers {
        completions: CompletionBatch::new(connection.terms()),
        side,
        context,
        connection,
        calls: JoinSet::new(),
        moment: None,
        running: RunningMessage::default(),
        bares: Plains::default(),
    };
    handlers.run(&inbox).await;
    handlers.calls.shutdown().await;
}

/// The handlers of one session.
pub(super) struct Handlers<D: Dispatch> {
    pub(super) side: Arc<D>,
    pub(super) context: D::Context,
    connection: Arc<ConnectionShared>,
    /// Calls that were not done at once.
    calls: JoinSet<()>,
    completions: CompletionBatch<D::Out>,
    moment: Option<Moment>,
    running: RunningMessage,
    /// What stands before the rest of the batch, for the short way.
    bares: Plains,
}

/// The one-way message whose handler runs on the short way.
#[derive(Debug, Default, Clone, Copy)]
struct RunningMessage {
    variant: u16,
    payload_len: u32,
}

/// What is true of all calls that are begun without waiting in between.
#[derive(Debug, Clone, Copy)]
struct Moment {
    now: Instant,
    /// When a call has to be answered that came now, and of which nobody says when.
    usual_deadline: Option<Instant>,
    /// Some callers may have lost interest already.
    has_cancelled: bool,
}

/// Where the handler of a call is polled first. Most are done then, and the place is free for the next one: a call
/// allocates nothing. It is there from the first call on, as long as calls come.
type HandlerSlot<F> = Option<Pin<Box<Option<F>>>>;

impl<D: Dispatch> Handlers<D> {
    async fn run(&mut self, inbox: &Inbox) {
        let mut batch = VecDeque::new();
        let mut slot_for_call = None;
        // For calls with something beside their requests, and streams.
        let mut rare_slot = None;
        let (side, context) = (Arc::clone(&self.side), self.context.clone());
        let mut told = pin!(None);
        while poll_fn(|task| {
            self.poll_next(inbox, task, &mut batch, || {
                (slot_for_call, rare_slot) = (None, None)
            })
        })
        .await
        {
            self.moment = None;
            loop {
                let begin = |message| side.dispatch(&context, message);
                let item = poll_fn(|task| {
                    self.poll_fast(
                        task,
                        (told.as_mut(), begin),
                        (&mut slot_for_call, answer::<D>),
                        inbox,
                        &mut batch,
                    )
                });
                let Some(item) = item.await else {
                    break;
                };
                let incoming = match item {
                    Item::Plains(bares) => {
                        self.bares = bares;
                        continue;
                    }
                    Item::Message(incoming) => *incoming,
                    Item::Connected(terms) => {
                        self.completions.settle(&self.connection);
                        self.completions.terms = terms;
                        // In a box, as this comes once.
                        let told = Box::pin(caught(self.side.connected(&self.context)));
                        if let Err(panic) = told.await {
                            tracing::error!(panic, "the handler of a new connection panicked");
                        }
                        continue;
                    }
                    Item::Disconnected(reason) => {
                        self.completions.settle(&self.connection);
                        let told = self.side.disconnected(&self.context, *reason);
                        if let Err(panic) = Box::pin(caught(told)).await {
                            tracing::error!(panic, "the handler of a lost connection panicked");
                        }
                        continue;
                    }
                };
                match incoming.reply {
                    ReplyTo::Nobody | ReplyTo::Delivery { .. } => self.handle(incoming).await,
                    ReplyTo::Call(slot) if !inbox.is_closed() => {
                        self.serve(&mut rare_slot, handler::<D>, incoming, slot)
                            .await;
                    }
                    ReplyTo::Call(_) => {}
                }
                if self.completions.is_due() {
                    self.completions.settle(&self.connection);
                }
            }
            self.completions.settle(&self.connection);
            while let Some(ended) = self.calls.try_join_next() {
                debug_assert!(
                    !ended.is_err_and(|error| error.is_panic()),
                    "calls catch their panics"
                );
            }
        }
    }

    fn poll_next(
        &mut self,
        inbox: &Inbox,
        task: &mut Context<'_>,
        batch: &mut VecDeque<Item>,
        give_back: impl FnOnce(),
    ) -> Poll<bool> {
        let next = inbox.poll_next(task, batch);
        if next.is_pending() && inbox.take_release() {
            *batch = VecDeque::new();
            give_back();
            self.completions.release();
        }
        next
    }

    /// Handles a one-way message, to its end.
    async fn handle(&mut self, mut incoming: Incoming) {
        let Incoming {
            payload_len,
            variant,
            reply,
            timeout,
            ..
        } = incoming;
        let metadata = incoming.metadata.take();
        let body_len = incoming.body.len();
        let outcome =
            match decode::<D>(&self.completions.terms.encoding, &self.connection, incoming) {
                Ok((message, row)) => {
                    let around = Instrumented::of(row, metadata, self.side.incoming(), body_len);
                    if around.is_some() || timeout.is_some() {
                        let is_delivery = reply != ReplyTo::Nobody;
                        let handling = self.handle_slow(row, timeout, around, message, is_delivery);
                        Box::pin(handling).await
                    } else {
                        tracing::trace!(message = row.name, "handling");
                        self.dispatch(variant, None, message).await
                    }
                }
                Err(status) => Err(status),
            };
        self.completions.handled(payload_len);
        match (reply, outcome) {
            (ReplyTo::Delivery { id, urgent }, outcome) => {
                self.completions.acknowledge(id, urgent, outcome);
            }
            (_, Err(status)) => self.ignored(variant, &status),
            (_, Ok(())) => {}
        }
    }

    /// A handler is waited for: what came before it is settled, since the other side may go on meanwhile.
    pub(super) fn waits(&mut self) {
        self.moment = None;
        self.completions.settle(&self.connection);
    }

    /// Handles what stands at the front and has nothing beside its body, one after the other: messages each to its end,
    /// calls until they wait. As [`handle`](Self::handle) and [`serve`](Self::serve), on the short way. `told` is where
    /// the handler of a message runs, and `slot_for_call` that of a call. Returns what comes next, which is for the long way.
    fn poll_fast<M, T, F>(
        &mut self,
        task: &mut Context<'_>,
        (mut told, begin): (Pin<&mut Option<M>>, impl Fn(D::In) -> M),
        (slot_for_call, answer): (&mut HandlerSlot<F>, impl Fn(Arc<D>, D::Context, D::In) -> F),
        inbox: &Inbox,
        batch: &mut VecDeque<Item>,
    ) -> Poll<Option<Item>>
    where
        M: Future<Output = Result<T, Status>>,
        F: Future<Output = Result<Answered<D::Out>, Status>> + Send + 'static,
    {
        let is_plain = !Instrumented::is_everywhere(self.side.incoming());
        loop {
            if let Some(handler) = told.as_mut().as_pin_mut() {
                let RunningMessage {
                    variant,
                    payload_len,
                } = self.running;
                match poll_told(handler, task) {
                    Poll::Pending => {
                        self.bares.release();
                        self.waits();
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(Ok(()))) => {}
                    Poll::Ready(Ok(Err(status))) => self.ignored(variant, &status),
                    Poll::Ready(Err(panic)) => self.ignored(variant, &panicked(variant, &panic)),
                }
                told.set(None);
                self.handled(payload_len);
            }
            let Some(plain) = self.bares.take() else {
                match batch.pop_front() {
                    Some(Item::Plains(bares)) => self.bares = bares,
                    next => {
                        self.bares.release();
                        return Poll::Ready(next);
                    }
                }
                continue;
            };
            if !is_plain {
                let incoming = self.bares.incoming(plain);
                self.bares.release();
                return Poll::Ready(Some(Item::Message(Box::new(incoming))));
            }
            let BareMessage {
                variant,
                payload_len,
                ..
            } = plain;
            match plain.call {
                None => {
                    self.running = RunningMessage {
                        variant,
                        payload_len,
                    };
                    let encoding = &self.completions.terms.encoding;
                    match decode_fast::<D>(encoding, variant, self.bares.body(&plain)) {
                        Some(message) => told.set(Some(begin(message))),
                        None => self.unreadable(plain),
                    }
                }
                Some(_) if inbox.is_closed() => {}
                Some(slot) => {
                    self.serve_fast(task, slot_for_call, &answer, plain, slot);
                    if self.completions.is_due() {
                        self.completions.settle(&self.connection);
                    }
                }
            }
        }
    }

    /// A one-way message is not one that can come so, or its body not what it says. That is found once more: what is not
    /// returned where all is well need not be moved there.
    #[cold]
    fn unreadable(&mut self, plain: BareMessage) {
        let encoding = &self.completions.terms.encoding;
        let body = self.bares.body(&plain);
        if let Err(status) = decode_told::<D>(encoding, plain.variant, body) {
            self.ignored(plain.variant, &status);
        }
        self.handled(plain.payload_len);
    }

    /// Begins a call with nothing beside its body.
    fn serve_fast<F>(
        &mut self,
        task: &mut Context<'_>,
        slot_for_call: &mut HandlerSlot<F>,
        answer: impl Fn(Arc<D>, D::Context, D::In) -> F,
        plain: BareMessage,
        slot: InboundSlot,
    ) where
        F: Future<Output = Result<Answered<D::Out>, Status>> + Send + 'static,
    {
        let call = CallToAnswer {
            slot,
            generation: self.completions.terms.generation,
            id: plain.id,
        };
        let moment = self.moment();
        let encoding = &self.completions.terms.encoding;
        let body = self.bares.body(&plain);
        let request = self
            .check_awaited(call, moment)
            .and_then(|()| decode_call::<D>(encoding, plain.variant, body, call.slot));
        let (request, row) = match request {
            Ok(request) => request,
            Err(status) => return self.responder(call, None).fail(&status),
        };
        let deadline = deadline(row, None, moment);
        let serving = Serving {
            deadline,
            metadata: None,
            call: Some(call),
        };
        tracing::trace!(call = row.name, "serving");
        let context = D::serving(&self.context, serving);
        let begun = answer(Arc::clone(&self.side), context, request);
        slot_for_call
            .get_or_insert_with(|| Box::pin(None))
            .set(Some(begun));
        let polled = poll_handler(slot_for_call, task);
        self.conclude(task, slot_for_call, polled, call, deadline, row.number);
    }

    /// A one-way message has been handled.
    fn handled(&mut self, payload_len: u32) {
        self.completions.handled(payload_len);
        if self.completions.is_due() {
            self.completions.settle(&self.connection);
        }
    }

    #[cold]
    fn ignored(&self, variant: u16, status: &Status) {
        // The status may quote the body, and what was said is nothing for a log.
        let code = status.code().name();
        tracing::debug!(
            variant,
            code,
            "a message that nobody waits for was not handled"
        );
        self.connection.with_session(Session::count_ignored);
    }

    /// Runs the handler of a one-way message. Before it is waited for, what came before it is settled: the other
    /// side may go on meanwhile.
    pub(super) async fn dispatch(
        &mut self,
        variant: u16,
        own_context: Option<D::Context>,
        message: D::In,
    ) -> Result<(), Status> {
        let Self {
            side,
            context,
            connection,
            completions,
            moment,
            ..
        } = self;
        let context = own_context.as_ref().unwrap_or(context);
        let mut handler = pin!(side.dispatch(context, message));
        let outcome = poll_fn(|task| {
            let polled = poll_told(handler.as_mut(), task);
            if polled.is_pending() {
                *moment = None;
                completions.settle(connection);
            }
            polled
        })
        .await;
        outcome.unwrap_or_else(|panic| Err(panicked(variant, &panic)))
    }

    /// Begins a call, which goes on in a task unless it is done at once.
    async fn serve<F>(
        &mut self,
        slot_for_call: &mut HandlerSlot<F>,
        handler: impl FnOnce(Arc<D>, D::Context, Request<D::In>, u16) -> F,
        mut incoming: Incoming,
        slot: InboundSlot,
    ) where
        F: Future<Output = Result<Answered<D::Out>, Status>> + Send + 'static,
    {
        let call = CallToAnswer {
            slot,
            generation: self.completions.terms.generation,
            id: incoming.id,
        };
        let moment = self.moment();
        let timeout = incoming.timeout;
        let metadata = incoming.metadata.take();
        let body_len = incoming.body.len();
        let (request, row) = match self.request(incoming, call, moment) {
            Ok(request) => request,
            Err(status) => return self.responder(call, None).fail(&status),
        };
        let deadline = deadline(row, timeout, moment);
        let mut serving = Serving {
            deadline,
            metadata: None,
            call: Some(call),
        };
        if let Some(around) = Instrumented::of(row, metadata, self.side.incoming(), body_len) {
            serving.metadata.clone_from(&around.metadata);
            return self.serve_slow(call, request, row, serving, around).await;
        }
        tracing::trace!(call = row.name, "serving");
        let context = D::serving(&self.context, serving);
        let variant = row.number;
        slot_for_call
            .get_or_insert_with(|| Box::pin(None))
            .set(Some(handler(
                Arc::clone(&self.side),
                context,
                request,
                variant,
            )));
        poll_fn(|task| {
            let polled = poll_handler(slot_for_call, task);
            self.conclude(task, slot_for_call, polled, call, deadline, variant);
            Poll::Ready(())
        })
        .await;
    }

    /// The handler in the slot_for_call was polled for the first time: answers the call, or lets it go on in a task.
    fn conclude<F>(
        &mut self,
        task: &mut Context<'_>,
        slot_for_call: &mut HandlerSlot<F>,
        polled: Poll<Handled<D::Out>>,
        call: CallToAnswer,
        deadline: Option<Instant>,
        variant: u16,
    ) where
        F: Future<Output = Result<Answered<D::Out>, Status>> + Send + 'static,
    {
        let handled = match polled {
            Poll::Ready(handled) => {
                if let Some(slot_for_call) = slot_for_call {
                    slot_for_call.set(None);
                }
                handled
            }
            Poll::Pending => {
                let mut slot_for_call = slot_for_call.take();
                let responder = self.responder(call, deadline);
                return self.go_on(call, deadline, async move {
                    let handled = poll_fn(|task| poll_handler(&mut slot_for_call, task)).await;
                    responder.respond(handled, variant).await;
                });
            }
        };
        match handled {
            Ok(Ok(Answered::Message(answer))) if self.completions.terms.encoding.is_identity() => {
                match D::Out::VARIANTS.get(answer.index()) {
                    Some(row) => self.completions.answer(call.slot, row.number, answer),
                    None => self
                        .responder(call, deadline)
                        .fail(&Status::internal("the answer has no variant")),
                }
            }
            handled => {
                // Only a stream of answers takes its time.
                let mut paying = Box::pin(self.responder(call, deadline).respond(handled, variant));
                if paying.as_mut().poll(task).is_pending() {
                    self.go_on(call, deadline, paying);
                }
            }
        }
    }

    /// A call goes on in a task.
    pub(super) fn go_on(
        &mut self,
        call: CallToAnswer,
        deadline: Option<Instant>,
        serving: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = self.calls.spawn(async move {
            match deadline {
                // Dropping the call answers it.
                Some(deadline) => drop(timeout_at(deadline, serving).await),
                None => serving.await,
            }
        });
        self.connection.call_runs(call, task);
    }

    pub(super) fn responder(&self, call: CallToAnswer, deadline: Option<Instant>) -> Responder {
        let encoding = self.completions.terms.encoding.clone();
        Responder::new(&self.connection, call, encoding, deadline)
    }

    fn moment(&mut self) -> Moment {
        *self.moment.get_or_insert_with(|| {
            let now = Instant::now();
            Moment {
                now,
                usual_deadline: now.checked_add(PROTOCOL_TIMEOUT),
                has_cancelled: self.connection.has_cancelled(),
            }
        })
    }

    /// Whether somebody waits for the answer.
    fn check_awaited(&self, call: CallToAnswer, moment: Moment) -> Result<(), Status> {
        if moment.has_cancelled && self.connection.is_cancelled(call) {
            return Err(Status::new(Code::Cancelled, "cancelled before it began"));
        }
        Ok(())
    }

    /// What a call asks for, unless nobody waits for the answer any more.
    fn request(
        &self,
        incoming: Incoming,
        call: CallToAnswer,
        moment: Moment,
    ) -> Result<(Request<D::In>, &'static Variant), Status> {
        self.check_awaited(call, moment)?;
        if !incoming.is_stream {
            let encoding = &self.completions.terms.encoding;
            let (message, row) = decode::<D>(encoding, &self.connection, incoming)?;
            expect_one_request(row)?;
            return Ok((Request::Message(message), row));
        }
        let row = expect::<D>(incoming.variant, incoming.reply)?;
        let requests = match row.exchange {
            Exchange::Call {
                request_stream: true,
                ..
            } => self.connection.requests(call.slot),
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

/// The handler of a call with one request, which owns all that it needs, so that it can go on in a task.
async fn answer<D: Dispatch>(
    side: Arc<D>,
    context: D::Context,
    request: D::In,
) -> Result<Answered<D::Out>, Status> {
    side.dispatch(&context, request).await
}

/// What a handler of a call is given.
pub(super) enum Request<In> {
    Message(In),
    Stream(Streaming<In>),
}

/// The same, whatever the call asks for.
pub(super) async fn handler<D: Dispatch>(
    side: Arc<D>,
    context: D::Context,
    request: Request<D::In>,
    variant: u16,
) -> Result<Answered<D::Out>, Status> {
    match request {
        Request::Message(message) => side.dispatch(&context, message).await,
        Request::Stream(requests) => side.dispatch_stream(&context, variant, requests).await,
    }
}

fn poll_handler<F, Out>(
    slot_for_call: &mut HandlerSlot<F>,
    task: &mut Context<'_>,
) -> Poll<Handled<Out>>
where
    F: Future<Output = Result<Answered<Out>, Status>>,
{
    match slot_for_call
        .as_mut()
        .and_then(|slot_for_call| slot_for_call.as_mut().as_pin_mut())
    {
        Some(handler) => poll_caught(handler, task),
        // Nobody polls a slot_for_call that is free.
        None => Poll::Pending,
    }
}

/// When a call has to be answered. One with a stream may go on for as long as both sides like, unless the schema or
/// the caller says otherwise.
fn deadline(row: &Variant, told: Option<Duration>, moment: Moment) -> Option<Instant> {
    let schema = row
        .timeout_ms
        .map(|ms| Duration::from_millis(u64::from(ms)));
    match told.or(schema) {
        Some(timeout) => moment.now.checked_add(timeout),
        None if row.has_streams() => None,
        None => moment.usual_deadline,
    }
}
