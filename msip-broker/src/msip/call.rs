//! Calls: what a client asks, handed whole to the service that answers it.

use msip_runtime::{
    CallError, CallOptions, SendError,
    untyped::{Handle, Requests, Responder, UntypedMessage},
};

use super::{Shared, requests::Unbroken, status};
use crate::router::{
    Assigned, Exchange, OpenCall, Publisher, Refused, Request, SessionHandle, WakeList,
};

/// A call of an MSIP client.
#[derive(Debug)]
pub(super) struct MsipCall {
    /// Whose it is.
    pub(super) caller: SessionHandle,
    pub(super) message: UntypedMessage,
    /// Its deadline, its metadata, and who the caller is.
    pub(super) options: CallOptions,
    pub(super) responder: Responder,
    pub(super) requests: Option<Requests>,
}

/// What a call counts besides its body.
const CALL_COST: usize = 1024;

impl Exchange for MsipCall {
    fn pinned(&self) -> usize {
        self.message.raw_body().len() + CALL_COST
    }

    fn refuse(self: Box<Self>, why: Refused) {
        self.responder.fail(&status(&why));
    }
}

/// The call that the router has given to a service; `None` for one of another dialect, and there is none.
pub(super) fn take_apart(assigned: Assigned) -> Option<(Box<MsipCall>, Attempt)> {
    let (request, open) = assigned.into_parts();
    let Request {
        topic,
        exchange,
        tried,
    } = request;
    let call = (exchange as Box<dyn std::any::Any>).downcast().ok()?;
    let attempt = Attempt {
        topic,
        tried,
        _open: open,
    };
    Some((call, attempt))
}

/// A call at one of the instances of a service, where it counts as open.
#[derive(Debug)]
pub(super) struct Attempt {
    topic: bytes::Bytes,
    /// The instances that have had it, with this one.
    tried: Vec<crate::router::SessionKey>,
    _open: OpenCall,
}

/// Makes the call at `service`, and passes on what comes back. Where it could not be sent it goes to another instance.
pub(super) async fn pass_on(
    call: Box<MsipCall>,
    attempt: Attempt,
    service: Handle,
    shared: &Shared,
) {
    let MsipCall {
        caller,
        message,
        options,
        responder,
        requests,
    } = *call;
    let Some(requests) = requests else {
        let opened = {
            let cancellation = responder.cancellation();
            tokio::select! {
                opened = service.open(&message, &options) => opened,
                // Its answer says so by itself.
                () = cancellation.cancelled() => return,
            }
        };
        return match opened {
            Err(CallError::NotSent(error)) if is_of_connection(&error) => {
                let call = MsipCall {
                    caller,
                    message,
                    options,
                    responder,
                    requests: None,
                };
                again(call, attempt, shared);
            }
            opened => responder.forward(std::future::ready(opened)).await,
        };
    };
    let opened = service.open_stream(&message, Unbroken(requests), &options);
    responder.forward(opened).await;
}

/// The instance could not have it: another one may.
fn again(call: MsipCall, attempt: Attempt, shared: &Shared) {
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
        request.exchange.refuse(refused);
    }
}

/// Whether a message was not sent for the sake of this connection.
fn is_of_connection(error: &SendError) -> bool {
    matches!(
        error,
        SendError::Disconnected
            | SendError::Full
            | SendError::Closed
            | SendError::ClosedByPeer(_)
            | SendError::RuntimeGone
    )
}
