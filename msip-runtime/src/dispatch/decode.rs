//! Decoding of bodies, and the check that their variant may come as it did.

use super::Dispatch;
use crate::{
    BodyError, Code, Status,
    body::Body,
    decoded_size::FREE,
    protocol::{Exchange, Variant, variant_of},
    service::Receiver,
};
use msip_session::{InboundSlot, Incoming, ReplyTo};

/// Reads a body, after checking that its variant may come as it did.
pub(super) fn decode<D: Dispatch>(
    receiver: &Receiver<D::Out>,
    incoming: Incoming,
) -> Result<(D::In, &'static Variant), Status> {
    let Incoming {
        variant,
        mut body,
        compressed,
        reply,
        ..
    } = incoming;
    let row = expect::<D>(variant, reply)?;
    let encoding = receiver.encoding();
    if compressed {
        let received_len = body.len();
        body = encoding
            .decompress(variant, body)
            .map_err(unreadable::<D>)?;
        if body.len() > received_len.saturating_add(FREE) {
            receiver
                .count_memory(reply, body.len())
                .map_err(Status::resource_exhausted)?;
        }
    }
    let message = encoding.decode_counted(variant, Body::from(&body), |len| {
        receiver.count_memory(reply, len)
    });
    message
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
