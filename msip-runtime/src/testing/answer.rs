//! The answers of a test.

use std::{fmt, pin::Pin};

use super::stream_of;
use crate::{CallError, Envelope, Exchange, Stream, Variant};

/// The response stream of a call.
pub(super) type AnswerStream<In> = Pin<Box<dyn Stream<Item = Result<In, CallError>> + Send>>;

/// The answer to a call, or to a message sent for acknowledgment, in a test.
///
/// A message of the envelope converts into one, so `answer(ServerToClient::ConnectRsp(…))` is enough.
pub struct Answer<In>(pub(super) AnswerKind<In>);

pub(super) enum AnswerKind<In> {
    Nothing,
    Message(In),
    Error(CallError),
    Stream(AnswerStream<In>),
}

impl<In> Answer<In> {
    /// No answer: a message is acknowledged, an item of a request stream is accepted, and a call is refused.
    #[must_use]
    pub const fn nothing() -> Self {
        Self(AnswerKind::Nothing)
    }

    /// One message.
    #[must_use]
    pub const fn message(message: In) -> Self {
        Self(AnswerKind::Message(message))
    }

    /// An error: a [`Status`](crate::Status) as a handler returns it, or any other error of a call. A test peer or client
    /// converts an error that only a caller can get into the status that fits best.
    #[must_use]
    pub fn error(error: impl Into<CallError>) -> Self {
        Self(AnswerKind::Error(error.into()))
    }

    /// A stream of these messages.
    #[must_use]
    pub fn items(items: impl IntoIterator<Item = In, IntoIter: Send + 'static>) -> Self
    where
        In: 'static,
    {
        Self::stream(stream_of(items.into_iter().map(Ok)))
    }

    /// A stream of what this stream yields.
    #[must_use]
    pub fn stream(items: impl Stream<Item = Result<In, CallError>> + Send + 'static) -> Self {
        Self(AnswerKind::Stream(Box::pin(items)))
    }
}

impl<In: Envelope> Answer<In> {
    /// Whether it is a valid answer to this variant.
    pub(super) fn fits(&self, variant: &Variant) -> bool {
        match (&self.0, variant.exchange) {
            (AnswerKind::Message(message), Exchange::Call { response, .. }) => In::VARIANTS
                .get(message.index())
                .is_some_and(|row| row.number == response),
            (
                AnswerKind::Stream(_),
                Exchange::Call {
                    response_stream, ..
                },
            ) => response_stream,
            (AnswerKind::Error(_), Exchange::Call { .. } | Exchange::Acknowledged)
            | (AnswerKind::Nothing, Exchange::Acknowledged) => true,
            _ => false,
        }
    }

    /// Its name in the text of an error.
    pub(super) fn name(&self) -> &'static str {
        match &self.0 {
            AnswerKind::Nothing => "nothing",
            AnswerKind::Message(message) => In::VARIANTS
                .get(message.index())
                .map_or("an unknown message", |row| row.name),
            AnswerKind::Error(_) => "an error",
            AnswerKind::Stream(_) => "a stream",
        }
    }
}

impl<In: Envelope> From<In> for Answer<In> {
    fn from(message: In) -> Self {
        Self::message(message)
    }
}

impl<In> fmt::Debug for Answer<In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            AnswerKind::Nothing => f.write_str("Nothing"),
            AnswerKind::Message(_) => f.write_str("Message(..)"),
            AnswerKind::Error(error) => f.debug_tuple("Error").field(error).finish(),
            AnswerKind::Stream(_) => f.write_str("Stream(..)"),
        }
    }
}
