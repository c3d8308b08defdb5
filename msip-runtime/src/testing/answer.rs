//! What a test answers.

use std::{fmt, pin::Pin};

use super::stream_of;
use crate::{CallError, Envelope, Exchange, Stream, Variant};

/// The answers of a call that a stream answers.
pub(super) type Answers<In> = Pin<Box<dyn Stream<Item = Result<In, CallError>> + Send>>;

/// What a call, or a message sent for acknowledgment, is answered with in a test.
///
/// A message of the envelope becomes one by itself, so that `answer(ServerToClient::ConnectRsp(…))` is enough.
pub struct Answer<In>(pub(super) Kind<In>);

pub(super) enum Kind<In> {
    Nothing,
    Message(In),
    Error(CallError),
    Stream(Answers<In>),
}

impl<In> Answer<In> {
    /// No answer of its own: a message is acknowledged, an item of a stream passes, and a call is refused.
    #[must_use]
    pub const fn nothing() -> Self {
        Self(Kind::Nothing)
    }

    /// One message.
    #[must_use]
    pub const fn message(message: In) -> Self {
        Self(Kind::Message(message))
    }

    /// An error: a [`Status`](crate::Status) as a handler's, or any other outcome of a call. On its way through a test
    /// peer or client an outcome that only a caller can have becomes the status that fits best.
    #[must_use]
    pub fn error(error: impl Into<CallError>) -> Self {
        Self(Kind::Error(error.into()))
    }

    /// A stream of these messages.
    #[must_use]
    pub fn items(items: impl IntoIterator<Item = In, IntoIter: Send + 'static>) -> Self
    where
        In: 'static,
    {
        Self::stream(stream_of(items.into_iter().map(Ok)))
    }

    /// What this stream yields.
    #[must_use]
    pub fn stream(items: impl Stream<Item = Result<In, CallError>> + Send + 'static) -> Self {
        Self(Kind::Stream(Box::pin(items)))
    }
}

impl<In: Envelope> Answer<In> {
    /// Whether it can answer a message of this variant.
    pub(super) fn fits(&self, variant: &Variant) -> bool {
        match (&self.0, variant.exchange) {
            (Kind::Message(message), Exchange::Call { response, .. }) => In::VARIANTS
                .get(message.index())
                .is_some_and(|row| row.number == response),
            (
                Kind::Stream(_),
                Exchange::Call {
                    response_stream, ..
                },
            ) => response_stream,
            (Kind::Error(_), Exchange::Call { .. } | Exchange::Acknowledged)
            | (Kind::Nothing, Exchange::Acknowledged) => true,
            _ => false,
        }
    }

    /// What it is called in an error.
    pub(super) fn name(&self) -> &'static str {
        match &self.0 {
            Kind::Nothing => "nothing",
            Kind::Message(message) => In::VARIANTS
                .get(message.index())
                .map_or("an unknown message", |row| row.name),
            Kind::Error(_) => "an error",
            Kind::Stream(_) => "a stream",
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
            Kind::Nothing => f.write_str("Nothing"),
            Kind::Message(_) => f.write_str("Message(..)"),
            Kind::Error(error) => f.debug_tuple("Error").field(error).finish(),
            Kind::Stream(_) => f.write_str("Stream(..)"),
        }
    }
}
