//! A stream as the other side sends it: its items are taken out of their buffer, and read one after the other, long ones on
//! another thread.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use crate::{
    CallError, ResponseMetadata, SendError,
    body::Encoding,
    connection::{
        Answers, CallPermit, ConnectionShared, FromBody, ItemReader, Requests, Sending, Taken,
    },
    decode_pool::INLINE_LEN,
};
use msip_session::{Item, wire::MsgId};

/// What a compressed item counts at least, of the [`INLINE_LEN`] bytes after which a stream lets other tasks run.
const COMPRESSED_LEN: usize = INLINE_LEN / 4;

/// A stream that the other side sends.
pub(super) struct ReceivedStream<T> {
    items: Items,
    read: Box<dyn ReadItem<T>>,
    /// While the last item that was taken is being read: whether it is the one answer of a call.
    reading: Option<bool>,
    /// How many bytes were read since other tasks have run.
    read_len: usize,
    /// How many items were taken.
    taken: u64,
}

/// Where the items come from.
enum Items {
    Answers {
        answers: Answers,
        sending: Option<Sending>,
    },
    Requests(Requests),
}

/// Makes messages of items.
trait ReadItem<T>: Send {
    /// See [`ItemReader::poll_read`].
    fn poll_read(
        &mut self,
        connection: &ConnectionShared,
        item: Option<Item>,
        task: &mut Context<'_>,
    ) -> Poll<Result<T, CallError>>;
}

impl<E: FromBody> ReadItem<E> for ItemReader<E> {
    fn poll_read(
        &mut self,
        connection: &ConnectionShared,
        item: Option<Item>,
        task: &mut Context<'_>,
    ) -> Poll<Result<E, CallError>> {
        ItemReader::poll_read(self, connection, item, task)
    }
}

/// Takes the one variant out of its envelope.
struct Narrowed<T, U> {
    read: Box<dyn ReadItem<T>>,
    narrow: fn(T) -> Result<U, CallError>,
}

impl<T, U> ReadItem<U> for Narrowed<T, U> {
    fn poll_read(
        &mut self,
        connection: &ConnectionShared,
        item: Option<Item>,
        task: &mut Context<'_>,
    ) -> Poll<Result<U, CallError>> {
        let read = self.read.poll_read(connection, item, task);
        read.map(|read| read.and_then(self.narrow))
    }
}

impl<E: FromBody> ReceivedStream<E> {
    /// The answers to a call; `sending` sends its requests meanwhile.
    pub(super) fn answers(answers: Answers, sending: Option<Sending>) -> Self {
        let encoding = answers.encoding.clone();
        Self::new(Items::Answers { answers, sending }, encoding)
    }

    /// The requests of a call.
    pub(super) fn requests(requests: Requests) -> Self {
        let encoding = requests.encoding.clone();
        Self::new(Items::Requests(requests), encoding)
    }

    fn new(items: Items, encoding: Encoding) -> Self {
        Self {
            items,
            read: Box::new(ItemReader::<E>::new(encoding)),
            reading: None,
            read_len: 0,
            taken: 0,
        }
    }
}

impl<T: 'static> ReceivedStream<T> {
    /// The same stream of what `narrow` makes of each message.
    pub(super) fn narrow<U: 'static>(
        self,
        narrow: fn(T) -> Result<U, CallError>,
    ) -> ReceivedStream<U> {
        let Self {
            items,
            read,
            reading,
            read_len,
            taken,
        } = self;
        ReceivedStream {
            items,
            read: Box::new(Narrowed { read, narrow }),
            reading,
            read_len,
            taken,
        }
    }
}

impl<T> ReceivedStream<T> {
    /// Puts the metadata of the answers there when they end.
    pub(super) fn keep_metadata(&mut self, answer: &ResponseMetadata) {
        if let Items::Answers { answers, .. } = &mut self.items {
            answers.recv_stream.keep_metadata(answer);
        }
    }

    /// The permit of the call that it answers is kept until the other side has ended the call.
    pub(super) fn keep_permit(&self, permit: CallPermit) {
        if let Items::Answers { answers, .. } = &self.items {
            answers.keep_permit(permit);
        }
    }

    /// The next message; `None` at the end, and an error is the last.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<T, CallError>>> {
        let (recv_stream, connection, timeout, is_request) = match &mut self.items {
            Items::Answers { answers, sending } => {
                if let Some(error) = poll_sending(sending, context) {
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
            Items::Requests(requests) => (
                &mut requests.recv_stream,
                &requests.connection,
                Duration::ZERO,
                true,
            ),
        };
        let item = if self.reading.is_some() {
            None
        } else if self.read_len >= INLINE_LEN {
            // A reader that takes one item after the other would hold up the others of its thread.
            self.read_len = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        } else if let Some(item) = recv_stream.pop(connection) {
            Some(item)
        } else {
            match recv_stream.poll_next(connection, timeout, context) {
                Poll::Ready(Taken::Item(item)) => Some(item),
                Poll::Ready(Taken::End) => return Poll::Ready(None),
                Poll::Ready(Taken::Failed(error)) => return Poll::Ready(Some(Err(error))),
                Poll::Pending => {
                    self.read_len = 0;
                    return Poll::Pending;
                }
            }
        };
        let is_answer = match &item {
            Some(item) => item.payload_len == 0 && !is_request,
            None => self.reading.unwrap_or_default(),
        };
        if let Some(item) = &item {
            self.taken += 1;
            let least = if item.compressed { COMPRESSED_LEN } else { 0 };
            self.read_len += item.body.len().max(least);
        }
        let read = self.read.poll_read(connection, item, context);
        self.reading = read.is_pending().then_some(is_answer);
        let next = ready!(read).map_err(|error| {
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
