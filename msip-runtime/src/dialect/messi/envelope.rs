//! Which message an envelope holds: Messi's frames do not say it.

use bytes::{Buf as _, Bytes};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::{super::DialectError, frame::fault};
use crate::{body::Encoding, dialect::protocol::EnvelopeTable, protocol::Variant};

/// The message of an envelope. `None` where it holds none that the schema knows: it is ignored then.
///
/// # Errors
///
/// It cannot be decoded.
pub(super) fn message_of(
    table: &EnvelopeTable,
    encoding: &Encoding,
    body: &Bytes,
) -> Result<Option<&'static Variant>, DialectError> {
    let undecodable =
        |error: &dyn std::fmt::Display| fault(format!("a payload that cannot be decoded: {error}"));
    let mut last = None;
    let mut rest = body.clone();
    while rest.has_remaining() {
        let (number, wire_type) = decode_key(&mut rest).map_err(|error| undecodable(&error))?;
        let variant = u16::try_from(number)
            .ok()
            .and_then(|number| table.get(number));
        let Some(variant) = variant else {
            skip_field(wire_type, number, &mut rest, DecodeContext::default())
                .map_err(|error| undecodable(&error))?;
            continue;
        };
        if wire_type != WireType::LengthDelimited {
            let name = variant.name();
            let text = format!("{name} is a message, and has the wire type {wire_type:?}");
            return Err(undecodable(&text));
        }
        let len = decode_varint(&mut rest).map_err(|error| undecodable(&error))?;
        match usize::try_from(len) {
            Ok(len) if len <= rest.len() => rest.advance(len),
            _ => return Err(undecodable(&"a message reaches beyond its envelope")),
        }
        last = Some(variant);
    }
    if let Some(variant) = last {
        let checked = table.check(encoding, variant.number(), body);
        checked.map_err(|error| undecodable(&error))?;
    }
    Ok(last)
}
