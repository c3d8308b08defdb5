//! The handler of a test connection, which answers from a script.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{answer::AnswerStream, script::Script};
use crate::{
    Answered, DisconnectReason, Envelope, Exchange, ItemStream, Status, Stream, Streaming,
    call::Serving, dispatch::Dispatch, middleware::Stack, protocol::variant_of,
};

/// A handler that answers from a script: `Out` is what the code under test sends, `In` what it receives.
pub(super) struct ScriptHandler<Out, In>(Arc<Script<Out, In>>);

impl<Out, In> ScriptHandler<Out, In> {
    pub(super) fn new(script: &Arc<Script<Out, In>>) -> Self {
        Self(Arc::clone(script))
    }
}

impl<Out: Envelope, In: Envelope> Dispatch for ScriptHandler<Out, In> {
    type In = Out;
    type Out = In;
    type Context = ();

    fn incoming(&self) -> Option<&Stack> {
        None
    }

    fn serving((): &(), _: Serving) {}

    async fn dispatch(&self, (): &(), message: Out) -> Result<Answered<In>, Status> {
        let exchange = Out::VARIANTS
            .get(message.index())
            .map(|variant| variant.exchange);
        match exchange {
            Some(Exchange::Call {
                response_stream: true,
                ..
            }) => Ok(answers(self.0.call_streaming(message))),
            Some(Exchange::Call { .. }) => Ok(Answered::Message(self.0.call(message)?)),
            _ => {
                self.0.deliver(message)?;
                Ok(Answered::Nothing)
            }
        }
    }

    async fn dispatch_stream(
        &self,
        (): &(),
        variant: u16,
        requests: Streaming<Out>,
    ) -> Result<Answered<In>, Status> {
        let requests = RequestStream(requests);
        match variant_of::<Out>(variant).map(|row| row.exchange) {
            Some(Exchange::Call {
                response_stream: true,
                ..
            }) => Ok(answers(self.0.converse(variant, requests))),
            _ => Ok(Answered::Message(self.0.upload(variant, requests).await?)),
        }
    }

    async fn connected(&self, (): &()) {}

    async fn disconnected(&self, (): &(), _: DisconnectReason) {}
}

/// The answers of a script, as a handler returns them.
fn answers<In: Envelope>(answers: AnswerStream<In>) -> Answered<In> {
    let items: ItemStream<In> = Box::pin(StatusStream(answers));
    Answered::Stream(items)
}

/// AnswerStream whose errors are converted to statuses.
struct StatusStream<In>(AnswerStream<In>);

impl<In> Stream for StatusStream<In> {
    type Item = Result<In, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.get_mut().0.as_mut().poll_next(context);
        next.map(|item| item.map(|item| item.map_err(Status::from)))
    }
}

/// The requests of a stream, until it ends or fails.
struct RequestStream<Out>(Streaming<Out>);

impl<Out> Stream for RequestStream<Out> {
    type Item = Out;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Out>> {
        let next = Pin::new(&mut self.get_mut().0).poll_next(context);
        next.map(|item| item.and_then(Result::ok))
    }
}
