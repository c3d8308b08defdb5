//! Calls of peers that speak another dialect, at services that speak MSIP.

use std::{any::Any, fmt, future::Future, pin::Pin};

use msip_runtime::{
    CallError, CallOptions, Code, Metadata, ResponseMetadata, Status,
    untyped::{Handle, UntypedMessage},
};

use super::{
    Shared,
    call::{Attempt, is_of_connection},
    status,
};
use crate::router::{Exchange, Publisher, Refused, Request, SessionHandle, SessionKey, WakeList};

/// A call of a peer that speaks another dialect.
pub(crate) trait ForeignCall: Any + Send + fmt::Debug {
    /// How much memory it keeps.
    fn pinned(&self) -> usize;

    /// Whose it is.
    fn caller(&self) -> &SessionHandle;

    /// What a service of MSIP gets: its message without a topic, and what goes with it.
    fn to_untyped(&self) -> (UntypedMessage, CallOptions);

    /// Ready once nobody waits for the answer any longer.
    fn given_up(&self) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// What a service of MSIP has answered.
    fn answer(
        self: Box<Self>,
        service: &SessionHandle,
        answer: Result<UntypedMessage, Status>,
        metadata: Option<&Metadata>,
    );

    /// No service can have it.
    fn refuse(self: Box<Self>, why: &Status);
}

/// Such a call, as the router hands it over.
#[derive(Debug)]
pub(crate) struct Foreign(pub(crate) Box<dyn ForeignCall>);

impl Exchange for Foreign {
    fn pinned(&self) -> usize {
        self.0.pinned()
    }

    fn caller(&self) -> Option<SessionKey> {
        Some(self.0.caller().key())
    }

    fn refuse(self: Box<Self>, why: Refused) {
        self.0.refuse(&status(&why));
    }
}

/// Makes the call at a service, and gives its answer to the caller. Where it could not be sent it goes to another instance.
pub(super) async fn pass_on(
    call: Box<Foreign>,
    attempt: Attempt,
    session: SessionHandle,
    service: Handle,
    shared: &Shared,
) {
    let (message, options) = call.0.to_untyped();
    let message = match message.to_topic(attempt.heard_at()) {
        Ok(message) => message,
        Err(status) => return call.0.refuse(&status),
    };
    let metadata = ResponseMetadata::new();
    let options = options.response_metadata(&metadata);
    let outcome = tokio::select! {
        biased;
        outcome = one_answer(&service, &message, &options) => outcome,
        () = call.0.given_up() => return attempt.open.unanswered(shared.now()),
    };
    match outcome {
        Err(CallError::NotSent(error)) if is_of_connection(&error) => {
            let mut publisher = Publisher::new(&shared.router, call.0.caller());
            let request = Request {
                topic: attempt.topic.clone(),
                tried: attempt.tried.clone(),
                exchange: call,
            };
            // It counts at the other one from here on.
            drop(attempt);
            let mut wakes = WakeList::new();
            if let Err((refused, request)) = publisher.request(request, shared.now(), &mut wakes) {
                request.exchange.refuse(refused);
            }
        }
        outcome => {
            attempt.open.answered();
            let answer = outcome.map_err(Status::from);
            call.0.answer(&session, answer, metadata.get().as_ref());
        }
    }
}

/// The answer, for which there is no time limit: the caller has none.
async fn one_answer(
    service: &Handle,
    message: &UntypedMessage,
    options: &CallOptions,
) -> Result<UntypedMessage, CallError> {
    let mut responses = service.open(message, options).await?;
    let none = || {
        Status::new(
            Code::Unimplemented,
            "a stream of answers, for a peer that takes one",
        )
        .into()
    };
    let first = responses.next().await.ok_or_else(none)??;
    match first.is_answer() {
        true => Ok(first),
        false => Err(none()),
    }
}
