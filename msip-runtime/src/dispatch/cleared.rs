//! STATEs that are cleared: an empty body is no message, and reaches another method of the handler (docs/protocol.md,
//! "Clearing a STATE").

use bytes::Bytes;

use super::{Dispatch, decode::expect};
use crate::{
    Answered, BodyError, Metadata, MsgKind, Status,
    body::{Body, Encoding, envelope},
    protocol::Variant,
};
use msip_session::{BareMessage, Incoming, ReplyTo};

/// Whether a message clears a STATE.
pub(super) fn clears(incoming: &Incoming) -> bool {
    incoming.kind == MsgKind::State && incoming.body.is_empty() && !incoming.compressed
}

/// The same of one that has nothing but a body.
pub(super) fn bare_clears(message: &BareMessage) -> bool {
    message.kind() == MsgKind::State && message.body().is_empty()
}

/// Which STATE is cleared: a message of its variant with nothing but its key.
pub(super) fn decode_cleared<D: Dispatch>(
    variant: u16,
    reply: ReplyTo,
    metadata: Option<&Metadata>,
) -> Result<(D::In, &'static Variant), Status> {
    let row = expect::<D>(variant, reply)?;
    let unreadable = |error: BodyError| {
        let error = error.of_variant(row);
        Status::new(error.code(), error.to_string())
    };
    if row.kind != MsgKind::State {
        return Err(unreadable(BodyError::MemberMissing {
            variant: row.into(),
        }));
    }
    let cleared = metadata.map(Metadata::cleared).unwrap_or_default();
    let state = if cleared.is_empty() {
        envelope(variant, &[])
    } else {
        cleared.to_vec()
    };
    // In protobuf, whatever the codec is.
    let state = Encoding::default().decode(variant, Body::from(&Bytes::from(state)));
    Ok((state.map_err(unreadable)?, row))
}

/// Hands a message to its handler, or says that its STATE is cleared.
pub(super) async fn handle<D: Dispatch>(
    side: &D,
    context: &D::Context,
    message: D::In,
    clears: bool,
) -> Result<Answered<D::Out>, Status> {
    if clears {
        Box::pin(side.cleared(context, message)).await;
        return Ok(Answered::Nothing);
    }
    side.dispatch(context, message).await
}
