//! Decoding of bodies, and the check that their variant may come as it did.

use std::sync::Arc;

use bytes::Bytes;

use super::Dispatch;
use crate::{
    BodyError, Code, Status,
    body::{Body, Encoding},
    connection::ConnectionShared,
    decode_pool::{Decoding, INLINE_LEN},
    protocol::{Exchange, Variant, variant_of},
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
pub(super) fn decode<D: Dispatch>(
    encoding: &Encoding,
    connection: &Arc<ConnectionShared>,
    incoming: Incoming,
) -> Decode<D> {
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
    let short = match compressed {
        true => encoding
            .decompress_short(variant, &body, INLINE_LEN)
            .map(|inflated| inflated.map_err(unreadable::<D>)),
        false if is_long(body.len()) => None,
        false => return Decode::Now(decode_body::<D>(encoding, row, &body)),
    };
    if let Some(inflated) = short {
        return Decode::Now(inflated.and_then(|body| {
            count_inflated(connection, reply, body.len())?;
            decode_body::<D>(encoding, row, &body)
        }));
    }
    let (encoding, shared) = (encoding.clone(), Arc::clone(connection));
    Decode::Later(connection.decode_queue().read(move || {
        if !compressed {
            return decode_body::<D>(&encoding, row, &body);
        }
        let inflated = encoding.decompress(variant, body);
        let inflated = inflated.map_err(unreadable::<D>)?;
        count_inflated(&shared, reply, inflated.len())?;
        decode_body::<D>(&encoding, row, &inflated)
    }))
}

/// What a message that was read later has led to.
pub(super) fn decoded<D: Dispatch>(read: Option<Decoded<D>>) -> Decoded<D> {
    // Nobody is left to read the status.
    read.unwrap_or_else(|| Err(Status::unavailable("the runtime has shut down")))
}

/// Counts a request as what it inflates to.
fn count_inflated(connection: &ConnectionShared, reply: ReplyTo, len: usize) -> Result<(), Status> {
    if let ReplyTo::Call(slot) = reply
        && let Some(Err(busy)) =
            connection.with_session(|session| session.request_inflated(slot, len))
    {
        return Err(Status::resource_exhausted(busy.to_string()));
    }
    Ok(())
}

fn decode_body<D: Dispatch>(
    encoding: &Encoding,
    row: &'static Variant,
    body: &Bytes,
) -> Decoded<D> {
    encoding
        .decode(row.number, Body::from(body))
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
    encoding: &Encoding,
    variant: u16,
    body: Body<'_>,
) -> Option<D::In> {
    let row = variant_of::<D::In>(variant)?;
    if !matches!(row.exchange, Exchange::OneWay | Exchange::Acknowledged) {
        return None;
    }
    tracing::trace!(message = row.name, "handling");
    encoding.decode(variant, body).ok()
}

/// Reads the body of a one-way message that is not compressed.
pub(super) fn decode_or_why<D: Dispatch>(
    encoding: &Encoding,
    variant: u16,
    body: Body<'_>,
) -> Result<D::In, Status> {
    expect::<D>(variant, ReplyTo::Nobody)?;
    encoding.decode(variant, body).map_err(unreadable::<D>)
}

/// Reads the request of a call that is not compressed.
#[inline]
pub(super) fn decode_call<D: Dispatch>(
    encoding: &Encoding,
    variant: u16,
    body: Body<'_>,
    slot: InboundSlot,
) -> Result<(D::In, &'static Variant), Status> {
    let row = expect::<D>(variant, ReplyTo::Call(slot))?;
    expect_one_request(row)?;
    encoding
        .decode(variant, body)
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
