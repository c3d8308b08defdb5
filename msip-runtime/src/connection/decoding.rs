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
