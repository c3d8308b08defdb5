//! A relay: what one session receives goes out by another connection.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use tokio::task::JoinSet;

use super::{
    Event, Handle, Inbound, Reply, Requests, UntypedExchange, UntypedMessage, UntypedSender,
};
use crate::{Code, SendError, Status};

/// Passes on all that a session receives, until the session ends, or the outgoing connection is closed for good.
///
/// Bodies are not decoded. One-way messages that were read together go out together. Calls and deliveries are open on both
/// sides: their answers, streams with their credit, errors, cancellation, the deadlines that were sent, and metadata pass
/// through. A call that goes through a relay ends with either connection: it is not resumed.
///
/// A message that cannot be sent within `write_timeout`, or while the other connection is away, is dropped, and counted by
/// [`Handle::dropped`] where it had been taken.
///
/// # Cancel safety
///
/// Dropping the future answers what is open with `CANCELLED`.
pub async fn relay(mut inbound: Inbound, to: &Handle) {
    let mut sender = to.sender();
    let mut open = JoinSet::new();
    loop {
        if !inbound.has_more() && is_over("a batch", sender.flush().await) {
            return;
        }
        let Some(event) = inbound.next().await else {
            return;
        };
        match event {
            Event::Messages(messages) => {
                if is_over("messages", sender.push_all(messages).await) {
                    return;
                }
            }
            Event::Exchange(exchange) => {
                if is_over(
                    "an exchange",
                    pass_on(exchange, to, &mut sender, &mut open).await,
                ) {
                    return;
                }
            }
            Event::Subscribe(request) | Event::Unsubscribe(request) => {
                request.refuse(&Status::new(Code::Unimplemented, "a relay has no topics"));
            }
            Event::SubscriptionLost { .. }
            | Event::Connected
            | Event::Disconnected(_)
            | Event::Idle => {}
        }
        while open.try_join_next().is_some() {}
    }
}

/// Whether nothing can be sent any more.
fn is_over(what: &str, sent: Result<(), SendError>) -> bool {
    match sent {
        Ok(()) => false,
        Err(error) if error.is_closed() => true,
        Err(error) => {
            tracing::debug!(%error, what, "not passed on");
            false
        }
    }
}

/// Begins an exchange on the other connection. What came before it goes first.
async fn pass_on(
    exchange: UntypedExchange,
    to: &Handle,
    sender: &mut UntypedSender,
    open: &mut JoinSet<()>,
) -> Result<(), SendError> {
    if let Err(error) = sender.flush().await {
        exchange.refuse(error.clone().into());
        return Err(error);
    }
    let options = exchange.options();
    let UntypedExchange {
        message,
        reply,
        requests,
        ..
    } = exchange;
    let to = to.clone();
    match reply {
        Reply::Nobody => return to.send(&message, &options).await,
        Reply::Delivery(acknowledgment) => {
            let delivering = async move {
                let delivered = to.deliver(&message, &options).await;
                acknowledgment.complete(delivered);
            };
            begin(open, delivering).await;
        }
        Reply::Call(responder) => {
            let calling = async move {
                let responses = async {
                    match requests {
                        None => to.open(&message, &options).await,
                        Some(requests) => {
                            to.open_stream(&message, Unbroken(requests), &options).await
                        }
                    }
                };
                responder.forward(responses).await;
            };
            begin(open, calling).await;
        }
    }
    Ok(())
}

/// Begins some work in place, so that what it sends keeps its turn, and lets it go on in a task.
async fn begin(open: &mut JoinSet<()>, work: impl Future<Output = ()> + Send + 'static) {
    let mut work = Box::pin(work);
    if poll_fn(|task| Poll::Ready(work.as_mut().poll(task).is_pending())).await {
        open.spawn(work);
    }
}

/// The requests of a call up to where they break off. There it waits for the end of the call, which follows: a stream that broke
/// off must not look like one that is complete.
struct Unbroken(Requests);

impl Stream for Unbroken {
    type Item = UntypedMessage;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<UntypedMessage>> {
        match std::task::ready!(Pin::new(&mut self.0).poll_next(task)) {
            Some(Ok(message)) => Poll::Ready(Some(message)),
            Some(Err(_)) => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}
