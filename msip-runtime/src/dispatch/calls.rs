//! The calls of one session: each handler is polled once in place, and moves to a task if it is not done by then.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tracing::Instrument as _;

use super::{
    Dispatch,
    decode::{Decode, Decoded, decode, decode_call, decoded, expect, expect_one_request},
    instrumented::{Instrumented, MessageHead},
    request::{Request, handler},
    with_middleware,
};
use crate::{
    Answered, Code, Status, Streaming,
    call::Serving,
    connection::{CallToAnswer, Outgoing, PROTOCOL_TIMEOUT},
    decode_pool::Decoding,
    middleware::ExchangeContext,
    protocol::{Envelope as _, Exchange, Variant},
    service::{Handled, Receiver, caught, poll_caught},
};
use msip_session::{BareMessage, InboundSlot, Incoming};

/// The calls of one session. `start` makes the future `F` of a handler of one request.
pub(super) struct Calls<D: Dispatch, S, F> {
    side: Arc<D>,
    context: D::Context,
    start: S,
    /// Where a handler is polled first. Most are done then, and the slot is free for the next call, which so allocates
    /// nothing. It is there from the first call on, as long as calls come.
    slot: Option<Pin<Box<Option<F>>>>,
    /// Handlers that were not done at once.
    tasks: JoinSet<()>,
    moment: Option<Moment>,
}

/// A call that was taken, and whose request may not have been read yet.
struct TakenCall {
    to_answer: CallToAnswer,
    head: MessageHead,
    /// Its deadline goes on while it is read.
    taken: Moment,
}

/// A call that is served.
#[derive(Clone, Copy)]
struct ServedCall {
    to_answer: CallToAnswer,
    row: &'static Variant,
    deadline: Option<Instant>,
}

/// A call whose request is long, and is being read.
pub(super) struct LongCall<D: Dispatch> {
    pub(super) decoding: Decoding<Decoded<D>>,
    /// There until it was read.
    call: Option<TakenCall>,
}

/// The request of a call.
enum CallRequest<D: Dispatch> {
    Now(Request<D::In>, &'static Variant),
    Later(Decoding<Decoded<D>>),
}

/// What is true of all calls that are begun without waiting in between.
#[derive(Debug, Clone, Copy)]
struct Moment {
    now: Instant,
    /// The deadline of a call that is received now and states none.
    usual_deadline: Option<Instant>,
}

impl<D, S, F> Calls<D, S, F>
where
    D: Dispatch,
    S: Fn(Arc<D>, D::Context, D::In) -> F,
    F: Future<Output = Result<Answered<D::Out>, Status>> + Send + 'static,
{
    pub(super) fn new(side: Arc<D>, context: D::Context, start: S) -> Self {
        Self {
            side,
            context,
            start,
            slot: None,
            tasks: JoinSet::new(),
            moment: None,
        }
    }

    /// What comes from now on is served in this context.
    pub(super) fn set_context(&mut self, context: &D::Context) {
        self.context.clone_from(context);
    }

    /// Time passes before the next call.
    pub(super) fn wait(&mut self) {
        self.moment = None;
    }

    /// Gives back memory that a burst needed.
    pub(super) fn release(&mut self) {
        self.slot = None;
    }

    /// Forgets the handlers that have ended.
    #[inline]
    pub(super) fn reap(&mut self) {
        if !self.tasks.is_empty() {
            self.reap_tasks();
        }
    }

    fn reap_tasks(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            debug_assert!(
                !ended.is_err_and(|error| error.is_panic()),
                "calls catch their panics"
            );
        }
    }

    /// Ready when no handler runs.
    pub(super) fn poll_ended(&mut self, task: &mut Context<'_>) -> Poll<()> {
        while ready!(self.tasks.poll_join_next(task)).is_some() {}
        Poll::Ready(())
    }

    /// Drops the handlers that still run: their answers cannot be sent any more.
    pub(super) async fn shut_down(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Serves a call without metadata.
    #[inline]
    pub(super) fn serve_bare(
        &mut self,
        task: &mut Context<'_>,
        receiver: &mut Receiver<D::Out>,
        message: BareMessage,
        slot: InboundSlot,
    ) {
        let to_answer = receiver.call(slot, message.id);
        let moment = self.moment();
        let request = receiver.check_awaited(to_answer).and_then(|()| {
            let body = receiver.body(&message);
            decode_call::<D>(receiver, message.variant, body, slot)
        });
        match request {
            Ok((request, row)) => {
                let call = ServedCall {
                    to_answer,
                    row,
                    deadline: deadline(row, None, moment),
                };
                self.begin(task, receiver, call, request);
            }
            Err(status) => refuse(receiver, to_answer, &status),
        }
    }

    /// Serves a call of any kind. One whose request is long is returned, to be served once it was read.
    pub(super) fn serve(
        &mut self,
        task: &mut Context<'_>,
        receiver: &mut Receiver<D::Out>,
        mut incoming: Incoming,
        slot: InboundSlot,
    ) -> Option<Box<LongCall<D>>> {
        let call = TakenCall {
            to_answer: receiver.call(slot, incoming.id),
            head: MessageHead::take(&mut incoming),
            taken: self.moment(),
        };
        let request = receiver
            .check_awaited(call.to_answer)
            .and_then(|()| request::<D>(receiver, incoming, slot));
        match request {
            Ok(CallRequest::Now(request, row)) => {
                self.serve_request(task, receiver, call, request, row);
            }
            Ok(CallRequest::Later(decoding)) => {
                let call = Some(call);
                return Some(Box::new(LongCall { decoding, call }));
            }
            Err(status) => refuse(receiver, call.to_answer, &status),
        }
        None
    }

    /// Serves a call whose long request was read, which is not awaited for as long as that took.
    pub(super) fn serve_read(
        &mut self,
        task: &mut Context<'_>,
        receiver: &mut Receiver<D::Out>,
        long: &mut LongCall<D>,
        read: Option<Decoded<D>>,
    ) {
        let Some(call) = long.call.take() else {
            return;
        };
        let request = receiver.check_awaited(call.to_answer).and_then(|()| {
            let (request, row) = decoded::<D>(read)?;
            expect_one_request(row)?;
            Ok((Request::Message(request), row))
        });
        match request {
            Ok((request, row)) => self.serve_request(task, receiver, call, request, row),
            Err(status) => refuse(receiver, call.to_answer, &status),
        }
    }

    fn serve_request(
        &mut self,
        task: &mut Context<'_>,
        receiver: &mut Receiver<D::Out>,
        call: TakenCall,
        request: Request<D::In>,
        row: &'static Variant,
    ) {
        let TakenCall {
            to_answer,
            head,
            taken,
        } = call;
        let call = ServedCall {
            to_answer,
            row,
            deadline: deadline(row, head.timeout, taken),
        };
        let around = Instrumented::of(row, head, self.side.incoming());
        match (request, around) {
            (Request::Message(request), None) => self.begin(task, receiver, call, request),
            (request, around) => {
                let around = around.unwrap_or_else(Instrumented::nothing);
                self.begin_instrumented(task, receiver, call, request, around);
            }
        }
    }

    /// Runs the handler of a call in the slot.
    #[inline]
    fn begin(
        &mut self,
        task: &mut Context<'_>,
        receiver: &mut Receiver<D::Out>,
        call: ServedCall,
        request: D::In,
    ) {
        let serving = Serving {
            deadline: call.deadline,
            metadata: None,
            call: Some(call.to_answer),
        };
        tracing::trace!(call = call.row.name, "serving");
        let context = D::serving(&self.context, serving);
        let begun = (self.start)(Arc::clone(&self.side), context, request);
        let slot = self.slot.get_or_insert_with(|| Box::pin(None));
        slot.set(Some(begun));
        let polled = poll_slot(slot, task);
        match polled {
            Poll::Ready(handled) => {
                slot.set(None);
                self.conclude(task, receiver, call, handled);
            }
            Poll::Pending => self.leave_slot(receiver, call),
        }
    }

    /// The handler in the slot was not done at once, and goes on in a task. By itself, as all of this that holds a future on the
    /// stack: a call that is done at once needs none of it.
    #[inline(never)]
    fn leave_slot(&mut self, receiver: &Receiver<D::Out>, call: ServedCall) {
        let Some(mut slot) = self.slot.take() else {
            return;
        };
        let responder = receiver.responder(call.to_answer, call.deadline);
        self.go_on(receiver, call, async move {
            let handled = poll_fn(|task| poll_slot(&mut slot, task)).await;
            responder.respond(handled, call.row).await;
        });
    }

    /// Runs the handler of a call with its middleware, its metadata and its span, as far as it has any.
    fn begin_instrumented(
        &mut self,
        task: &mut Context<'_>,
        receiver: &mut Receiver<D::Out>,
        call: ServedCall,
        request: Request<D::In>,
        around: Instrumented,
    ) {
        let ServedCall {
            to_answer,
            row,
            deadline,
        } = call;
        let responder = receiver
            .responder(to_answer, deadline)
            .timed(around.wants_time());
        let (side, context, variant) = (Arc::clone(&self.side), self.context.clone(), row.number);
        let Instrumented {
            span,
            middleware,
            head,
        } = around;
        let mut serving = Serving {
            deadline,
            metadata: head.metadata,
            call: Some(to_answer),
        };
        span.in_scope(|| tracing::trace!(call = row.name, "serving"));
        let work: Pin<Box<dyn Future<Output = ()> + Send>> = match middleware {
            None => {
                let context = D::serving(&context, serving);
                Box::pin(async move {
                    let handled = caught(handler::<D>(side, context, request, variant)).await;
                    responder.respond(handled, row).await;
                })
            }
            Some(stack) => {
                D::complete(&context, &mut serving);
                let (len, peer) = (head.body_len, D::peer(&context));
                let exchange = ExchangeContext::incoming(row, false, len, peer, serving);
                Box::pin(with_middleware::call(
                    stack, exchange, side, context, request, variant, responder,
                ))
            }
        };
        let mut working = Box::pin(work.instrument(span));
        if working.as_mut().poll(task).is_pending() {
            self.go_on(receiver, call, working);
        }
    }

    /// The handler in the slot was done at once.
    #[inline]
    fn conclude(
        &mut self,
        task: &mut Context<'_>,
        receiver: &mut Receiver<D::Out>,
        call: ServedCall,
        handled: Handled<D::Out>,
    ) {
        match handled {
            Ok(Ok(Answered::Message(answer))) if receiver.encoding().is_identity() => {
                match D::Out::VARIANTS.get(answer.index()) {
                    Some(answered) => receiver.answer(call.to_answer, answered, answer),
                    None => receiver
                        .responder(call.to_answer, call.deadline)
                        .fail(&Status::internal("the answer has no variant")),
                }
            }
            handled => self.respond(task, receiver, call, handled),
        }
    }

    /// The same for an answer that is not one message in plain protobuf.
    #[inline(never)]
    fn respond(
        &mut self,
        task: &mut Context<'_>,
        receiver: &Receiver<D::Out>,
        call: ServedCall,
        handled: Handled<D::Out>,
    ) {
        // Only a stream of answers takes its time.
        let responder = receiver.responder(call.to_answer, call.deadline);
        let mut responding = Box::pin(responder.respond(handled, call.row));
        if responding.as_mut().poll(task).is_pending() {
            self.go_on(receiver, call, responding);
        }
    }

    /// A call goes on in a task.
    fn go_on(
        &mut self,
        receiver: &Receiver<D::Out>,
        call: ServedCall,
        serving: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = self.tasks.spawn(async move {
            match call.deadline {
                // Dropping the call answers it.
                Some(deadline) => drop(timeout_at(deadline, serving).await),
                None => serving.await,
            }
        });
        let variant = call.row.number;
        receiver
            .connection()
            .call_runs(call.to_answer, variant, task);
    }

    fn moment(&mut self) -> Moment {
        *self.moment.get_or_insert_with(|| {
            let now = Instant::now();
            Moment {
                now,
                usual_deadline: now.checked_add(PROTOCOL_TIMEOUT),
            }
        })
    }
}

/// Refuses a call that does not begin.
fn refuse<A: Outgoing>(receiver: &Receiver<A>, call: CallToAnswer, status: &Status) {
    receiver.refused(call.id, status);
    receiver.responder(call, None).fail(status);
}

/// What a call asks for.
fn request<D: Dispatch>(
    receiver: &Receiver<D::Out>,
    incoming: Incoming,
    slot: InboundSlot,
) -> Result<CallRequest<D>, Status> {
    let connection = receiver.connection();
    if !incoming.is_stream {
        return match decode::<D>(receiver, incoming) {
            Decode::Now(read) => {
                let (message, row) = read?;
                expect_one_request(row)?;
                Ok(CallRequest::Now(Request::Message(message), row))
            }
            Decode::Later(decoding) => Ok(CallRequest::Later(decoding)),
        };
    }
    let row = expect::<D>(incoming.variant, incoming.reply)?;
    let requests = match row.exchange {
        Exchange::Call {
            request_stream: true,
            ..
        } => connection.requests(slot),
        _ => {
            return Err(Status::invalid_argument(format!(
                "`{}` asks for one request",
                row.name
            )));
        }
    };
    let requests = requests.ok_or_else(|| Status::new(Code::Cancelled, "the call has ended"))?;
    let requests = Request::Stream(Streaming::requests(requests));
    Ok(CallRequest::Now(requests, row))
}

#[inline]
fn poll_slot<F, Out>(slot: &mut Pin<Box<Option<F>>>, task: &mut Context<'_>) -> Poll<Handled<Out>>
where
    F: Future<Output = Result<Answered<Out>, Status>>,
{
    match slot.as_mut().as_pin_mut() {
        Some(handler) => poll_caught(handler, task),
        // Nobody polls a slot that is free.
        None => Poll::Pending,
    }
}

/// When a call has to be answered. One with a stream may go on for as long as both sides like, unless the schema or
/// the caller says otherwise.
#[inline]
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
