//! How a connection writes its bodies: what was agreed on in the handshake.

use std::sync::Arc;

use bytes::Bytes;

#[cfg(any(feature = "json", feature = "msgpack"))]
use super::transcoder::Transcoder;
use super::{
    Body, BodyError,
    choice::{Codec, Compression},
    compression,
};
use crate::{Envelope, protocol::Variant};

/// How a connection writes its bodies. A clone is one of a pointer at most.
#[derive(Debug, Clone, Default)]
pub(crate) struct Encoding(
    /// Nothing for protobuf that is not compressed, which is to cost nothing.
    Option<Arc<Agreed>>,
);

/// What was agreed on.
#[derive(Debug)]
pub(crate) struct Agreed {
    /// How messages become bodies.
    pub(crate) writing: Writing,
    /// What bodies may be compressed with.
    pub(crate) compression: Compression,
    /// A smaller body is not compressed.
    pub(crate) threshold: usize,
    /// The largest body accepted, in bytes, before and after it is inflated, and in protobuf.
    pub(crate) max_body: usize,
}

impl Agreed {
    /// Whether a body of this length is compressed.
    fn compresses(&self, len: usize, variant: &Variant) -> bool {
        self.compression != Compression::None && len >= self.threshold && !variant.uncompressed
    }

    /// The body compressed; `None` where it is sent as it is.
    fn compress(&self, body: &[u8], variant: &Variant) -> Option<Vec<u8>> {
        if self.compresses(body.len(), variant) {
            compression::compress(self.compression, body)
        } else {
            None
        }
    }
}

/// How messages become bodies.
#[derive(Debug)]
pub(crate) enum Writing {
    Protobuf,
    /// As they are: somebody else has encoded them.
    #[cfg(any(feature = "json", feature = "msgpack"))]
    Opaque(Codec),
    #[cfg(any(feature = "json", feature = "msgpack"))]
    Tree(Transcoder),
}

/// A body that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) bytes: Vec<u8>,
    pub(crate) compressed: bool,
    /// What the receiver's limit holds for: its length before it was compressed.
    pub(crate) len: usize,
}

impl Prepared {
    /// A body as it is.
    pub(crate) fn uncompressed(body: Vec<u8>) -> Self {
        Self {
            len: body.len(),
            compressed: false,
            bytes: body,
        }
    }
}

impl Encoding {
    pub(crate) fn new(agreed: Agreed) -> Self {
        let is_plain =
            matches!(agreed.writing, Writing::Protobuf) && agreed.compression == Compression::None;
        Self((!is_plain).then(|| Arc::new(agreed)))
    }

    /// Whether every body is protobuf, as it is.
    pub(crate) fn is_plain(&self) -> bool {
        self.0.is_none()
    }

    /// Whether both are the agreement of one connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        }
    }

    /// What the bodies of two connections have in common when they are equal, whatever the message.
    pub(crate) fn key(&self) -> (Codec, Compression, usize) {
        (
            self.codec(),
            self.compression(),
            self.0.as_ref().map_or(0, |agreed| agreed.threshold),
        )
    }

    pub(crate) fn codec(&self) -> Codec {
        match self.0.as_ref().map(|agreed| &agreed.writing) {
            None | Some(Writing::Protobuf) => Codec::Protobuf,
            #[cfg(any(feature = "json", feature = "msgpack"))]
            Some(Writing::Opaque(codec)) => *codec,
            #[cfg(any(feature = "json", feature = "msgpack"))]
            Some(Writing::Tree(transcoder)) => transcoder.codec(),
        }
    }

    pub(crate) fn compression(&self) -> Compression {
        self.0
            .as_ref()
            .map_or(Compression::None, |agreed| agreed.compression)
    }

    /// Makes the body of a message; `None` where it is the message in protobuf, as it is, which the sender writes
    /// where it belongs.
    ///
    /// # Errors
    ///
    /// The message cannot be written in the connection's codec.
    pub(crate) fn prepare<E: Envelope>(
        &self,
        message: &E,
        variant: &Variant,
    ) -> Result<Option<Prepared>, BodyError> {
        let Some(agreed) = &self.0 else {
            return Ok(None);
        };
        let body = match &agreed.writing {
            Writing::Protobuf => {
                let len = message.encoded_len();
                if !agreed.compresses(len, variant) {
                    return Ok(None);
                }
                let mut body = Vec::with_capacity(len);
                message.encode(&mut body);
                body
            }
            #[cfg(any(feature = "json", feature = "msgpack"))]
            Writing::Opaque(_) => {
                let mut body = Vec::with_capacity(message.encoded_len());
                message.encode(&mut body);
                body
            }
            #[cfg(any(feature = "json", feature = "msgpack"))]
            Writing::Tree(transcoder) => {
                transcoder
                    .encode(message)
                    .map_err(|reason| BodyError::Unwritable {
                        variant: variant.number,
                        reason,
                    })?
            }
        };
        let len = body.len();
        let compressed = agreed.compress(&body, variant);
        Ok(Some(Prepared {
            len,
            compressed: compressed.is_some(),
            bytes: compressed.unwrap_or(body),
        }))
    }

    /// Compresses a body that is encoded already; `None` where it is sent as it is.
    pub(crate) fn prepare_body(&self, body: &[u8], variant: &Variant) -> Option<Prepared> {
        let bytes = self.0.as_ref()?.compress(body, variant)?;
        Some(Prepared {
            bytes,
            compressed: true,
            len: body.len(),
        })
    }

    /// Undoes the compression of a body whose frame has the flag for it.
    pub(crate) fn inflate(&self, variant: u16, body: Bytes) -> Result<Bytes, BodyError> {
        let Some(agreed) = &self.0 else {
            // The session has refused the frame.
            return Ok(body);
        };
        match compression::inflate(agreed.compression, &body, agreed.max_body) {
            Ok(body) => Ok(body.into()),
            Err(compression::InflateError::TooLarge { max }) => {
                Err(BodyError::TooLarge { variant, max })
            }
            Err(error) => Err(BodyError::Compressed {
                variant,
                reason: error.to_string(),
            }),
        }
    }

    /// Reads a body, which is compressed or not.
    pub(crate) fn read<E: Envelope>(
        &self,
        variant: u16,
        mut body: Bytes,
        compressed: bool,
    ) -> Result<E, BodyError> {
        if compressed {
            body = self.inflate(variant, body)?;
        }
        self.decode(variant, Body::from(&body))
    }

    /// Reads a body that is not compressed, or not any more.
    #[inline]
    pub(crate) fn decode<E: Envelope>(&self, variant: u16, body: Body<'_>) -> Result<E, BodyError> {
        match self.0.as_deref() {
            None
            | Some(Agreed {
                writing: Writing::Protobuf,
                ..
            }) => E::decode(variant, body),
            #[cfg(any(feature = "json", feature = "msgpack"))]
            Some(Agreed {
                writing: Writing::Opaque(_),
                ..
            }) => E::decode(variant, body),
            #[cfg(any(feature = "json", feature = "msgpack"))]
            Some(Agreed {
                writing: Writing::Tree(transcoder),
                max_body,
                ..
            }) => {
                let protobuf = transcoder
                    .decode(body.rest(), *max_body)
                    .map_err(|reason| BodyError::malformed(variant, reason))?;
                E::decode(variant, Body::from(&Bytes::from(protobuf)))
            }
        }
    }
}
