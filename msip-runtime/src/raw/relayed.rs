//! Calls that are passed on to another connection without a future for each.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use super::{Forwarded, Handle, Responder, Responses, UntypedMessage, responder::End};
use crate::{
    CallError, CallOptions, Metadata, Streaming,
    connection::{
        BegunStream, CallPermit, CallToOpen, Caller, CallerConnection, ConnectionShared,
        FromBody as _, NotRelayed, RelayEnd, RelayTarget,
    },
};
use msip_session::{Outcome, wire::Topic};

/// What is relayed, and who hears what becomes of it.
pub trait RelayedCall: fmt::Debug + Send + 'static {
    /// What is sent.
    fn message(&self) -> &UntypedMessage;

    /// Where it is sent to, if that is not the topic of the message.
    fn topic(&self) -> Option<&Topic>;

    /// With which options.
    fn options(&self) -> &CallOptions;

    /// Whether it is another one's turn where the call ends with this error before it was answered.
    fn is_for_another(&self, error: &CallError) -> bool;

    /// Takes what counts the call among those of its caller: where it is given up, or has run out of time, that is dropped once the
    /// other end has ended the call, which counts there until then.
    fn take_permit(&mut self) -> Option<CallPermit>;

    /// The call was answered with the message that came.
    ///
    /// It is called by the task that found it, as [`ended`](Self::ended) is, and should not take long.
    fn answered(&self);

    /// The call has ended in any other way, or is answered by a stream.
    fn ended(self, end: Relayed);
}

/// What has become of a call that was [relayed](Handle::relay_all).
#[derive(Debug)]
#[must_use = "a responder that is dropped answers with an error"]
#[non_exhaustive]
pub enum Relayed {
    /// It is answered, nobody waited for the answer, or it is another one's turn.
    Ended(Forwarded),
    /// It is answered by a stream: [`Responder::forward`] passes that on, with its credit.
    Stream(Responder, Responses),
}

/// A call, and the one that it answers with its outcome. In one piece, from when it was received until it is answered.
#[derive(Debug)]
#[must_use = "a responder that is dropped answers with an error"]
pub struct CallToRelay<C> {
    /// What is relayed.
    pub call: C,
    /// What its outcome answers.
    pub responder: Responder,
    /// Where it was relayed to, and for how long its outcome is waited for.
    connection: Weak<ConnectionShared>,
    timeout: Duration,
}

impl<C> CallToRelay<C> {
    /// The outcome of `call` is to answer this.
    pub const fn new(call: C, responder: Responder) -> Self {
        Self {
            call,
            responder,
            connection: Weak::new(),
            timeout: Duration::MAX,
        }
    }
}

impl Handle {
    /// Makes calls whose outcomes answer others: each its one answer, or its error, with the headers of the answer. Nothing waits
    /// for them meanwhile, neither a task nor a future. Where an answer is not awaited any longer, its call is cancelled.
    ///
    /// Those that could not be sent come back in `not_relayed`, with the reason; with none where there is no capacity for it now, as
    /// [`Handle::open`] waits for.
    pub fn relay_all<C: RelayedCall>(
        &self,
        mut calls: Vec<Box<CallToRelay<C>>>,
        mut not_relayed: impl FnMut(Box<CallToRelay<C>>, Option<CallError>),
    ) {
        let connection = self.connection();
        for call in &mut calls {
            call.connection = Arc::downgrade(connection);
        }
        connection.relay_all(calls, |call, why| {
            let error = match why {
                NotRelayed::NoCapacity => None,
                NotRelayed::Failed(error) => Some(error),
            };
            not_relayed(call, error);
        });
    }
}

impl<C: RelayedCall> CallToOpen for CallToRelay<C> {
    type Message = UntypedMessage;

    fn message(&self) -> &UntypedMessage {
        self.call.message()
    }

    fn topic(&self) -> Option<&Topic> {
        self.call.topic()
    }

    fn options(&self) -> &CallOptions {
        self.call.options()
    }
}

impl<C: RelayedCall> RelayTarget for CallToRelay<C> {
    #[inline]
    fn caller(&self) -> Caller<'_> {
        self.responder.caller()
    }

    fn caller_connection(&self) -> Arc<dyn CallerConnection> {
        Arc::clone(self.responder.connection()) as Arc<dyn CallerConnection>
    }

    fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    fn take_permit(&mut self) -> Option<CallPermit> {
        self.call.take_permit()
    }

    fn answered(mut self: Box<Self>) {
        self.responder.was_answered();
        self.call.answered();
    }

    fn ended(self: Box<Self>, end: RelayEnd) {
        let Self {
            responder,
            call,
            connection,
            timeout,
        } = *self;
        match end {
            RelayEnd::Outcome(
                Outcome::Answer {
                    variant,
                    body,
                    compressed,
                    metadata,
                },
                encoding,
            ) => {
                if let Some(metadata) = metadata {
                    responder.set_headers(&Metadata::received(*metadata));
                }
                if body.is_empty() {
                    responder.end();
                } else {
                    match UntypedMessage::from_body(&encoding, variant, body, compressed) {
                        Ok(message) => responder.answer(&message),
                        Err(error) => responder.fail(&CallError::Answer(error).into()),
                    }
                }
                call.ended(Relayed::Ended(Forwarded::Answered));
            }
            RelayEnd::Outcome(outcome, _) => {
                let metadata = ConnectionShared::metadata_of(&outcome);
                let error = match connection.upgrade() {
                    Some(connection) => connection.failure(outcome, timeout),
                    None => CallError::ConnectionLost,
                };
                if call.is_for_another(&error) {
                    let another = Forwarded::Another(responder, error);
                    return call.ended(Relayed::Ended(another));
                }
                if let Some(metadata) = metadata {
                    responder.set_headers(&metadata);
                }
                let forwarded = End::of(&error).into();
                responder.fail(&error.into());
                call.ended(Relayed::Ended(forwarded));
            }
            RelayEnd::Stream(begun) => match connection.upgrade() {
                Some(connection) => {
                    let responses = responses(begun, &connection, timeout);
                    call.ended(Relayed::Stream(responder, responses));
                }
                None => {
                    responder.fail(&CallError::ConnectionLost.into());
                    call.ended(Relayed::Ended(Forwarded::Answered));
                }
            },
            RelayEnd::GivenUp => {
                drop(responder);
                call.ended(Relayed::Ended(Forwarded::GivenUp));
            }
        }
    }
}

fn responses(
    begun: BegunStream,
    connection: &Arc<ConnectionShared>,
    timeout: Duration,
) -> Responses {
    Responses(Streaming::answers(begun.answers(connection, timeout), None))
}
