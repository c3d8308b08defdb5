//! Responders of raw exchanges: each answers once, by itself where it is dropped.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use futures_core::Stream;

use super::{Responses, UntypedMessage};
use crate::{
    CallError, Cancellation, Code, Identity, Metadata, MetadataError, ResponseMetadata, Status,
    connection::{Caller, Completion, ConnectionShared, Terms},
    service::{self, Receiver},
};
use msip_session::wire::{Credit, MsgId};

/// Answers a call, once. Dropped before, it answers with `CANCELLED`, or `DEADLINE_EXCEEDED` where that is so.
#[derive(Debug)]
#[must_use = "a responder that is dropped answers with an error"]
pub struct Responder(service::SessionResponder, u16);

impl Responder {
    /// Answers a call of this variant.
    pub(super) fn new(responder: service::SessionResponder, variant: u16) -> Self {
        Self(responder, variant)
    }

    /// Sets a header of the answer, as [`Call::set_header`](crate::Call::set_header) does.
    ///
    /// # Errors
    ///
    /// The header is malformed, or there are more than 8 KiB of them.
    pub fn set_header(&self, name: &str, value: &str) -> Result<(), MetadataError> {
        self.0.set_header(name, value)
    }

    /// Answers with one message.
    pub fn answer(self, message: &UntypedMessage) {
        self.0.answer(message);
    }

    /// The call that it answers.
    #[inline]
    pub(super) fn caller(&self) -> Caller<'_> {
        self.0.caller()
    }

    /// The connection of the caller.
    pub(super) fn connection(&self) -> &Arc<ConnectionShared> {
        self.0.connection()
    }

    /// The call was answered, by whom its outcome was passed on.
    pub(super) fn was_answered(&mut self) {
        self.0.was_answered();
    }

    /// Who the caller is, as this side has authenticated it; `None` where it has not.
    #[must_use]
    pub fn caller_identity(&self) -> Option<Arc<Identity>> {
        self.connection().identity()
    }

    /// Ends a stream of answers, or says that there is none.
    pub(super) fn end(self) {
        self.0.end();
    }

    /// Answers with an error.
    pub fn fail(self, status: &Status) {
        self.0.fail(status);
    }

    /// Answers with a stream, as the caller gives credit for its items. An error ends it. Returns when all is sent, or when
    /// the answer is not awaited any longer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the stream with `CANCELLED`.
    pub async fn stream(
        self,
        items: impl Stream<Item = Result<UntypedMessage, Status>> + Send + 'static,
    ) {
        let cancellation = self.cancellation();
        let work = pin!(self.0.answer_stream(Box::pin(items), self.1));
        let _ = unless_cancelled(&cancellation, work).await;
    }

    /// Passes on the outcome of another call: its one answer, its stream of answers with their credit, or its error, with
    /// the headers of the answer. Where
    /// the answer is not awaited any longer, that call is cancelled too.
    ///
    /// # Cancel safety
    ///
    /// As [`stream`](Self::stream).
    pub async fn forward(
        self,
        responses: impl Future<Output = Result<Responses, CallError>> + Send,
    ) {
        if let Forwarded::Another(responder, error) =
            self.forward_unless(responses, |_| false).await
        {
            responder.fail(&error.into());
        }
    }

    /// The same, but where the other call ends by an error that is `another` one's turn before it has answered anything, it is
    /// still to be answered, and comes back with that error.
    ///
    /// # Cancel safety
    ///
    /// As [`stream`](Self::stream).
    pub async fn forward_unless(
        self,
        responses: impl Future<Output = Result<Responses, CallError>> + Send,
        another: impl Fn(&CallError) -> bool + Send,
    ) -> Forwarded {
        let cancellation = self.cancellation();
        let mut back = None;
        let mut end = End::Answered;
        let is_done = {
            // Pinned where it is made: each time it is moved the future of a call would hold it once more.
            let forwarding = pin!(async {
                let mut responses = match responses.await {
                    Ok(responses) => responses,
                    Err(error) if another(&error) => {
                        back = Some((self, error));
                        return;
                    }
                    Err(error) => {
                        end = End::of(&error);
                        return self.fail(&error.into());
                    }
                };
                let metadata = ResponseMetadata::new();
                responses.0.keep_metadata(&metadata);
                match responses.next().await {
                    None => {
                        self.forward_headers(&metadata);
                        self.0.end();
                    }
                    Some(Ok(message)) if message.is_answer() => {
                        self.forward_headers(&metadata);
                        self.answer(&message);
                    }
                    Some(Ok(message)) => {
                        let items = Chained {
                            first: Some(message),
                            responses,
                        };
                        // In a box, since most calls have one answer.
                        let sent = Box::pin(self.0.send_answers(Box::pin(items), self.1)).await;
                        self.forward_headers(&metadata);
                        match sent {
                            Ok(()) => self.0.end(),
                            Err(status) => self.fail(&status),
                        }
                    }
                    Some(Err(error)) if another(&error) => back = Some((self, error)),
                    Some(Err(error)) => {
                        self.forward_headers(&metadata);
                        end = End::of(&error);
                        self.fail(&error.into());
                    }
                }
            });
            unless_cancelled(&cancellation, forwarding).await
        };
        match back {
            Some((responder, error)) => Forwarded::Another(responder, error),
            None if is_done => end.into(),
            None => Forwarded::GivenUp,
        }
    }

    fn forward_headers(&self, from: &ResponseMetadata) {
        if let Some(metadata) = from.get() {
            self.set_headers(&metadata);
        }
    }

    /// Sets all headers of another answer.
    pub(super) fn set_headers(&self, metadata: &Metadata) {
        for (name, value) in metadata.headers() {
            // What came within the limits of one connection is within those of another; what is malformed stays here.
            if let Err(error) = self.set_header(name, value) {
                tracing::debug!(%error, "a header of an answer is not passed on");
            }
        }
    }

    /// The cancellation of this call: the answer is not awaited any longer.
    #[must_use]
    pub fn cancellation(&self) -> Cancellation {
        self.0.cancellation()
    }
}

/// What has become of a call whose answer is [passed on](Responder::forward_unless).
#[derive(Debug)]
#[must_use = "a responder that is dropped answers with an error"]
pub enum Forwarded {
    /// It is answered, with what came or with an error.
    Answered,
    /// Nobody waited for the answer any longer: it was given up, or its deadline has passed without one.
    GivenUp,
    /// It could not be sent, and is answered with that error: nobody was asked.
    NotSent,
    /// It is another one's turn.
    Another(Responder, CallError),
}

/// How a call ends that is answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Answered,
    Late,
    NotSent,
}

impl End {
    /// That of a call which is answered with this error.
    pub(super) fn of(error: &CallError) -> Self {
        match error {
            CallError::DeadlineExceeded { .. } => Self::Late,
            CallError::NotSent(_) => Self::NotSent,
            _ => Self::Answered,
        }
    }
}

impl From<End> for Forwarded {
    fn from(end: End) -> Self {
        match end {
            End::Answered => Self::Answered,
            End::Late => Self::GivenUp,
            End::NotSent => Self::NotSent,
        }
    }
}

/// An item that was taken already, and those behind it.
struct Chained {
    first: Option<UntypedMessage>,
    responses: Responses,
}

impl Stream for Chained {
    type Item = Result<UntypedMessage, Status>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        task: &mut std::task::Context<'_>,
    ) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let next = std::task::ready!(Pin::new(&mut self.responses).poll_next(task));
        Poll::Ready(next.map(|next| next.map_err(Status::from)))
    }
}

/// Runs some work until its call is cancelled; `false` where that was first.
async fn unless_cancelled(
    cancellation: &Cancellation,
    mut work: Pin<&mut impl Future<Output = ()>>,
) -> bool {
    let mut cancelled = pin!(cancellation.cancelled());
    poll_fn(|task| {
        if work.as_mut().poll(task).is_ready() {
            return Poll::Ready(true);
        }
        cancelled.as_mut().poll(task).map(|()| false)
    })
    .await
}

/// Acknowledges a delivery, once. Dropped before, it answers with `CANCELLED`.
#[derive(Debug)]
#[must_use = "an acknowledgment that is dropped answers with an error"]
pub struct Acknowledgment {
    connection: Arc<ConnectionShared>,
    terms: Terms,
    id: MsgId,
    urgent: bool,
    credit: Credit,
    is_done: bool,
}

impl Acknowledgment {
    pub(super) fn new(
        receiver: &Receiver<UntypedMessage>,
        id: MsgId,
        urgent: bool,
        credit: Credit,
    ) -> Self {
        Self {
            connection: Arc::clone(receiver.connection()),
            terms: receiver.terms().clone(),
            id,
            urgent,
            credit,
            is_done: false,
        }
    }

    /// The message has been handled.
    pub fn acknowledge(mut self) {
        self.end(Ok(()));
    }

    /// The message could not be handled.
    pub fn fail(mut self, status: Status) {
        self.end(Err(status));
    }

    /// Passes on the outcome of another delivery.
    pub fn complete(self, delivered: Result<(), CallError>) {
        match delivered {
            Ok(()) => self.acknowledge(),
            Err(error) => self.fail(error.into()),
        }
    }

    fn end(&mut self, outcome: Result<(), Status>) {
        self.is_done = true;
        let mut completed = vec![Completion::<UntypedMessage>::Delivery {
            id: self.id,
            urgent: self.urgent,
            outcome,
        }];
        self.connection
            .complete(&self.terms, self.credit, &mut completed);
    }
}

impl Drop for Acknowledgment {
    fn drop(&mut self) {
        if !self.is_done {
            self.end(Err(Status::new(Code::Cancelled, "the handler was dropped")));
        }
    }
}
