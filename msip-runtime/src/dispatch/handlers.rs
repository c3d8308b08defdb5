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
    apart::Around,
    decode::{decode, decode_call, decode_plain, decode_told, expect, expect_one_request},
    inbox::{Inbox, Item, Plains},
    owed::{Handled, Owed},
    panics::{caught, panicked, poll_caught, poll_told},
    settling::Settling,
};
use crate::{
    Answered, Code, Status, Streaming,
    call::Serving,
    link::{CallToAnswer, Link, PROTOCOL_TIMEOUT},
    protocol::{Envelope as _, Exchange, Variant},
    session::{Incoming, Plain, ReplyTo, ServedSlot, Session},
};

/// Handles what is received, until the inbox is closed and empty. Calls that are still open then are dropped:
/// nobody is there to take their answers.
pub(crate) async fn run<D: Dispatch>(
    side: Arc<D>,
    context: D::Context,
    link: Arc<Link>,
    inbox: Arc<Inbox>,
) {
    let mut handlers = Handlers {
        settling: Settling::new(link.terms()),
        side,
        context,
        link,
        calls: JoinSet::new(),
        moment: None,
        telling: Telling::default(),
        plains: Plains::default(),
    };
    handlers.run(&inbox).await;
    handlers.calls.shutdown().await;
}

/// The handlers of one session.
pub(super) struct Handlers<D: Dispatch> {
    pub(super) side: Arc<D>,
    pub(super) context: D::Context,
    link: Arc<Link>,
    /// Calls that were not done at once.
    calls: JoinSet<()>,
    settling: Settling<D::Out>,
    moment: Option<Moment>,
    telling: Telling,
    /// What stands before the rest of the batch, for the short way.
    plains: Plains,
}

/// The one-way message whose handler runs on the short way.
#[derive(Debug, Default, Clone, Copy)]
struct Telling {
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
type Seat<F> = Option<Pin<Box<Option<F>>>>;

impl<D: Dispatch> Handlers<D> {
    async fn run(&mut self, inbox: &Inbox) {
        let mut batch = VecDeque::new();
        let mut seat = None;
        // For calls with something beside their requests, and streams.
        let mut rare_seat = None;
        let (side, context) = (Arc::clone(&self.side), self.context.clone());
        let mut told = pin!(None);
        while poll_fn(|task| {
            self.poll_next(inbox, task, &mut batch, || (seat, rare_seat) = (None, None))
        })
        .await
        {
            self.moment = None;
            loop {
                let begin = |message| side.dispatch(&context, message);
                let item = poll_fn(|task| {
                    self.poll_plain(
                        task,
                        (told.as_mut(), begin),
                        (&mut seat, answer::<D>),
                        inbox,
                        &mut batch,
                    )
                });
                let Some(item) = item.await else {
                    break;
                };
                let incoming = match item {
                    Item::Plains(plains) => {
                        self.plains = plains;
                        continue;
                    }
                    Item::Message(incoming) => *incoming,
                    Item::Connected(terms) => {
                        self.settling.settle(&self.link);
                        self.settling.terms = terms;
                        // In a box, as this comes once.
                        let told = Box::pin(caught(self.side.connected(&self.context)));
                        if let Err(panic) = told.await {
                            tracing::error!(panic, "the handler of a new connection panicked");
                        }
                        continue;
                    }
                    Item::Disconnected(reason) => {
                        self.settling.settle(&self.link);
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
                        self.serve(&mut rare_seat, handler::<D>, incoming, slot)
                            .await;
                    }
                    ReplyTo::Call(_) => {}
                }
                if self.settling.is_due() {
                    self.settling.settle(&self.link);
                }
            }
            self.settling.settle(&self.link);
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
            self.settling.release();
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
        let outcome = match decode::<D>(&self.settling.terms.encoding, &self.link, incoming) {
            Ok((message, row)) => {
                let around = Around::of(row, metadata, self.link.incoming(), body_len);
                if around.is_some() || timeout.is_some() {
                    let is_delivery = reply != ReplyTo::Nobody;
                    let handling = self.handle_apart(row, timeout, around, message, is_delivery);
                    Box::pin(handling).await
                } else {
                    tracing::trace!(message = row.name, "handling");
                    self.dispatch(variant, None, message).await
                }
            }
            Err(status) => Err(status),
        };
        self.settling.handled(payload_len);
        match (reply, outcome) {
            (ReplyTo::Delivery { id, urgent }, outcome) => {
                self.settling.acknowledge(id, urgent, outcome);
            }
            (_, Err(status)) => self.ignored(variant, &status),
            (_, Ok(())) => {}
        }
    }

    /// A handler is waited for: what came before it is settled, since the other side may go on meanwhile.
    pub(super) fn waits(&mut self) {
        self.moment = None;
        self.settling.settle(&self.link);
    }

    /// Handles what stands at the front and has nothing beside its body, one after the other: messages each to its end,
    /// calls until they wait. As [`handle`](Self::handle) and [`serve`](Self::serve), on the short way. `told` is where
    /// the handler of a message runs, and `seat` that of a call. Returns what comes next, which is for the long way.
    fn poll_plain<M, T, F>(
        &mut self,
        task: &mut Context<'_>,
        (mut told, begin): (Pin<&mut Option<M>>, impl Fn(D::In) -> M),
        (seat, answer): (&mut Seat<F>, impl Fn(Arc<D>, D::Context, D::In) -> F),
        inbox: &Inbox,
        batch: &mut VecDeque<Item>,
    ) -> Poll<Option<Item>>
    where
        M: Future<Output = Result<T, Status>>,
        F: Future<Output = Result<Answered<D::Out>, Status>> + Send + 'static,
    {
        let is_plain = !Around::is_everywhere(self.link.incoming());
        loop {
            if let Some(handler) = told.as_mut().as_pin_mut() {
                let Telling {
                    variant,
                    payload_len,
                } = self.telling;
                match poll_told(handler, task) {
                    Poll::Pending => {
                        self.plains.release();
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
            let Some(plain) = self.plains.take() else {
                match batch.pop_front() {
                    Some(Item::Plains(plains)) => self.plains = plains,
                    next => {
                        self.plains.release();
                        return Poll::Ready(next);
                    }
                }
                continue;
            };
            if !is_plain {
                let incoming = self.plains.incoming(plain);
                self.plains.release();
                return Poll::Ready(Some(Item::Message(Box::new(incoming))));
            }
            let Plain {
                variant,
                payload_len,
                ..
            } = plain;
            match plain.call {
                None => {
                    self.telling = Telling {
                        variant,
                        payload_len,
                    };
                    let encoding = &self.settling.terms.encoding;
                    match decode_plain::<D>(encoding, variant, self.plains.body(&plain)) {
                        Some(message) => told.set(Some(begin(message))),
                        None => self.unreadable(plain),
                    }
                }
                Some(_) if inbox.is_closed() => {}
                Some(slot) => {
                    self.serve_plain(task, seat, &answer, plain, slot);
                    if self.settling.is_due() {
                        self.settling.settle(&self.link);
                    }
                }
            }
        }
    }

    /// A one-way message is not one that can come so, or its body not what it says. That is found once more: what is not
    /// returned where all is well need not be moved there.
    #[cold]
    fn unreadable(&mut self, plain: Plain) {
        let encoding = &self.settling.terms.encoding;
        let body = self.plains.body(&plain);
        if let Err(status) = decode_told::<D>(encoding, plain.variant, body) {
            self.ignored(plain.variant, &status);
        }
        self.handled(plain.payload_len);
    }

    /// Begins a call with nothing beside its body.
    fn serve_plain<F>(
        &mut self,
        task: &mut Context<'_>,
        seat: &mut Seat<F>,
        answer: impl Fn(Arc<D>, D::Context, D::In) -> F,
        plain: Plain,
        slot: ServedSlot,
    ) where
        F: Future<Output = Result<Answered<D::Out>, Status>> + Send + 'static,
    {
        let call = CallToAnswer {
            slot,
            generation: self.settling.terms.generation,
            id: plain.id,
        };
        let moment = self.moment();
        let encoding = &self.settling.terms.encoding;
        let body = self.plains.body(&plain);
        let request = self
            .check_awaited(call, moment)
            .and_then(|()| decode_call::<D>(encoding, plain.variant, body, call.slot));
        let (request, row) = match request {
            Ok(request) => request,
            Err(status) => return self.owed(call, None).fail(&status),
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
        seat.get_or_insert_with(|| Box::pin(None)).set(Some(begun));
        let polled = poll_seat(seat, task);
        self.conclude(task, seat, polled, call, deadline, row.number);
    }

    /// A one-way message has been handled.
    fn handled(&mut self, payload_len: u32) {
        self.settling.handled(payload_len);
        if self.settling.is_due() {
            self.settling.settle(&self.link);
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
        self.link.with_session(Session::count_ignored);
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
            link,
            settling,
            moment,
            ..
        } = self;
        let context = own_context.as_ref().unwrap_or(context);
        let mut handler = pin!(side.dispatch(context, message));
        let outcome = poll_fn(|task| {
            let polled = poll_told(handler.as_mut(), task);
            if polled.is_pending() {
                *moment = None;
                settling.settle(link);
            }
            polled
        })
        .await;
        outcome.unwrap_or_else(|panic| Err(panicked(variant, &panic)))
    }

    /// Begins a call, which goes on in a task unless it is done at once.
    async fn serve<F>(
        &mut self,
        seat: &mut Seat<F>,
        handler: impl FnOnce(Arc<D>, D::Context, Request<D::In>, u16) -> F,
        mut incoming: Incoming,
        slot: ServedSlot,
    ) where
        F: Future<Output = Result<Answered<D::Out>, Status>> + Send + 'static,
    {
        let call = CallToAnswer {
            slot,
            generation: self.settling.terms.generation,
            id: incoming.id,
        };
        let moment = self.moment();
        let timeout = incoming.timeout;
        let metadata = incoming.metadata.take();
        let body_len = incoming.body.len();
        let (request, row) = match self.request(incoming, call, moment) {
            Ok(request) => request,
            Err(status) => return self.owed(call, None).fail(&status),
        };
        let deadline = deadline(row, timeout, moment);
        let mut serving = Serving {
            deadline,
            metadata: None,
            call: Some(call),
        };
        if let Some(around) = Around::of(row, metadata, self.link.incoming(), body_len) {
            serving.metadata.clone_from(&around.metadata);
            return self.serve_apart(call, request, row, serving, around).await;
        }
        tracing::trace!(call = row.name, "serving");
        let context = D::serving(&self.context, serving);
        let variant = row.number;
        seat.get_or_insert_with(|| Box::pin(None)).set(Some(handler(
            Arc::clone(&self.side),
            context,
            request,
            variant,
        )));
        poll_fn(|task| {
            let polled = poll_seat(seat, task);
            self.conclude(task, seat, polled, call, deadline, variant);
            Poll::Ready(())
        })
        .await;
    }

    /// The handler in the seat was polled for the first time: answers the call, or lets it go on in a task.
    fn conclude<F>(
        &mut self,
        task: &mut Context<'_>,
        seat: &mut Seat<F>,
        polled: Poll<Handled<D::Out>>,
        call: CallToAnswer,
        deadline: Option<Instant>,
        variant: u16,
    ) where
        F: Future<Output = Result<Answered<D::Out>, Status>> + Send + 'static,
    {
        let handled = match polled {
            Poll::Ready(handled) => {
                if let Some(seat) = seat {
                    seat.set(None);
                }
                handled
            }
            Poll::Pending => {
                let mut seat = seat.take();
                let owed = self.owed(call, deadline);
                return self.go_on(call, deadline, async move {
                    let handled = poll_fn(|task| poll_seat(&mut seat, task)).await;
                    owed.pay(handled, variant).await;
                });
            }
        };
        match handled {
            Ok(Ok(Answered::Message(answer))) if self.settling.terms.encoding.is_plain() => {
                match D::Out::VARIANTS.get(answer.index()) {
                    Some(row) => self.settling.answer(call.slot, row.number, answer),
                    None => self
                        .owed(call, deadline)
                        .fail(&Status::internal("the answer has no variant")),
                }
            }
            handled => {
                // Only a stream of answers takes its time.
                let mut paying = Box::pin(self.owed(call, deadline).pay(handled, variant));
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
        self.link.call_runs(call, task);
    }

    pub(super) fn owed(&self, call: CallToAnswer, deadline: Option<Instant>) -> Owed {
        let encoding = self.settling.terms.encoding.clone();
        Owed::new(&self.link, call, encoding, deadline)
    }

    fn moment(&mut self) -> Moment {
        *self.moment.get_or_insert_with(|| {
            let now = Instant::now();
            Moment {
                now,
                usual_deadline: now.checked_add(PROTOCOL_TIMEOUT),
                has_cancelled: self.link.has_cancelled(),
            }
        })
    }

    /// Whether somebody waits for the answer.
    fn check_awaited(&self, call: CallToAnswer, moment: Moment) -> Result<(), Status> {
        if moment.has_cancelled && self.link.is_cancelled(call) {
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
            let encoding = &self.settling.terms.encoding;
            let (message, row) = decode::<D>(encoding, &self.link, incoming)?;
            expect_one_request(row)?;
            return Ok((Request::Message(message), row));
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

fn poll_seat<F, Out>(seat: &mut Seat<F>, task: &mut Context<'_>) -> Poll<Handled<Out>>
where
    F: Future<Output = Result<Answered<Out>, Status>>,
{
    match seat.as_mut().and_then(|seat| seat.as_mut().as_pin_mut()) {
        Some(handler) => poll_caught(handler, task),
        // Nobody polls a seat that is free.
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
