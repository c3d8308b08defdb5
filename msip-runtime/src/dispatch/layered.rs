//! Handlers with middleware around them.

use std::sync::Arc;

use super::{
    Dispatch,
    handlers::{Request, handler},
    owed::Owed,
    panics::{caught, panicked},
};
use crate::{
    Answered, CallError, Envelope as _, Status,
    middleware::{End, ExchangeContext, Handling, Stack},
};

/// The end of the way of a one-way message.
struct Told<D: Dispatch> {
    side: Arc<D>,
    context: D::Context,
    message: Option<D::In>,
    variant: u16,
}

/// The end of the way of a call.
struct Asked<D: Dispatch> {
    side: Arc<D>,
    context: D::Context,
    request: Option<Request<D::In>>,
    variant: u16,
    owed: Owed,
    answered: Option<Answered<D::Out>>,
}

/// What a second try of a handler comes to.
fn only_once() -> CallError {
    CallError::Status(Status::failed_precondition(
        "a handler runs once: a middleware tried it again",
    ))
}

impl<D: Dispatch> End for Told<D> {
    fn run<'a>(&'a mut self, exchange: &'a mut ExchangeContext) -> Handling<'a> {
        Box::pin(async move {
            let message = self.message.take().ok_or_else(only_once)?;
            let context = D::serving(&self.context, exchange.serving());
            match caught(self.side.dispatch(&context, message)).await {
                Ok(outcome) => outcome.map(|_| ()).map_err(CallError::Status),
                Err(panic) => Err(panicked(self.variant, &panic).into()),
            }
        })
    }
}

impl<D: Dispatch> End for Asked<D> {
    fn run<'a>(&'a mut self, exchange: &'a mut ExchangeContext) -> Handling<'a> {
        Box::pin(async move {
            let request = self.request.take().ok_or_else(only_once)?;
            let context = D::serving(&self.context, exchange.serving());
            let side = Arc::clone(&self.side);
            let variant = self.variant;
            let handled = caught(handler::<D>(side, context, request, variant)).await;
            let answered = match handled {
                Ok(outcome) => outcome?,
                Err(panic) => return Err(panicked(variant, &panic).into()),
            };
            self.answered = match answered {
                Answered::Stream(answers) => {
                    self.owed.send_answers(answers, variant).await?;
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

/// Handles a one-way message, with what stands around it.
pub(super) async fn tell<D: Dispatch>(
    stack: Stack,
    mut exchange: ExchangeContext,
    side: Arc<D>,
    context: D::Context,
    message: D::In,
    variant: u16,
) -> Result<(), Status> {
    let mut end = Told {
        side,
        context,
        message: Some(message),
        variant,
    };
    match caught(stack.run(&mut exchange, &mut end)).await {
        Ok(outcome) => outcome.map_err(Status::from),
        Err(panic) => Err(panicked(variant, &panic)),
    }
}

/// Serves a call, with what stands around it, and pays what is owed.
pub(super) async fn ask<D: Dispatch>(
    stack: Stack,
    mut exchange: ExchangeContext,
    side: Arc<D>,
    context: D::Context,
    request: Request<D::In>,
    variant: u16,
    owed: Owed,
) {
    let mut end = Asked {
        side,
        context,
        request: Some(request),
        variant,
        owed,
        answered: None,
    };
    let outcome = caught(stack.run(&mut exchange, &mut end)).await;
    let Asked {
        request,
        owed,
        answered,
        ..
    } = end;
    match (outcome, answered) {
        (Ok(Ok(())), Some(answered)) => owed.pay(Ok(Ok(answered)), variant).await,
        (Ok(Ok(())), None) if request.is_some() => owed.fail(&Status::internal(
            "a middleware let a call succeed without an answer",
        )),
        // Its answers are sent already.
        (Ok(Ok(())), None) => owed.end(),
        (Ok(Err(error)), _) => owed.fail(&error.into()),
        (Err(panic), _) => owed.fail(&panicked(variant, &panic)),
    }
}
