//! Calls: what a client asks, handed whole to the service that answers it.

use std::{pin::pin, sync::Arc};

use msip_runtime::{
    CallError, CallOptions, SendError,
    untyped::{Forwarded, Handle, Requests, Responder, UntypedMessage},
};

#[cfg(feature = "middleman")]
use super::foreign::Foreign;
use super::{Shared, presence::topic_of, requests::Unbroken, status};
use crate::router::{
    Assigned, Exchange, OpenCall, Publisher, Refused, Request, SessionHandle, SessionKey, WakeList,
};

/// A call of an MSIP client.
#[derive(Debug)]
pub(crate) struct MsipCall {
    /// Whose it is.
    pub(crate) caller: SessionHandle,
    pub(crate) message: UntypedMessage,
    /// Its deadline, its metadata, and who the caller is.
    pub(crate) options: CallOptions,
    pub(crate) responder: Responder,
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
        self.responder.fail(&status(&why));
    }
}

/// A call that the router has given to a service.
pub(super) enum Call {
    Msip(Box<MsipCall>),
    #[cfg(feature = "middleman")]
    Foreign(Box<Foreign>),
}

/// The call that the router has given to a service; `None` for one of another kind, and there is none.
pub(super) fn take_apart(assigned: Assigned) -> Option<(Call, Attempt)> {
    let at = assigned.client().map(topic_of);
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
        tried,
        open,
    };
    Some((call, attempt))
}

/// A call at one of the instances of a service, where it counts as open.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) topic: bytes::Bytes,
    /// Where the instance hears this client, if it hears each apart.
    at: Option<String>,
    /// The instances that have had it, with this one.
    pub(super) tried: Vec<SessionKey>,
    pub(super) open: OpenCall,
}

#[cfg(feature = "middleman")]
impl Attempt {
    /// The topic at which the instance hears the caller.
    pub(super) fn heard_at(&self) -> String {
        let of_all = || String::from_utf8_lossy(&self.topic).into_owned();
        self.at.clone().unwrap_or_else(of_all)
    }
}

/// Makes the call at `service`, and passes on what comes back. Where it could not be sent it goes to another instance.
pub(super) async fn pass_on(
    call: Box<MsipCall>,
    attempt: Attempt,
    service: Handle,
    shared: Arc<Shared>,
) {
    let message = match &attempt.at {
        None => call.message.clone(),
        Some(at) => match call.message.clone().to_topic(at.as_str()) {
            Ok(message) => message,
            Err(status) => return call.responder.fail(&status),
        },
    };
    let MsipCall {
        responder,
        options,
        requests,
        is_idempotent,
        ..
    } = *call;
    if let Some(requests) = requests {
        // In a box, since most calls have one request.
        let opened = Box::pin(service.open_stream(&message, Unbroken(requests), &options));
        let forwarded = responder.forward_unless(opened, |_| false).await;
        return ended(&forwarded, &attempt, &shared);
    }
    let may_have_it = |error: &CallError| match error {
        CallError::NotSent(error) => is_of_connection(error),
        // It may have run.
        CallError::ConnectionLost => is_idempotent && attempt.tried.len() < MAX_TRIES,
        _ => false,
    };
    let forwarded = {
        // Pinned where it is made, so that the future of a call, which is moved into its box, holds it once.
        let opened = pin!(service.open(&message, &options));
        responder.forward_unless(opened, may_have_it).await
    };
    let (responder, error) = match forwarded {
        Forwarded::Another(responder, error) => (responder, error),
        forwarded => return ended(&forwarded, &attempt, &shared),
    };
    let call = MsipCall {
        caller: call.caller,
        message: call.message,
        options,
        responder,
        requests: None,
        is_idempotent,
        key: call.key,
    };
    again(call, attempt, error, &shared);
}

/// A call has ended at its instance: with an answer, unless nobody waits for it any more.
fn ended(forwarded: &Forwarded, attempt: &Attempt, shared: &Shared) {
    match forwarded {
        Forwarded::GivenUp => attempt.open.unanswered(shared.now()),
        _ => attempt.open.answered(),
    }
}

/// The instance could not have it: another one may.
fn again(call: MsipCall, attempt: Attempt, error: CallError, shared: &Shared) {
    let mut publisher = Publisher::new(&shared.router, &call.caller);
    let request = Request {
        topic: attempt.topic.clone(),
        tried: attempt.tried.clone(),
        exchange: Box::new(call),
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
            (error @ CallError::ConnectionLost, Ok(call)) => call.responder.fail(&error.into()),
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
        let call = returned_len(pass_on);
        assert!(call <= 2432, "{call} bytes");
    }
}
