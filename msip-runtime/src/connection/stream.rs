//! Calls with streams: opening them, sending their requests, and reading their answers.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;

use super::{
    ConnectionShared,
    capacity::Queue,
    deadline::PROTOCOL_TIMEOUT,
    decoding::ItemReader,
    message::{FromBody, Outgoing},
    outgoing::OutgoingMessage,
    permits::CallPermit,
    recv_buffer::RecvBuffer,
    recv_stream::{RecvStream, Taken},
    send_stream::StreamTarget,
};
use crate::{CallError, CallOptions, SendError, Variant, body::Encoding, dialect::Feature};
use msip_session::{InboundSlot, StreamSide, Token, wire::Topic};

/// The answers to a call, as they come.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) connection: Arc<ConnectionShared>,
    pub(crate) recv_stream: RecvStream,
    token: Token,
    pub(crate) timeout: Duration,
    pub(crate) encoding: Encoding,
}

impl Answers {
    /// The answers to a call that was relayed, of which the first has come.
    pub(super) fn begun(
        connection: &Arc<ConnectionShared>,
        recv_stream: RecvStream,
        token: Token,
        timeout: Duration,
        encoding: Encoding,
    ) -> Self {
        Self {
            connection: Arc::clone(connection),
            recv_stream,
            token,
            timeout,
            encoding,
        }
    }

    /// The permit of the call is kept until the peer has ended the call.
    pub(crate) fn keep_permit(&self, permit: CallPermit) {
        self.connection.keep_permit_of(self.token, permit);
    }

    /// The next answer, or the end.
    pub(crate) fn poll_taken(&mut self, context: &mut Context<'_>) -> Poll<Taken> {
        self.recv_stream
            .poll_next(&self.connection, self.timeout, context)
    }
}

impl Drop for Answers {
    /// The answers are not wanted any more: cancels the call, unless they are complete.
    fn drop(&mut self) {
        self.connection.give_up(self.token);
    }
}

/// The requests of a call that is served here, as they come.
#[derive(Debug)]
pub(crate) struct Requests {
    pub(crate) connection: Arc<ConnectionShared>,
    pub(crate) recv_stream: RecvStream,
    pub(crate) encoding: Encoding,
}

impl ConnectionShared {
    /// Opens a call with a response stream, a request stream, or both.
    pub(crate) async fn open_streams<E: Outgoing>(
        self: &Arc<Self>,
        opening: Opening<'_, E>,
        options: &CallOptions,
    ) -> Result<Answers, CallError> {
        self.check_carried(Feature::Streams)?;
        let outgoing = match opening {
            Opening::Request(request) => OutgoingMessage::new(self, request, options)?,
            Opening::Stream(variant, topic) => {
                OutgoingMessage::<E>::stream(self, variant, topic, options)?
            }
        };
        let deadline = self.deadline(outgoing.variant, options)?;
        let timeout = deadline.timeout.unwrap_or(PROTOCOL_TIMEOUT);
        let recv_buffer = Arc::new(RecvBuffer::default());
        let (queue, len) = (Queue::Calls, outgoing.len);
        let token = self
            .open(queue, true, len, timeout, deadline, |state, deadline| {
                outgoing.call_streaming(state, deadline, &recv_buffer)
            })
            .await?;
        let encoding = self.encoding();
        let mut recv_stream = RecvStream::new(recv_buffer);
        if let Some(answer) = options.answer_metadata() {
            recv_stream.keep_metadata(answer);
        }
        Ok(Answers {
            connection: Arc::clone(self),
            recv_stream,
            token,
            timeout,
            encoding,
        })
    }

    /// Sends the items of a request stream, and its end.
    pub(crate) async fn send_requests<E: Outgoing>(
        self: Arc<Self>,
        recv_buffer: Arc<RecvBuffer>,
        requests: impl Stream<Item = E> + Send,
    ) -> Result<(), SendError> {
        let mut requests = pin!(requests);
        let target = StreamTarget::Requests(Arc::clone(&recv_buffer));
        let mut stream = self
            .open_send_stream(target)
            .ok_or(SendError::Disconnected)?;
        poll_fn(|task| stream.poll(task, |task| requests.as_mut().poll_next(task))).await?;
        self.with_session(|session| {
            if let Some(StreamSide::Caller(slot)) = recv_buffer.end() {
                session.end_requests(slot);
            }
        });
        Ok(())
    }

    /// The request stream of a call that is served here.
    pub(crate) fn requests(self: &Arc<Self>, slot: InboundSlot) -> Option<Requests> {
        let state = self.lock();
        let recv_buffer = Arc::clone(state.running_calls.request_stream(slot)?);
        let encoding = state.encoding.clone();
        drop(state);
        Some(Requests {
            connection: Arc::clone(self),
            recv_stream: RecvStream::new(recv_buffer),
            encoding,
        })
    }
}

/// How a call with streams begins.
pub(crate) enum Opening<'a, E> {
    /// With its one request.
    Request(&'a E),
    /// With a frame that announces a stream of requests of this variant.
    Stream(&'a Variant, Option<&'a Topic>),
}

/// A call whose request is a stream and whose answer is one message: sends until the answer is there.
pub(crate) async fn upload<Out: Outgoing, In: FromBody>(
    connection: &Arc<ConnectionShared>,
    variant: &Variant,
    topic: Option<&Topic>,
    requests: impl Stream<Item = Out> + Send + 'static,
    options: &CallOptions,
) -> Result<In, CallError> {
    let mut answers = connection
        .open_streams::<Out>(Opening::Stream(variant, topic), options)
        .await?;
    let recv_buffer = Arc::clone(answers.recv_stream.recv_buffer());
    let mut sending = pin!(Arc::clone(connection).send_requests(recv_buffer, requests));
    let mut is_sending = true;
    let item = poll_fn(|task| {
        if let Poll::Ready(taken) = answers.poll_taken(task) {
            return Poll::Ready(Ok(taken));
        }
        if is_sending && let Poll::Ready(sent) = sending.as_mut().poll(task) {
            is_sending = false;
            // The answer, which is in flight, says why nothing more can be sent.
            if let Err(error) = sent
                && !error.lacks_session()
            {
                return Poll::Ready(Err(CallError::NotSent(error)));
            }
            if let Poll::Ready(taken) = answers.poll_taken(task) {
                return Poll::Ready(Ok(taken));
            }
        }
        Poll::Pending
    })
    .await?;
    match item {
        Taken::Item(item) => {
            let mut reader = ItemReader::new(answers.encoding.clone());
            let mut item = Some(item);
            poll_fn(|task| reader.poll_read(&answers.connection, item.take(), task)).await
        }
        Taken::End => Err(CallError::UnexpectedAnswer { found: "nothing" }),
        Taken::Failed(error) => Err(error),
    }
}

/// The sending side of a call with two streams, to be polled along with its answers.
pub(crate) type Sending = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send>>;
