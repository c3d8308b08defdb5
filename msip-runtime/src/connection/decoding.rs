//! Reading what was received: a short body where it is wanted, a long one in the decode pool.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;

use super::{ConnectionShared, message::FromBody};
use crate::{BodyError, CallError, body::Encoding, decode_pool::Decoding};
use msip_session::Item;

/// A body that is being read in the decode pool.
#[derive(Debug)]
struct DecodedBody<E> {
    decoding: Decoding<Result<E, BodyError>>,
    variant: u16,
}

impl<E> Future for DecodedBody<E> {
    type Output = Result<E, BodyError>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let variant = self.variant;
        Pin::new(&mut self.decoding).poll(task).map(|read| {
            read.unwrap_or_else(|| Err(BodyError::malformed(variant, "its runtime has shut down")))
        })
    }
}

impl ConnectionShared {
    /// Reads a body: here where that takes little time, else in the decode pool.
    pub(super) async fn read_body<E: FromBody>(
        &self,
        encoding: &Encoding,
        variant: u16,
        body: Bytes,
        compressed: bool,
    ) -> Result<E, BodyError> {
        match E::from_short_body(encoding, variant, body, compressed) {
            Ok(read) => read,
            Err(body) => self.decode(encoding, variant, body, compressed).await,
        }
    }

    fn decode<E: FromBody>(
        &self,
        encoding: &Encoding,
        variant: u16,
        body: Bytes,
        compressed: bool,
    ) -> DecodedBody<E> {
        let encoding = encoding.clone();
        let read = move || E::from_body(&encoding, variant, body, compressed);
        DecodedBody {
            decoding: self.decode_queue().read(read),
            variant,
        }
    }
}

/// Reads the items of a stream, one after the other.
#[derive(Debug)]
pub(crate) struct ItemReader<E> {
    encoding: Encoding,
    /// The item that is being read in the decode pool, and whether it is the one answer of a call.
    reading: Option<(DecodedBody<E>, bool)>,
}

impl<E: FromBody> ItemReader<E> {
    pub(crate) fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            reading: None,
        }
    }

    /// Reads an item; `None` for the one that is being read since an earlier call.
    pub(crate) fn poll_read(
        &mut self,
        connection: &ConnectionShared,
        item: Option<Item>,
        task: &mut Context<'_>,
    ) -> Poll<Result<E, CallError>> {
        if let Some(Item {
            variant,
            body,
            compressed,
            payload_len,
            ..
        }) = item
        {
            // An item of a stream takes credit, and the one answer of a call takes none.
            let is_answer = payload_len == 0;
            match E::from_short_body(&self.encoding, variant, body, compressed) {
                Ok(read) => return Poll::Ready(finish(read, is_answer)),
                Err(body) => {
                    let read = connection.decode(&self.encoding, variant, body, compressed);
                    self.reading = Some((read, is_answer));
                }
            }
        }
        let Some((reading, is_answer)) = &mut self.reading else {
            return Poll::Pending;
        };
        let is_answer = *is_answer;
        Pin::new(reading).poll(task).map(|read| {
            self.reading = None;
            finish(read, is_answer)
        })
    }
}

fn finish<E: FromBody>(read: Result<E, BodyError>, is_answer: bool) -> Result<E, CallError> {
    let mut read = read.map_err(|error| CallError::Answer(E::named(error)))?;
    if is_answer {
        read.set_is_answer();
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        thread::{self, ThreadId},
    };

    use super::*;
    use crate::{decode_pool::INLINE_LEN, settings::Settings};

    /// Where it was read, and whether it is an answer.
    #[derive(Debug)]
    struct Read(ThreadId, bool);

    impl FromBody for Read {
        fn from_body(_: &Encoding, _: u16, _: Bytes, _: bool) -> Result<Self, BodyError> {
            Ok(Self(thread::current().id(), false))
        }

        fn from_short_body(
            encoding: &Encoding,
            variant: u16,
            body: Bytes,
            compressed: bool,
        ) -> Result<Result<Self, BodyError>, Bytes> {
            if body.len() > INLINE_LEN {
                return Err(body);
            }
            Ok(Self::from_body(encoding, variant, body, compressed))
        }

        fn set_is_answer(&mut self) {
            self.1 = true;
        }
    }

    #[tokio::test]
    async fn long_answers_and_items_are_read_on_another_thread() {
        let connection = ConnectionShared::new(&Settings::default());
        let encoding = Encoding::default();
        let mut reader = ItemReader::<Read>::new(encoding.clone());
        for (len, is_here) in [(1, true), (INLINE_LEN, true), (INLINE_LEN + 1, false)] {
            let body = Bytes::from(vec![0; len]);
            let read = connection.read_body(&encoding, 1, body.clone(), false);
            let Read(thread, _) = read.await.unwrap();
            assert_eq!(thread == thread::current().id(), is_here, "{len}");
            for payload_len in [0, 5] {
                let mut item = Some(Item {
                    variant: 1,
                    body: body.clone(),
                    compressed: false,
                    payload_len,
                    metadata: None,
                });
                let read = poll_fn(|task| reader.poll_read(&connection, item.take(), task));
                let Read(thread, is_answer) = read.await.unwrap();
                assert_eq!(thread == thread::current().id(), is_here, "{len}");
                assert_eq!(is_answer, payload_len == 0);
            }
        }
    }
}
