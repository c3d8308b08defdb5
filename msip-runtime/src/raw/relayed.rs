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
        BegunStream, Caller, ConnectionShared, FromBody as _, NotRelayed, RelayEnd, RelayTarget,
    },
};
use msip_session::Outcome;

/// Who relays a call, and hears what becomes of it.
pub trait RelayedCall: fmt::Debug + Send + 'static {
    /// Whether it is another one's turn where the call ends with this error before it was answered.
    fn is_for_another(&self, error: &CallError) -> bool;

    /// The call has ended, or is answered by a stream.
    ///
    /// It is called by the task that found it, and should not take long.
    fn ended(self, end: Relayed);
}

/// What has become of a call that was [relayed](Handle::relay).
#[derive(Debug)]
#[must_use = "a responder that is dropped answers with an error"]
#[non_exhaustive]
pub enum Relayed {
    /// It is answered, nobody waited for the answer, or it is another one's turn.
    Ended(Forwarded),
    /// It is answered by a stream: [`Responder::forward`] passes that on, with its credit.
    Stream(Responder, Responses),
}

/// Why a call was not relayed, and what it was to answer.
#[derive(Debug)]
#[must_use = "a responder that is dropped answers with an error"]
pub struct NotRelayedCall<C> {
    /// Who was to hear what becomes of it.
    pub call: C,
    /// What it answers.
    pub responder: Responder,
    /// Why; nothing where there is no capacity for it now, as [`Handle::open`] waits for.
    pub error: Option<CallError>,
}

/// A call that was relayed.
struct Target<C> {
    responder: Responder,
    call: C,
    /// Where it was relayed to.
    connection: Weak<ConnectionShared>,
    timeout: Duration,
}

impl<C> fmt::Debug for Target<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("responder", &self.responder)
            .finish_non_exhaustive()
    }
}

impl Handle {
    /// Makes a call whose outcome answers another one: its one answer, or its error, with the headers of the answer. Nothing waits
    /// for it meanwhile, neither a task nor a future. Where the answer is not awaited any longer, the call is cancelled.
    ///
    /// # Errors
    ///
    /// It could not be sent, or not now.
    #[expect(
        clippy::result_large_err,
        reason = "it is taken apart at once, and a box would be an allocation for each call that has to wait"
    )]
    pub fn relay<C: RelayedCall>(
        &self,
        message: &UntypedMessage,
        options: &CallOptions,
        responder: Responder,
        call: C,
    ) -> Result<(), NotRelayedCall<C>> {
        let connection = self.connection();
        let caller = Arc::clone(responder.connection());
        let target = Box::new(Target {
            responder,
            call,
            connection: Arc::downgrade(connection),
            timeout: Duration::MAX,
        });
        let relayed = connection.relay(message, &self.options(options), &caller, target);
        relayed.map_err(|(target, why)| {
            let Target {
                responder, call, ..
            } = *target;
            NotRelayedCall {
                call,
                responder,
                error: match why {
                    NotRelayed::NoCapacity => None,
                    NotRelayed::Failed(error) => Some(error),
                },
            }
        })
    }
}

impl<C: RelayedCall> RelayTarget for Target<C> {
    #[inline]
    fn caller(&self) -> Caller<'_> {
        self.responder.caller()
    }

    fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    fn answered(self: Box<Self>) {
        let Self {
            responder, call, ..
        } = *self;
        responder.was_answered();
        call.ended(Relayed::Ended(Forwarded::Answered));
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
