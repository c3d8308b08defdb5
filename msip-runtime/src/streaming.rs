//! Streams of messages from the other side, as programs take them.

mod received;

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

#[cfg(feature = "testing")]
use crate::answered::Wrapped;
use crate::{
    CallError, ResponseMetadata,
    connection::{Answers, CallPermit, FromBody, Requests, Sending},
    middleware::StreamingMiddleware,
};
use received::ReceivedStream;

/// An incoming stream of messages: the answers to a call, or the requests of one.
///
/// The other side sends ahead by 16 messages, up to 4,096 while they are taken as fast as they come, and by 256 KiB at
/// most. Dropping the stream before its end cancels it at the peer. An error is the last item.
///
/// # Examples
///
/// ```
/// # mod sums {
/// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
/// #     #[derive(Debug, ClientToServer)]
/// #     #[msip(protocol = "sums")]
/// #     pub enum ClientToServer {
/// #         #[msip(tag = 1, request = STREAM, reply = STREAM)]
/// #         AddReq(AddReq),
/// #     }
/// #     #[derive(Debug, ServerToClient)]
/// #     pub enum ServerToClient {
/// #         #[msip(tag = 1)]
/// #         AddRsp(AddRsp),
/// #     }
/// #     #[derive(Debug, Message)]
/// #     pub struct AddReq {
/// #         #[msip(tag = 1)]
/// #         pub number: u64,
/// #     }
/// #     #[derive(Debug, PartialEq, Message)]
/// #     pub struct AddRsp {
/// #         #[msip(tag = 1)]
/// #         pub sum: u64,
/// #     }
/// # }
/// use futures_util::{StreamExt as _, stream};
/// use msip_runtime::prelude::*;
/// use sums::{AddReq, AddRsp, HandleClientToServer, SendClientToServer as _, Sums};
///
/// struct Adder;
///
/// impl HandleClientToServer for Adder {
///     // `#[msip(tag = 1, request = STREAM, reply = STREAM)] AddReq(AddReq)` in the schema.
///     async fn on_add_req(
///         &self,
///         _: &Peer<Sums>,
///         numbers: Streaming<AddReq>,
///     ) -> Result<impl Stream<Item = Result<AddRsp, Status>> + Send + 'static, Status> {
///         let mut sum = 0;
///         Ok(numbers.map(move |next| {
///             sum += next?.number;
///             Ok(AddRsp { sum })
///         }))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::<Sums>::bind("mem://streaming").await?;
/// # let url = server.local_url().to_string();
/// # tokio::spawn(server.serve(Adder));
/// # let client = Client::<Sums>::connect(&url).await?;
/// let numbers = stream::iter([1, 2, 3]).map(|number| AddReq { number });
/// let mut sums = client.add_req(numbers).await?;
/// assert_eq!(sums.next().await.transpose()?, Some(AddRsp { sum: 1 }));
/// assert_eq!(sums.next().await.transpose()?, Some(AddRsp { sum: 3 }));
/// assert_eq!(sums.next().await.transpose()?, Some(AddRsp { sum: 6 }));
/// assert_eq!(sums.next().await.transpose()?, None);
/// # client.close().await;
/// # Ok(())
/// # }
/// ```
///
/// # Protocol
///
/// docs/protocol.md, "Exchanges" and "Credit".
#[must_use = "a stream that is not taken is cancelled"]
pub struct Streaming<T> {
    source: Source<T>,
    is_over: bool,
    /// The middleware around the call, until it is done with it.
    middleware: Option<Box<StreamingMiddleware>>,
}

enum Source<T> {
    /// The other side sends it. In a box, since it is large, and most exchanges have no stream.
    Received(Box<ReceivedStream<T>>),
    /// It has ended, or was given up.
    Over,
    /// A test has it.
    #[cfg(feature = "testing")]
    Local(Pin<Box<dyn Stream<Item = Result<T, CallError>> + Send>>),
}

impl<E> Streaming<E> {
    /// The answers to a call; `sending` sends its requests meanwhile.
    pub(crate) fn answers(answers: Answers, sending: Option<Sending>) -> Self
    where
        E: FromBody,
    {
        Self::of(Source::Received(Box::new(ReceivedStream::answers(
            answers, sending,
        ))))
    }

    /// The requests of a call.
    pub(crate) fn requests(requests: Requests) -> Self
    where
        E: FromBody,
    {
        Self::of(Source::Received(Box::new(ReceivedStream::requests(
            requests,
        ))))
    }
}

impl<T: 'static> Streaming<T> {
    /// The same stream of what `narrow` makes of each message; generated code takes the one variant out of its
    /// envelope with it.
    pub fn narrow<U: 'static>(self, narrow: fn(T) -> Result<U, CallError>) -> Streaming<U> {
        let source = match self.source {
            Source::Received(received) => Source::Received(Box::new(received.narrow(narrow))),
            Source::Over => Source::Over,
            #[cfg(feature = "testing")]
            Source::Local(items) => Source::Local(Box::pin(Wrapped {
                items,
                wrap: move |item: Result<T, CallError>| item.and_then(narrow),
            })),
        };
        Streaming {
            source,
            is_over: self.is_over,
            middleware: self.middleware,
        }
    }

    /// The messages that `items` yields, without another side.
    #[cfg(feature = "testing")]
    pub(crate) fn local(items: impl Stream<Item = Result<T, CallError>> + Send + 'static) -> Self {
        Self::of(Source::Local(Box::pin(items)))
    }
}

impl<T> Streaming<T> {
    fn of(source: Source<T>) -> Self {
        Self {
            source,
            is_over: false,
            middleware: None,
        }
    }

    /// Puts the metadata of the answers there when they end.
    pub(crate) fn keep_metadata(&mut self, answer: &ResponseMetadata) {
        if let Source::Received(received) = &mut self.source {
            received.keep_metadata(answer);
        }
    }

    /// The permit of the call that it answers is kept until the other side has ended the call.
    pub(crate) fn keep_permit(&self, permit: CallPermit) {
        if let Source::Received(received) = &self.source {
            received.keep_permit(permit);
        }
    }

    /// The same stream of answers, within the middleware around their call.
    pub(crate) fn with_middleware(mut self, middleware: StreamingMiddleware) -> Self {
        self.middleware = Some(Box::new(middleware));
        self
    }

    /// The next message; `None` at the end.
    ///
    /// # Errors
    ///
    /// Why the stream broke off; nothing comes after that.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the next call yields the message.
    pub async fn next(&mut self) -> Option<Result<T, CallError>> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, CallError>>> {
        let Some(middleware) = &mut self.middleware else {
            return self.poll_items(context);
        };
        if !self.is_over && middleware.poll_early(context).is_pending() {
            let next = std::task::ready!(self.poll_items(context));
            let outcome = match next {
                Some(Ok(item)) => return Poll::Ready(Some(Ok(item))),
                Some(Err(error)) => Err(error),
                None => Ok(()),
            };
            if let Some(middleware) = &self.middleware {
                middleware.over(outcome);
            }
        }
        // The middleware decides the result; it may have given the stream up before its end.
        self.is_over = true;
        self.source = Source::Over;
        let outcome = match &mut self.middleware {
            Some(middleware) => std::task::ready!(middleware.poll(context)),
            None => Ok(()),
        };
        self.middleware = None;
        Poll::Ready(outcome.err().map(Err))
    }

    fn poll_items(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, CallError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let next = match &mut self.source {
            Source::Received(received) => std::task::ready!(received.poll_next(context)),
            Source::Over => None,
            #[cfg(feature = "testing")]
            Source::Local(items) => std::task::ready!(items.as_mut().poll_next(context)),
        };
        self.is_over = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}

impl<T> Stream for Streaming<T> {
    type Item = Result<T, CallError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll(context)
    }
}

impl<T> fmt::Debug for Streaming<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming")
            .field("is_over", &self.is_over)
            .finish_non_exhaustive()
    }
}
