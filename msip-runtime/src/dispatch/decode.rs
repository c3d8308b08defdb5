//! Decoding of bodies, and the check that their variant may come as it did.

use std::sync::Arc;

use bytes::Bytes;

use super::Dispatch;
use crate::{
    BodyError, Code, Status,
    body::{Body, Encoding},
    decode_pool::{Decoding, INLINE_LEN},
    decoded_size::FREE,
    protocol::{Exchange, Variant, variant_of},
    service::Receiver,
};
use msip_session::{InboundSlot, Incoming, ReplyTo};

/// A message, and what is known of its variant; or why it was refused.
pub(super) type Decoded<D> = Result<(<D as Dispatch>::In, &'static Variant), Status>;

/// A message that is read, or is being read.
pub(super) enum Decode<D: Dispatch> {
    Now(Decoded<D>),
    /// It is long, and the decode pool reads it.
    Later(Decoding<Decoded<D>>),
}

/// Whether an uncompressed body is so long that it belongs in the decode pool.
#[inline]
pub(super) fn is_long(len: usize) -> bool {
    len > INLINE_LEN
}

/// Reads a body, after checking that its variant may come as it did: here, or in the decode pool if it is long, or inflates to
/// something long.
pub(super) fn decode<D: Dispatch>(receiver: &Receiver<D::Out>, incoming: Incoming) -> Decode<D> {
    let Incoming {
        variant,
        body,
        compressed,
        reply,
        ..
    } = incoming;
    let row = match expect::<D>(variant, reply) {
        Ok(row) => row,
        Err(status) => return Decode::Now(Err(status)),
    };
    let encoding = receiver.encoding();
    let connection = receiver.connection();
    let received_len = body.len();
    let count = |len| receiver.count_memory(reply, len);
    if compressed {
        if let Some(inflated) = encoding.decompress_short(variant, &body, INLINE_LEN) {
            let inflated = inflated.map_err(unreadable::<D>);
            return Decode::Now(
                inflated
                    .and_then(|body| decode_body::<D>(encoding, row, &body, received_len, count)),
            );
        }
    } else if !is_long(received_len) {
        return Decode::Now(decode_body::<D>(encoding, row, &body, received_len, count));
    }
    receiver.expect_memory(reply);
    let (encoding, shared) = (encoding.clone(), Arc::clone(connection));
    Decode::Later(connection.decode_queue().read(move || {
        let count = |len| shared.count_memory(reply, len);
        let body = match compressed {
            true => encoding
                .decompress(variant, body)
                .map_err(unreadable::<D>)?,
            false => body,
        };
        decode_body::<D>(&encoding, row, &body, received_len, count)
    }))
}

/// What a message that was read later has led to.
pub(super) fn decoded<D: Dispatch>(read: Option<Decoded<D>>) -> Decoded<D> {
    // Nobody is left to read the status.
    read.unwrap_or_else(|| Err(Status::unavailable("the runtime has shut down")))
}

/// Reads a body that has been inflated, if it was compressed. `count` is told what it takes in memory, where that is much more
/// than what was received.
fn decode_body<D: Dispatch>(
    encoding: &Encoding,
    row: &'static Variant,
    body: &Bytes,
    received_len: usize,
    count: impl Fn(usize) -> Result<(), String>,
) -> Decoded<D> {
    if body.len() > received_len.saturating_add(FREE) {
        count(body.len()).map_err(Status::resource_exhausted)?;
    }
    encoding
        .decode_counted(row.number, Body::from(body), count)
        .map(|message| (message, row))
        .map_err(unreadable::<D>)
}

/// What a body that cannot be read is answered with.
#[cold]
fn unreadable<D: Dispatch>(error: BodyError) -> Status {
    let error = error.named::<D::In>();
    Status::new(error.code(), error.to_string())
}

/// Reads the body of a one-way message that is not compressed; `None` where [`decode_or_why`] says why.
#[inline]
pub(super) fn decode_fast<D: Dispatch>(
    receiver: &Receiver<D::Out>,
    variant: u16,
    body: Body<'_>,
) -> Option<D::In> {
    let row = variant_of::<D::In>(variant)?;
    if !matches!(row.exchange, Exchange::OneWay | Exchange::Acknowledged) {
        return None;
    }
    tracing::trace!(message = row.name, "handling");
    let count = |len| receiver.count_memory(ReplyTo::Nobody, len);
    receiver
        .encoding()
        .decode_counted(variant, body, count)
        .ok()
}

/// Reads the body of a one-way message that is not compressed.
pub(super) fn decode_or_why<D: Dispatch>(
    receiver: &Receiver<D::Out>,
    variant: u16,
    body: Body<'_>,
) -> Result<D::In, Status> {
    expect::<D>(variant, ReplyTo::Nobody)?;
    let count = |len| receiver.count_memory(ReplyTo::Nobody, len);
    receiver
        .encoding()
        .decode_counted(variant, body, count)
        .map_err(unreadable::<D>)
}

/// Reads the request of a call that is not compressed.
#[inline]
pub(super) fn decode_call<D: Dispatch>(
    receiver: &Receiver<D::Out>,
    variant: u16,
    body: Body<'_>,
    slot: InboundSlot,
) -> Result<(D::In, &'static Variant), Status> {
    let row = expect::<D>(variant, ReplyTo::Call(slot))?;
    expect_one_request(row)?;
    let count = |len| receiver.count_memory(ReplyTo::Call(slot), len);
    receiver
        .encoding()
        .decode_counted(variant, body, count)
        .map(|request| (request, row))
        .map_err(unreadable::<D>)
}

/// Refuses the one request of a call that asks for a stream of them.
#[inline]
pub(super) fn expect_one_request(row: &Variant) -> Result<(), Status> {
    match row.exchange {
        Exchange::Call {
            request_stream: true,
            ..
        } => Err(Status::invalid_argument(format!(
            "`{}` asks for a stream of requests",
            row.name
        ))),
        _ => Ok(()),
    }
}

/// The row of a variant, after checking that it may come as it did.
#[inline]
pub(super) fn expect<D: Dispatch>(
    variant: u16,
    reply: ReplyTo,
) -> Result<&'static Variant, Status> {
    let Some(row) = variant_of::<D::In>(variant) else {
        return Err(Status::new(
            Code::Unimplemented,
            BodyError::unknown_variant(variant).to_string(),
        ));
    };
    let name = row.name;
    match (row.exchange, reply) {
        (Exchange::Answer, _) => Err(Status::unsolicited(name)),
        (Exchange::Call { .. }, ReplyTo::Call(_))
        | (Exchange::OneWay | Exchange::Acknowledged, ReplyTo::Nobody | ReplyTo::Delivery { .. }) => {
            Ok(row)
        }
        (Exchange::Call { .. }, _) => Err(Status::invalid_argument(format!(
            "`{name}` is a call, and nobody waits for its answer"
        ))),
        (_, ReplyTo::Call(_)) => Err(Status::invalid_argument(format!(
            "`{name}` has no answer, and somebody waits for one"
        ))),
    }
}
