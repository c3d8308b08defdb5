//! Calls: what a client asks, handed whole to the service that answers it.

use std::{pin::pin, sync::Arc};

use msip_runtime::{
    CallError, CallOptions, SendError, Status,
    untyped::{
        CallPermit, CallToRelay, Forwarded, Handle, Relayed, RelayedCall, Requests, Responder,
        Responses, UntypedMessage,
    },
};

use msip_session::wire::Topic;

#[cfg(feature = "middleman")]
use super::foreign::Foreign;
use super::{Shared, open_work::WorkStarter, requests::Unbroken, status};
use crate::router::{
    Assigned, Exchange, OpenCall, Publisher, Refused, Request, SessionHandle, SessionKey, WakeList,
};

/// A call of an MSIP client, and what answers it.
pub(crate) type MsipCall = CallToRelay<MsipRequest>;

/// What an MSIP client asks.
#[derive(Debug)]
pub(crate) struct MsipRequest {
    /// Whose it is.
    pub(crate) caller: SessionHandle,
    /// What is sent, to the topic of the attempt.
    pub(crate) message: UntypedMessage,
    /// Its deadline, its metadata, and who the caller is, where it has a name.
    pub(crate) options: CallOptions,
    /// The caller is nothing but a peer, which is stated to an instance that does not hear it apart.
    pub(super) is_unnamed: bool,
    pub(crate) requests: Option<Requests>,
    /// Whether it may run more than once.
    pub(super) is_idempotent: bool,
    /// What decides to which instance it goes.
    pub(super) key: Option<String>,
    /// There while an instance has it, and nothing waits for it here.
    passed_on: Option<PassedOn>,
}

/// How many instances are given a call that may run more than once.
const MAX_TRIES: usize = 3;

/// What a call counts besides its body.
const CALL_COST: usize = 1024;

impl Exchange for MsipCall {
    fn pinned(&self) -> usize {
        self.call.message.raw_body().len() + CALL_COST
    }

    fn caller(&self) -> Option<SessionKey> {
        Some(self.call.caller.key())
    }

    fn sticky_key(&self) -> Option<&str> {
        self.call.key.as_deref()
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
    let hears_apart = at.is_some();
    // A call was accepted at it.
    let of_all = || Topic::new(topic.clone(), u16::MAX).unwrap_or_default();
    let attempt = Attempt {
        at: at.unwrap_or_else(of_all),
        hears_apart,
        topic,
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
    /// Where the instance hears this client.
    at: Topic,
    /// The instance hears each client apart.
    hears_apart: bool,
    /// The instance, and those that have had it before.
    instance: SessionKey,
    tried: Vec<SessionKey>,
    pub(super) open: OpenCall,
}

impl Attempt {
    /// What counts it among the calls of its client at the instance.
    pub(super) fn take_permit(&mut self) -> Option<CallPermit> {
        let permit = self.open.take_permit()?;
        Some(Box::new(permit))
    }

    /// The call is open at the instance, and counts there until that has ended it.
    pub(super) fn is_open_as(&mut self, responses: &Responses) {
        if let Some(permit) = self.take_permit() {
            responses.keep_permit(permit);
        }
    }

    /// The instances that have had it, with this one.
    pub(super) fn all_tried(&self) -> Vec<SessionKey> {
        let before = self.tried.iter().copied();
        before.chain([self.instance]).collect()
    }
}

#[cfg(feature = "middleman")]
impl Attempt {
    /// The topic at which the instance hears the caller.
    pub(super) fn heard_at(&self) -> String {
        self.at.as_str().to_owned()
    }
}

/// What the calls at one instance have in common.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) shared: Arc<Shared>,
    /// Begins what takes its time: streams.
    pub(super) work: WorkStarter,
}

/// At which instance a call is that nothing waits for here.
#[derive(Debug)]
pub(super) struct PassedOn {
    attempt: Attempt,
    instance: Arc<Instance>,
}

/// Makes these calls at `service`. Their outcomes are passed on by who finds them. Calls come back in `left` where that is not enough:
/// the service takes no more calls now.
#[expect(
    clippy::vec_box,
    reason = "a call stays where it was received until it is answered"
)]
pub(super) fn relay_all(
    calls: Vec<Box<MsipCall>>,
    service: &Handle,
    mut left: impl FnMut(Box<MsipCall>, Attempt),
) {
    service.relay_all(calls, |mut one, error| match error {
        None => {
            if let Some(PassedOn { attempt, .. }) = one.call.passed_on.take() {
                left(one, attempt);
            }
        }
        Some(error) if one.call.is_for_another(&error) => {
            let CallToRelay {
                call, responder, ..
            } = *one;
            let another = Forwarded::Another(responder, error);
            call.ended(Relayed::Ended(another));
        }
        // The instance was not asked: it has neither answered nor failed to.
        Some(error) => one.responder.fail(&error.into()),
    });
}

impl MsipRequest {
    /// A call that may run once, and has one request. It is made where it stays: it is large, and each move of it is a copy.
    #[inline]
    pub(super) fn received(
        caller: SessionHandle,
        message: UntypedMessage,
        options: CallOptions,
        responder: Responder,
    ) -> Box<MsipCall> {
        let call = Self {
            options: options.on_behalf_of(caller.key().turn()),
            caller,
            message,
            is_unnamed: false,
            requests: None,
            is_idempotent: false,
            key: None,
            passed_on: None,
        };
        Box::write(Box::new_uninit(), CallToRelay::new(call, responder))
    }

    /// It is made at this instance.
    fn pass_on(&mut self, attempt: Attempt, instance: &Arc<Instance>) {
        self.passed_on = Some(PassedOn {
            attempt,
            instance: Arc::clone(instance),
        });
    }

    /// An instance that does not hear its clients apart is told who the caller is.
    fn state_caller(&mut self, attempt: &Attempt, responder: &Responder) {
        if attempt.hears_apart || !std::mem::take(&mut self.is_unnamed) {
            return;
        }
        if let Some(caller) = responder.caller_identity() {
            let options = std::mem::take(&mut self.options);
            self.options = options.stating(Some(&caller));
        }
    }
}

/// It is made at this instance.
pub(super) fn pass_on_to(call: &mut MsipCall, attempt: Attempt, instance: &Arc<Instance>) {
    call.call.state_caller(&attempt, &call.responder);
    call.call.pass_on(attempt, instance);
}

impl RelayedCall for MsipRequest {
    fn message(&self) -> &UntypedMessage {
        &self.message
    }

    fn topic(&self) -> Option<&Topic> {
        Some(&self.passed_on.as_ref()?.attempt.at)
    }

    fn options(&self) -> &CallOptions {
        &self.options
    }

    fn is_for_another(&self, error: &CallError) -> bool {
        let passed_on = self.passed_on.as_ref();
        passed_on.is_some_and(|it| is_for_another(error, self.is_idempotent, &it.attempt))
    }

    fn take_permit(&mut self) -> Option<CallPermit> {
        let passed_on = self.passed_on.as_mut()?;
        passed_on.attempt.take_permit()
    }

    fn answered(&self) {
        if let Some(PassedOn { attempt, .. }) = &self.passed_on {
            attempt.open.answered();
        }
    }

    fn ended(mut self, end: Relayed) {
        let Some(PassedOn {
            mut attempt,
            instance,
        }) = self.passed_on.take()
        else {
            return;
        };
        let shared = &instance.shared;
        match end {
            Relayed::Ended(Forwarded::Another(responder, error)) => {
                let call = Box::new(CallToRelay::new(self, responder));
                again(call, attempt, error, shared);
            }
            Relayed::Ended(end) => ended(&end, &attempt, shared),
            Relayed::Stream(responder, responses) => {
                attempt.is_open_as(&responses);
                let shared = Arc::clone(shared);
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
    call: Box<MsipCall>,
    mut attempt: Attempt,
    service: Handle,
    shared: Arc<Shared>,
) {
    let CallToRelay {
        call, responder, ..
    } = *call;
    // In a box, which is all of it that the future holds.
    let mut call = Box::new(call);
    call.state_caller(&attempt, &responder);
    let message = call.message.clone().to_known_topic(attempt.at.clone());
    if let Some(requests) = call.requests.take() {
        // In a box, since most calls have one request.
        let opened = Box::pin(async {
            let opened = service.open_stream(&message, Unbroken(requests), &call.options);
            let responses = opened.await?;
            attempt.is_open_as(&responses);
            Ok(responses)
        });
        let forwarded = responder.forward_unless(opened, |_| false).await;
        return ended(&forwarded, &attempt, &shared);
    }
    let mut permit = attempt.take_permit();
    let may_have_it = |error: &CallError| is_for_another(error, call.is_idempotent, &attempt);
    let forwarded = {
        // Pinned where it is made, so that the future of a call, which is moved into its box, holds it once.
        let opened = pin!(async {
            let responses = service.open(&message, &call.options).await?;
            if let Some(permit) = permit.take() {
                responses.keep_permit(permit);
            }
            Ok(responses)
        });
        responder.forward_unless(opened, may_have_it).await
    };
    match forwarded {
        Forwarded::Another(responder, error) => {
            let call = Box::new(CallToRelay::new(*call, responder));
            again(call, attempt, error, &shared);
        }
        forwarded => ended(&forwarded, &attempt, &shared),
    }
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
    let mut publisher = Publisher::new(&shared.router, &call.call.caller);
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
        let call = size_of::<MsipCall>();
        assert!(call <= 680, "{call} bytes");
        // Of those that wait for the service to take more, and of streams of requests.
        let waiting = returned_len(pass_on);
        assert!(waiting <= 2520, "{waiting} bytes");
    }
}
