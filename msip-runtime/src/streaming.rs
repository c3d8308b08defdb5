//! Streams of messages: incoming, and what handlers answer with.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;
use pin_project_lite::pin_project;

use crate::{
    CallError, ResponseMetadata, SendError, Status,
    body::Encoding,
    connection::{Answers, FromBody, Requests, Sending, Taken, read},
    middleware::StreamingMiddleware,
};
use msip_session::{Item, wire::MsgId};

/// A stream of answers that a handler gives.
pub type ItemStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The result of a handler method, in terms of its envelope; generated code makes it.
#[non_exhaustive]
pub enum Answered<Out> {
    /// There is nothing to answer.
    Nothing,
    /// The answer.
    Message(Out),
    /// The answers, one after the other.
    Stream(ItemStream<Out>),
}

impl<Out: 'static> Answered<Out> {
    /// The answers that `items` yields, each wrapped in its variant.
    pub fn stream<T: 'static>(
        items: impl Stream<Item = Result<T, Status>> + Send + 'static,
        wrap: fn(T) -> Out,
    ) -> Self {
        Self::Stream(Box::pin(Wrapped {
            items,
            wrap: move |item: Result<T, Status>| item.map(wrap),
        }))
    }
}

impl<Out> fmt::Debug for Answered<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Message(_) => "Message(..)",
            Self::Stream(_) => "Stream(..)",
        })
    }
}

/// Wraps each item of a stream in its variant; generated code uses it for streams of requests.
pub fn widen<T: 'static, Out: 'static>(
    items: impl Stream<Item = T> + Send + 'static,
    wrap: fn(T) -> Out,
) -> impl Stream<Item = Out> + Send + 'static {
    Wrapped { items, wrap }
}

pin_project! {
    /// A stream whose items are each passed through a function.
    struct Wrapped<S, F> {
        #[pin]
        items: S,
        wrap: F,
    }
}

impl<S: Stream, F: FnMut(S::Item) -> T, T> Stream for Wrapped<S, F> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.project();
        this.items
            .poll_next(context)
            .map(|item| item.map(this.wrap))
    }
}

/// An empty stream: the type of what a handler answers that has no stream to give.
#[derive(Debug, Clone, Copy)]
pub struct EmptyStream<T>(PhantomData<fn() -> T>);

impl<T> EmptyStream<T> {
    /// The empty stream.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for EmptyStream<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Stream for EmptyStream<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(None)
    }
}

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
    /// How many items were taken.
    taken: u64,
    /// The middleware around the call, until it is done with it.
    escort: Option<Box<StreamingMiddleware>>,
}

enum Source<T> {
    /// The other side sends it.
    ConnectionShared {
        recv_buffer: RecvBuffer,
        read: Box<dyn FnMut(Item) -> Result<T, CallError> + Send>,
    },
    /// It has ended, or was given up.
    Over,
    /// A test has it.
    #[cfg(feature = "testing")]
    Local(Pin<Box<dyn Stream<Item = Result<T, CallError>> + Send>>),
}

enum RecvBuffer {
    Answers {
        answers: Answers,
        sending: Option<Sending>,
    },
    Requests(Requests),
}

impl<E> Streaming<E> {
    /// The answers to a call; `sending` sends its requests meanwhile.
    pub(crate) fn answers(answers: Answers, sending: Option<Sending>) -> Self
    where
        E: FromBody,
    {
        let encoding = answers.encoding.clone();
        let recv_buffer = RecvBuffer::Answers { answers, sending };
        Self::linked(recv_buffer, encoding)
    }

    /// The requests of a call.
    pub(crate) fn requests(requests: Requests) -> Self
    where
        E: FromBody,
    {
        let encoding = requests.encoding.clone();
        Self::linked(RecvBuffer::Requests(requests), encoding)
    }

    fn linked(recv_buffer: RecvBuffer, encoding: Encoding) -> Self
    where
        E: FromBody,
    {
        let read = move |item: Item| read(&encoding, item);
        let read = Box::new(read);
        Self {
            source: Source::ConnectionShared { recv_buffer, read },
            is_over: false,
            taken: 0,
            escort: None,
        }
    }
}

impl<T: 'static> Streaming<T> {
    /// The same stream of what `narrow` makes of each message; generated code takes the one variant out of its
    /// envelope with it.
    pub fn narrow<U: 'static>(self, narrow: fn(T) -> Result<U, CallError>) -> Streaming<U> {
        let source = match self.source {
            Source::ConnectionShared {
                recv_buffer,
                mut read,
            } => Source::ConnectionShared {
                recv_buffer,
                read: Box::new(move |item: Item| read(item).and_then(narrow)),
            },
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
            taken: self.taken,
            escort: self.escort,
        }
    }

    /// The messages that `items` yields, without another side.
    #[cfg(feature = "testing")]
    pub(crate) fn local(items: impl Stream<Item = Result<T, CallError>> + Send + 'static) -> Self {
        Self {
            source: Source::Local(Box::pin(items)),
            is_over: false,
            taken: 0,
            escort: None,
        }
    }
}

impl<T> Streaming<T> {
    /// Puts the metadata of the answers there when they end.
    pub(crate) fn keep_metadata(&mut self, answer: &ResponseMetadata) {
        if let Source::ConnectionShared {
            recv_buffer: RecvBuffer::Answers { answers, .. },
            ..
        } = &mut self.source
        {
            answers.recv_stream.keep_metadata(answer);
        }
    }

    /// The same stream of answers, within the middleware around their call.
    pub(crate) fn escorted(mut self, escort: StreamingMiddleware) -> Self {
        self.escort = Some(Box::new(escort));
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
        let Some(escort) = &mut self.escort else {
            return self.poll_items(context);
        };
        if !self.is_over && escort.poll_early(context).is_pending() {
            let next = std::task::ready!(self.poll_items(context));
            let outcome = match next {
                Some(Ok(item)) => return Poll::Ready(Some(Ok(item))),
                Some(Err(error)) => Err(error),
                None => Ok(()),
            };
            if let Some(escort) = &self.escort {
                escort.over(outcome);
            }
        }
        // The middleware decides the result; it may have given the stream up before its end.
        self.is_over = true;
        self.source = Source::Over;
        let outcome = match &mut self.escort {
            Some(escort) => std::task::ready!(escort.poll(context)),
            None => Ok(()),
        };
        self.escort = None;
        Poll::Ready(outcome.err().map(Err))
    }

    fn poll_items(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, CallError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let (recv_buffer, read) = match &mut self.source {
            Source::ConnectionShared { recv_buffer, read } => (recv_buffer, read),
            Source::Over => return Poll::Ready(None),
            #[cfg(feature = "testing")]
            Source::Local(items) => {
                let next = std::task::ready!(items.as_mut().poll_next(context));
                self.is_over = !matches!(next, Some(Ok(_)));
                return Poll::Ready(next);
            }
        };
        let (recv_stream, connection, timeout, is_request) = match recv_buffer {
            RecvBuffer::Answers { answers, sending } => {
                if let Some(error) = poll_sending(sending, context) {
                    self.is_over = true;
                    return Poll::Ready(Some(Err(CallError::NotSent(error))));
                }
                (
                    &mut answers.recv_stream,
                    &answers.connection,
                    answers.timeout,
                    false,
                )
            }
            // A call's requests have no time limit of their own.
            RecvBuffer::Requests(requests) => (
                &mut requests.recv_stream,
                &requests.connection,
                Duration::ZERO,
                true,
            ),
        };
        let item = match recv_stream.pop(connection) {
            Some(item) => item,
            None => match std::task::ready!(recv_stream.poll_next(connection, timeout, context)) {
                Taken::Item(item) => item,
                Taken::End => {
                    self.is_over = true;
                    return Poll::Ready(None);
                }
                Taken::Failed(error) => {
                    self.is_over = true;
                    return Poll::Ready(Some(Err(error)));
                }
            },
        };
        self.taken += 1;
        let is_answer = item.payload_len == 0 && !is_request;
        let next = read(item).map_err(|error| {
            if is_answer && self.taken == 1 {
                // The one answer of a call.
                return error;
            }
            let error = error.of_item(self.taken, is_request);
            if is_request {
                connection.count_refused(MsgId::CONNECTION, error.code());
            }
            error
        });
        self.is_over = next.is_err();
        Poll::Ready(Some(next))
    }
}

/// Goes on with sending the requests of a call. Returns why that has failed, if it has.
#[inline]
fn poll_sending(sending: &mut Option<Sending>, context: &mut Context<'_>) -> Option<SendError> {
    let sent = match sending.as_mut()?.as_mut().poll(context) {
        Poll::Ready(sent) => sent,
        Poll::Pending => return None,
    };
    *sending = None;
    // The answers say why nothing more can be sent.
    sent.err().filter(|error| !error.lacks_session())
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
