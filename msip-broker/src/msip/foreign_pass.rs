//! Calls of peers that speak another dialect, at services that speak MSIP.

use msip_runtime::{
    CallError, CallOptions, Code, ResponseMetadata, Status,
    untyped::{Handle, UntypedMessage},
};

use super::{
    Shared,
    call::{Attempt, is_of_connection},
    foreign::Foreign,
};
use crate::router::{Publisher, Request, SessionHandle, WakeList};

/// Makes the call at a service, and gives its answer to the caller. Where it could not be sent it goes to another instance.
pub(super) async fn pass_on(
    call: Box<Foreign>,
    mut attempt: Attempt,
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
    let options = options
        .response_metadata(&metadata)
        .on_behalf_of(call.0.caller().key().turn());
    let outcome = tokio::select! {
        biased;
        outcome = one_answer(&service, &message, &options, &mut attempt) => outcome,
        () = call.0.given_up() => return attempt.open.unanswered(shared.now()),
    };
    match outcome {
        Err(CallError::NotSent(error)) if is_of_connection(&error) => {
            let mut publisher = Publisher::new(&shared.router, call.0.caller());
            let request = Request {
                topic: attempt.topic.clone(),
                tried: attempt.all_tried(),
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
            // What could not be sent was not asked.
            if !matches!(outcome, Err(CallError::NotSent(_))) {
                attempt.open.answered();
            }
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
    attempt: &mut Attempt,
) -> Result<UntypedMessage, CallError> {
    let mut responses = service.open(message, options).await?;
    attempt.is_open_as(&responses);
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
