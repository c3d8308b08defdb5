//! Calls: what a client asks, handed whole to the service that answers it.

use std::{pin::pin, sync::Arc};

use msip_runtime::{
    CallError, CallOptions, Identity, SendError, Status,
    untyped::{
        Forwarded, Handle, NotRelayedCall, Relayed, RelayedCall, Requests, Responder,
        UntypedMessage,
    },
};

use msip_session::wire::Topic;

#[cfg(feature = "middleman")]
use super::foreign::Foreign;
use super::{Shared, open_work::WorkStarter, requests::Unbroken, status};
use crate::router::{
    Assigned, Exchange, OpenCall, Publisher, Refused, Request, SessionHandle, SessionKey, WakeList,
};

/// A call of an MSIP client.
#[derive(Debug)]
pub(crate) struct MsipCall {
    /// Whose it is.
    pub(crate) caller: SessionHandle,
    pub(crate) message: UntypedMessage,
    /// Its deadline, its metadata, and who the caller is, where it has a name.
    pub(crate) options: CallOptions,
    /// Who the caller is, where that is nothing but a peer: stated to an instance that does not hear it apart.
    pub(super) unnamed: Option<Arc<Identity>>,
    /// There until the call is passed on, and again where it comes back.
    pub(super) responder: Option<Responder>,
    pub(crate) requests: Option<Requests>,
    /// Whether it may run more than once.
    pub(super) is_idempotent: bool,
    /// What decides to which instance it goes.
    pub(super) key: Option<String>,
}

/// How many instances are given a call that may run more than once.
const MAX_TRIES: usize = 3;

/// What a call counts besides its body.
const CALL_COST: usize = 1024;

impl Exchange for MsipCall {
    fn pinned(&self) -> usize {
        self.message.raw_body().len() + CALL_COST
    }

    fn caller(&self) -> Option<SessionKey> {
        Some(self.caller.key())
    }

    fn sticky_key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    fn refuse(self: Box<Self>, why: Refused) {
        self.fail(&status(&why));
    }
}

impl MsipCall {
    /// What answers it.
    #[cfg(feature = "middleman")]
    pub(crate) fn into_responder(self) -> Option<Responder> {
        self.responder
    }

    /// Answers it with an error.
    pub(crate) fn fail(self, status: &Status) {
        if let Some(responder) = self.responder {
            responder.fail(status);
        }
    }

    /// Whether nobody waits for the answer any more.
    #[cfg(feature = "middleman")]
    pub(crate) fn is_cancelled(&self) -> bool {
        let responder = self.responder.as_ref();
        responder.is_some_and(|responder| responder.cancellation().is_cancelled())
    }
}

/// A call that the router has given to a service.
pub(super) enum Call {
    Msip(Box<MsipCall>),
    #[cfg(feature = "middleman")]
    Foreign(Box<Foreign>),
}

/// The call that the router has given to a service; `None` for one of another kind, and there is none.
///
/// `at` is where the instance hears this client, if it hears each apart.
pub(super) fn take_apart(assigned: Assigned, at: Option<Topic>) -> Option<(Call, Attempt)> {
    let instance = assigned.instance();
    let (request, open) = assigned.into_parts();
    let Request {
        topic,
        exchange,
        tried,
    } = request;
    let call = match (exchange as Box<dyn std::any::Any>).downcast() {
        Ok(call) => Call::Msip(call),
        #[cfg(feature = "middleman")]
        Err(other) => Call::Foreign(other.downcast().ok()?),
        #[cfg(not(feature = "middleman"))]
        Err(_) => return None,
    };
    let attempt = Attempt {
        topic,
        at,
        instance,
        tried,
        open,
    };
    Some((call, attempt))
}

/// Answers a call that cannot be sent to its instance.
pub(super) fn refuse(assigned: Assigned, why: Status) {
    let (request, _) = assigned.into_parts();
    request.exchange.refuse(Refused {
        code: why.code(),
        text: why.message().to_owned().into(),
    });
}

/// A call at one of the instances of a service, where it counts as open.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) topic: bytes::Bytes,
    /// Where the instance hears this client, if it hears each apart.
    at: Option<Topic>,
    /// The instance, and those that have had it before.
    instance: SessionKey,
    tried: Vec<SessionKey>,
    pub(super) open: OpenCall,
}

impl Attempt {
    /// The message as the instance hears it.
    fn heard(&self, message: &UntypedMessage) -> UntypedMessage {
        let message = message.clone();
        match &self.at {
            Some(at) => message.to_known_topic(at.clone()),
            None => message,
        }
    }

    /// The instances that have had it, with this one.
    pub(super) fn all_tried(&self) -> Vec<SessionKey> {
        let before = self.tried.iter().copied();
        before.chain([self.instance]).collect()
    }

    /// The options that the instance is sent.
    fn options(&self, options: &CallOptions, unnamed: Option<&Identity>) -> CallOptions {
        let options = options.clone();
        match &self.at {
            Some(_) => options,
            None => options.stating(unnamed),
        }
    }
}

#[cfg(feature = "middleman")]
impl Attempt {
    /// The topic at which the instance hears the caller.
    pub(super) fn heard_at(&self) -> String {
        match &self.at {
            Some(at) => at.as_str().to_owned(),
            None => String::from_utf8_lossy(&self.topic).into_owned(),
        }
    }
}

/// What the calls at one instance have in common.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) shared: Arc<Shared>,
    /// Begins what takes its time: streams.
    pub(super) work: WorkStarter,
}

/// A call that an instance has, and that nothing waits for here.
#[derive(Debug)]
struct PassedOn {
    /// Where it lies already: it is not moved into the entry of the call.
    call: Box<MsipCall>,
    attempt: Attempt,
    instance: Arc<Instance>,
}

/// Makes the call at `service`. Its outcome is passed on by who finds it. The call comes back where that is not enough: its request is a
/// stream, or the service takes no more calls now.
pub(super) fn relay(
    mut call: Box<MsipCall>,
    attempt: Attempt,
    service: &Handle,
    instance: &Arc<Instance>,
) -> Option<(Box<MsipCall>, Attempt)> {
    if call.requests.is_some() {
        return Some((call, attempt));
    }
    let responder = call.responder.take()?;
    let heard = attempt.heard(&call.message);
    let sent = attempt.options(&call.options, call.unnamed.as_deref());
    let call = PassedOn {
        call,
        attempt,
        instance: Arc::clone(instance),
    };
    let NotRelayedCall {
        call,
        responder,
        error,
    } = service.relay(&heard, &sent, responder, call).err()?;
    match error {
        None => Some(call.taken_back(responder)),
        Some(error) if call.is_for_another(&error) => {
            let another = Forwarded::Another(responder, error);
            call.ended(Relayed::Ended(another));
            None
        }
        Some(error) => {
            // The instance was not asked: it has neither answered nor failed to.
            responder.fail(&error.into());
            None
        }
    }
}

impl PassedOn {
    /// The call as it was before it was passed on.
    fn taken_back(mut self, responder: Responder) -> (Box<MsipCall>, Attempt) {
        self.call.responder = Some(responder);
        (self.call, self.attempt)
    }
}

impl RelayedCall for PassedOn {
    fn is_for_another(&self, error: &CallError) -> bool {
        is_for_another(error, self.call.is_idempotent, &self.attempt)
    }

    fn ended(self, end: Relayed) {
        match end {
            Relayed::Ended(Forwarded::Another(responder, error)) => {
                let instance = Arc::clone(&self.instance);
                let (call, attempt) = self.taken_back(responder);
                again(call, attempt, error, &instance.shared);
            }
            Relayed::Ended(end) => ended(&end, &self.attempt, &self.instance.shared),
            Relayed::Stream(responder, responses) => {
                let Self {
                    attempt, instance, ..
                } = self;
                let shared = Arc::clone(&instance.shared);
                instance.work.begin(async move {
                    let forwarded = responder
                        .forward_unless(std::future::ready(Ok(responses)), |_| false)
                        .await;
                    ended(&forwarded, &attempt, &shared);
                });
            }
            _ => {}
        }
    }
}

/// Whether a call that has ended so goes to another instance.
fn is_for_another(error: &CallError, is_idempotent: bool, attempt: &Attempt) -> bool {
    match error {
        CallError::NotSent(error) => is_of_connection(error),
        // It may have run.
        CallError::ConnectionLost => is_idempotent && attempt.tried.len() + 1 < MAX_TRIES,
        _ => false,
    }
}

/// Makes the call at `service`, and passes on what comes back. Where it could not be sent it goes to another instance.
pub(super) async fn pass_on(
    mut call: Box<MsipCall>,
    attempt: Attempt,
    service: Handle,
    shared: Arc<Shared>,
) {
    let Some(responder) = call.responder.take() else {
        return;
    };
    let message = attempt.heard(&call.message);
    let sent = attempt.options(&call.options, call.unnamed.as_deref());
    if let Some(requests) = call.requests.take() {
        // In a box, since most calls have one request.
        let opened = Box::pin(service.open_stream(&message, Unbroken(requests), &sent));
        let forwarded = responder.forward_unless(opened, |_| false).await;
        return ended(&forwarded, &attempt, &shared);
    }
    let may_have_it = |error: &CallError| is_for_another(error, call.is_idempotent, &attempt);
    let forwarded = {
        // Pinned where it is made, so that the future of a call, which is moved into its box, holds it once.
        let opened = pin!(service.open(&message, &sent));
        responder.forward_unless(opened, may_have_it).await
    };
    let (responder, error) = match forwarded {
        Forwarded::Another(responder, error) => (responder, error),
        forwarded => return ended(&forwarded, &attempt, &shared),
    };
    call.responder = Some(responder);
    again(call, attempt, error, &shared);
}

/// A call has ended at its instance: with an answer, unless nobody waits for it any more, or the instance was not asked.
fn ended(forwarded: &Forwarded, attempt: &Attempt, shared: &Shared) {
    match forwarded {
        Forwarded::GivenUp => attempt.open.unanswered(shared.now()),
        Forwarded::NotSent => {}
        _ => attempt.open.answered(),
    }
}

/// The instance could not have it: another one may.
fn again(call: Box<MsipCall>, attempt: Attempt, error: CallError, shared: &Shared) {
    let mut publisher = Publisher::new(&shared.router, &call.caller);
    let request = Request {
        topic: attempt.topic.clone(),
        tried: attempt.all_tried(),
        exchange: call,
    };
    // It counts at the other one from here on.
    drop(attempt);
    let mut wakes = WakeList::new();
    if let Err((refused, request)) = publisher.request(request, shared.now(), &mut wakes) {
        match (
            error,
            (request.exchange as Box<dyn std::any::Any>).downcast::<MsipCall>(),
        ) {
            // It may have run, and nobody else is there.
            (error @ CallError::ConnectionLost, Ok(call)) => call.fail(&error.into()),
            (_, Ok(call)) => call.refuse(refused),
            // It is the one that was given.
            (_, Err(_)) => {}
        }
    }
}

/// Whether a message was not sent for the sake of this connection.
pub(super) fn is_of_connection(error: &SendError) -> bool {
    matches!(
        error,
        SendError::Disconnected
            | SendError::Full
            | SendError::Closed
            | SendError::ClosedByPeer(_)
            | SendError::RuntimeGone
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what a function returns.
    fn returned_len<A, B, C, D, R>(_: impl Fn(A, B, C, D) -> R) -> usize {
        size_of::<R>()
    }

    #[test]
    fn what_every_open_call_holds_is_small() {
        let call = size_of::<PassedOn>();
        assert!(call <= 160, "{call} bytes");
        // Of those that wait for the service to take more, and of streams of requests.
        let waiting = returned_len(pass_on);
        assert!(waiting <= 2520, "{waiting} bytes");
    }
}
