//! The responder of a call: it answers exactly once, by itself where it is dropped.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::time::Instant;

use super::panics::{panicked, poll_next_caught};
use crate::{
    Answered, Cancellation, Code, ItemStream, MetadataError, SendError, Status, VariantLabel,
    body::Encoding,
    connection::{CallToAnswer, Caller, ConnectionShared, Outgoing, StreamTarget},
    metadata::now_us,
};
use msip_session::Reply;

/// The result of a handler: what it returned, or the text of its panic.
pub(crate) type Handled<Out> = Result<Result<Answered<Out>, Status>, String>;

/// Answers a call, once. Dropped before, it answers with the reason why there is no answer.
#[derive(Debug)]
pub(crate) struct SessionResponder {
    connection: Arc<ConnectionShared>,
    call: CallToAnswer,
    encoding: Encoding,
    deadline: Option<Instant>,
    /// The caller asks for the time at which the answer was sent.
    wants_time: bool,
    is_done: bool,
}

/// What [`Reply`] needs as the type of an encoder where there is none.
type NoBody = fn(&mut Vec<u8>);

impl SessionResponder {
    pub(super) fn new(
        connection: &Arc<ConnectionShared>,
        call: CallToAnswer,
        encoding: Encoding,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            connection: Arc::clone(connection),
            call,
            encoding,
            deadline,
            wants_time: false,
            is_done: false,
        }
    }

    /// The answer tells when it was sent, if that is asked for.
    pub(crate) fn timed(mut self, wants_time: bool) -> Self {
        self.wants_time = wants_time;
        self
    }

    /// Answers with the handler's result. Only a stream of answers takes its time.
    pub(crate) async fn respond<Out: Outgoing>(
        self,
        handled: Handled<Out>,
        variant: impl Into<VariantLabel>,
    ) {
        match handled {
            Ok(Ok(Answered::Message(answer))) => self.answer(&answer),
            Ok(Ok(Answered::Stream(answers))) => self.answer_stream(answers, variant).await,
            Ok(Ok(Answered::Nothing)) => {
                self.fail(&Status::internal("the handler has no answer for a call"));
            }
            Ok(Err(status)) => self.fail(&status),
            Err(panic) => self.fail(&panicked(variant.into(), &panic)),
        }
    }

    /// Answers with one message.
    pub(crate) fn answer<E: Outgoing>(mut self, answer: &E) {
        let Some(row) = answer.variant() else {
            return self.fail(&Status::internal("the answer has no variant"));
        };
        let prepared = match answer.prepare(&self.encoding) {
            Ok(prepared) => prepared,
            // Also of a message that came compressed, and that cannot be inflated: the caller is not at fault.
            Err(error) => return self.fail(&Status::internal(error.to_string())),
        };
        self.is_done = true;
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
            metadata: None,
            encode,
        };
        let time_us = self.wants_time.then(now_us);
        self.connection.reply(self.call, reply, time_us);
    }

    /// Sends the answers of a stream, and its end. Their own panic ends them.
    pub(crate) async fn answer_stream<E: Outgoing>(
        self,
        answers: ItemStream<E>,
        variant: impl Into<VariantLabel>,
    ) {
        match self.send_answers(answers, variant).await {
            Ok(()) => self.end(),
            Err(status) => self.fail(&status),
        }
    }

    /// Sends the answers of a stream, but not its end.
    pub(crate) async fn send_answers<E: Outgoing>(
        &self,
        answers: ItemStream<E>,
        variant: impl Into<VariantLabel>,
    ) -> Result<(), Status> {
        let variant = variant.into();
        let mut answers = answers;
        let ended = || Status::new(Code::Cancelled, "the call has ended");
        let feed = self
            .connection
            .open_send_stream(StreamTarget::Answers(self.call));
        let mut feed = feed.ok_or_else(ended)?;
        let mut end = Ok(());
        let next = |task: &mut Context<'_>| {
            // What fails is the last, and what came before it goes out first.
            let next = std::task::ready!(poll_next_caught(answers.as_mut(), task));
            Poll::Ready(match next {
                Ok(Some(Ok(answer))) => Some(answer),
                Ok(Some(Err(status))) => {
                    end = Err(status);
                    None
                }
                Ok(None) => None,
                Err(panic) => {
                    end = Err(panicked(variant, &panic));
                    None
                }
            })
        };
        let mut next = next;
        match poll_fn(|task| feed.poll(task, &mut next)).await {
            Ok(()) => end,
            Err(SendError::Unwritable(error)) => Err(Status::internal(error.to_string())),
            Err(error @ SendError::TooLarge { .. }) => Err(error.into()),
            // The caller was lost, or has cancelled.
            Err(_) => Err(ended()),
        }
    }

    /// The cancellation of this call: the answer is not awaited any longer.
    pub(crate) fn cancellation(&self) -> Cancellation {
        self.connection.cancellation(self.call)
    }

    /// The call that it answers.
    #[inline]
    pub(crate) fn caller(&self) -> Caller<'_> {
        Caller {
            connection: &*self.connection,
            call: self.call,
            takes_plain: self.encoding.is_identity() && !self.wants_time,
        }
    }

    /// The connection of the caller.
    pub(crate) fn connection(&self) -> &Arc<ConnectionShared> {
        &self.connection
    }

    /// The call was answered without it.
    pub(crate) fn was_answered(&mut self) {
        self.is_done = true;
    }

    /// Sets a header of the answer.
    pub(crate) fn set_header(&self, name: &str, value: &str) -> Result<(), MetadataError> {
        self.connection.set_answer_header(self.call, name, value)
    }

    /// Ends a stream of answers.
    pub(crate) fn end(mut self) {
        self.is_done = true;
        self.connection.reply(self.call, Reply::<NoBody>::END, None);
    }

    /// Answers with an error.
    pub(crate) fn fail(mut self, status: &Status) {
        self.respond_error(status);
    }

    fn respond_error(&mut self, status: &Status) {
        self.is_done = true;
        let reply = Reply::<NoBody>::Error(status.as_error());
        self.connection.reply(self.call, reply, None);
    }
}

impl Drop for SessionResponder {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let status = match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Status::deadline_exceeded(),
            _ => Status::new(Code::Cancelled, "the handler was dropped"),
        };
        self.respond_error(&status);
    }
}
