//! Handlers wrapped in their middleware.

use std::sync::Arc;

use super::{
    Dispatch,
    cleared::handle,
    request::{Request, handler},
};
use crate::{
    Answered, CallError, Envelope as _, Status, VariantLabel,
    middleware::{ExchangeContext, ExchangeEnd, Handling, Stack},
    service::{SessionResponder, caught, panicked},
};

/// What the innermost middleware of a one-way message leads to.
struct InboundMessageEnd<D: Dispatch> {
    side: Arc<D>,
    context: D::Context,
    message: Option<D::In>,
    /// The message is a STATE that is cleared.
    clears: bool,
    variant: u16,
}

/// What the innermost middleware of a call leads to.
struct InboundCallEnd<D: Dispatch> {
    side: Arc<D>,
    context: D::Context,
    request: Option<Request<D::In>>,
    variant: u16,
    responder: SessionResponder,
    answered: Option<Answered<D::Out>>,
}

/// The error of a second attempt to run a handler.
fn only_once() -> CallError {
    CallError::Status(Status::failed_precondition(
        "a handler runs once: a middleware tried it again",
    ))
}

impl<D: Dispatch> ExchangeEnd for InboundMessageEnd<D> {
    fn run<'a>(&'a mut self, exchange: &'a mut ExchangeContext) -> Handling<'a> {
        Box::pin(async move {
            let message = self.message.take().ok_or_else(only_once)?;
            let context = D::serving(&self.context, exchange.serving());
            match caught(handle(&*self.side, &context, message, self.clears)).await {
                Ok(outcome) => outcome.map(|_| ()).map_err(CallError::Status),
                Err(panic) => Err(panicked(VariantLabel::of::<D::In>(self.variant), &panic).into()),
            }
        })
    }
}

impl<D: Dispatch> ExchangeEnd for InboundCallEnd<D> {
    fn run<'a>(&'a mut self, exchange: &'a mut ExchangeContext) -> Handling<'a> {
        Box::pin(async move {
            let request = self.request.take().ok_or_else(only_once)?;
            let context = D::serving(&self.context, exchange.serving());
            let side = Arc::clone(&self.side);
            let variant = self.variant;
            let handled = caught(handler::<D>(side, context, request, variant)).await;
            let answered = match handled {
                Ok(outcome) => outcome?,
                Err(panic) => {
                    return Err(panicked(VariantLabel::of::<D::In>(variant), &panic).into());
                }
            };
            self.answered = match answered {
                Answered::Stream(answers) => {
                    let variant = VariantLabel::of::<D::In>(variant);
                    self.responder.send_answers(answers, variant).await?;
                    None
                }
                Answered::Message(answer) => {
                    exchange.answered(answer.encoded_len());
                    Some(Answered::Message(answer))
                }
                Answered::Nothing => Some(Answered::Nothing),
            };
            Ok(())
        })
    }
}

/// Handles a one-way message through its middleware. With the message comes whether it is a STATE that is cleared.
pub(super) async fn message<D: Dispatch>(
    stack: Stack,
    mut exchange: ExchangeContext,
    side: Arc<D>,
    context: D::Context,
    (message, clears): (D::In, bool),
    variant: u16,
) -> Result<(), Status> {
    let mut end = InboundMessageEnd {
        side,
        context,
        message: Some(message),
        clears,
        variant,
    };
    match caught(stack.run(&mut exchange, &mut end)).await {
        Ok(outcome) => outcome.map_err(Status::from),
        Err(panic) => Err(panicked(VariantLabel::of::<D::In>(variant), &panic)),
    }
}

/// Serves a call through its middleware, and answers it.
pub(super) async fn call<D: Dispatch>(
    stack: Stack,
    mut exchange: ExchangeContext,
    side: Arc<D>,
    context: D::Context,
    request: Request<D::In>,
    variant: u16,
    responder: SessionResponder,
) {
    let mut end = InboundCallEnd {
        side,
        context,
        request: Some(request),
        variant,
        responder,
        answered: None,
    };
    let outcome = caught(stack.run(&mut exchange, &mut end)).await;
    let InboundCallEnd {
        request,
        responder,
        answered,
        ..
    } = end;
    match (outcome, answered) {
        (Ok(Ok(())), Some(answered)) => {
            let variant = VariantLabel::of::<D::In>(variant);
            responder.respond(Ok(Ok(answered)), variant).await;
        }
        (Ok(Ok(())), None) if request.is_some() => responder.fail(&Status::internal(
            "a middleware let a call succeed without an answer",
        )),
        // Its answers are sent already.
        (Ok(Ok(())), None) => responder.end(),
        (Ok(Err(error)), _) => responder.fail(&error.into()),
        (Err(panic), _) => responder.fail(&panicked(VariantLabel::of::<D::In>(variant), &panic)),
    }
}
