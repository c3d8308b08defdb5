//! How a connection writes its bodies: what was agreed on in the handshake.

use bytes::Bytes;

use super::BodyError;
use crate::Envelope;

/// The codec of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Encoding {
    /// Protobuf.
    #[default]
    Protobuf,
}

impl Encoding {
    /// Appends the body of a message.
    pub(crate) fn encode<E: Envelope>(self, message: &E, buffer: &mut Vec<u8>) {
        match self {
            Self::Protobuf => message.encode(buffer),
        }
    }

    /// Reads a body.
    pub(crate) fn decode<E: Envelope>(self, variant: u16, body: Bytes) -> Result<E, BodyError> {
        match self {
            Self::Protobuf => E::decode(variant, body),
        }
    }
}
