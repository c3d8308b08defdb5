//! Calls that are answered with streams, through middleware: it is around them until the stream ends.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::{
    ExchangeContext, ExchangeEnd, Handling, Origin, Shape,
    outgoing::{nothing, only_once},
};
use crate::{
    CallError, Envelope, SendError, Variant,
    connection::{Addressed, Answers, ConnectionShared, Opening},
};
use msip_session::wire::Topic;

/// The middleware of a call whose answers are being taken. The reader of the answers polls it too.
pub(crate) struct StreamingMiddleware {
    chain: Handling<'static>,
    handoff: Arc<Handoff>,
    /// Its result, where it ended before it was asked for.
    outcome: Option<Result<(), CallError>>,
}

/// What the end of the chain and the reader of the answers share.
#[derive(Debug, Default)]
struct Handoff(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    opened: Option<Answers>,
    /// How the stream ended.
    over: Option<Result<(), CallError>>,
    chain: Option<Waker>,
}

impl Handoff {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a call whose answers are a stream: with its one request, or the promise of a stream of requests.
pub(crate) async fn open_stream<E: Envelope>(
    origin: Origin<'_>,
    request: Result<E, &'static Variant>,
) -> Result<(Answers, StreamingMiddleware), CallError> {
    let (row, shape, len) = match &request {
        Ok(request) => (
            E::VARIANTS.get(request.index()),
            Shape::ResponseStream,
            request.encoded_len(),
        ),
        Err(variant) => (Some(*variant), Shape::BothStreams, 0),
    };
    let row = row.ok_or(SendError::Closed)?;
    let mut exchange = origin.exchange(row, shape, len);
    let handoff = Arc::new(Handoff::default());
    let mut end = StreamEnd {
        connection: Arc::clone(origin.connection),
        topic: origin.topic.cloned(),
        request,
        handoff: Arc::clone(&handoff),
        is_open: false,
    };
    let stack = origin.stack.clone();
    let chain = Box::pin(async move { stack.run(&mut exchange, &mut end).await });
    let mut middleware = StreamingMiddleware {
        chain,
        handoff,
        outcome: None,
    };
    let answers = poll_fn(|task| middleware.poll_opened(task)).await?;
    Ok((answers, middleware))
}

impl StreamingMiddleware {
    fn poll_opened(&mut self, task: &mut Context<'_>) -> Poll<Result<Answers, CallError>> {
        let polled = self.poll(task);
        let opened = self.handoff.lock().opened.take();
        match (polled, opened) {
            (Poll::Ready(Err(error)), _) => Poll::Ready(Err(error)),
            (Poll::Ready(Ok(())), _) => Poll::Ready(Err(nothing())),
            (Poll::Pending, Some(answers)) => Poll::Ready(Ok(answers)),
            (Poll::Pending, None) => Poll::Pending,
        }
    }

    /// The result of the middleware. Not to be polled after that.
    pub(crate) fn poll(&mut self, task: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        match self.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => self.chain.as_mut().poll(task),
        }
    }

    /// Ready where the middleware has ended the call already; [`poll`](Self::poll) returns its result.
    pub(crate) fn poll_early(&mut self, task: &mut Context<'_>) -> Poll<()> {
        let outcome = std::task::ready!(self.poll(task));
        self.outcome = Some(outcome);
        Poll::Ready(())
    }

    /// Tells the middleware how the stream ended.
    pub(crate) fn over(&self, outcome: Result<(), CallError>) {
        let waker = {
            let mut state = self.handoff.lock();
            state.over.get_or_insert(outcome);
            state.chain.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// What the innermost middleware leads to: opens the call, hands its answers over, and waits until they are taken.
struct StreamEnd<E> {
    connection: Arc<ConnectionShared>,
    topic: Option<Topic>,
    request: Result<E, &'static Variant>,
    handoff: Arc<Handoff>,
    is_open: bool,
}

impl<E: Envelope> ExchangeEnd for StreamEnd<E> {
    fn run<'a>(&'a mut self, exchange: &'a mut ExchangeContext) -> Handling<'a> {
        Box::pin(async move {
            if self.is_open {
                return Err(only_once());
            }
            let (topic, options) = (self.topic.as_ref(), exchange.options());
            let answers = match &self.request {
                Ok(message) => {
                    let request = Addressed { message, topic };
                    let opening = Opening::Request(&request);
                    self.connection.open_streams(opening, options).await?
                }
                Err(variant) => {
                    let opening = Opening::<E>::Stream(variant, topic);
                    self.connection.open_streams(opening, options).await?
                }
            };
            self.is_open = true;
            self.handoff.lock().opened = Some(answers);
            poll_fn(|task| {
                let mut state = self.handoff.lock();
                match state.over.take() {
                    Some(outcome) => Poll::Ready(outcome),
                    None => {
                        state.chain = Some(task.waker().clone());
                        Poll::Pending
                    }
                }
            })
            .await
        })
    }
}
