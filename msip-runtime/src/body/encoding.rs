//! The encoding of bodies on a connection: the codec and compression agreed in the handshake.

use std::sync::Arc;

use bytes::Bytes;

#[cfg(any(feature = "json", feature = "msgpack"))]
use super::transcoder::Transcoder;
use super::{
    Body, BodyError,
    choice::{Codec, Compression},
    compression,
    member::with_member,
};
use crate::{
    Envelope, EnvelopeSizes,
    decoded_size::{DEFAULT_MAX_DECODED, FREE},
    protocol::Variant,
};

/// The encoding of bodies on a connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Encoding {
    /// `None` for uncompressed protobuf, so that the common case costs nothing.
    params: Option<Arc<EncodingParams>>,
    /// What a received message may take in memory once it is decoded, in bytes.
    max_decoded: usize,
}

impl Default for Encoding {
    /// Uncompressed protobuf, with the usual limit.
    fn default() -> Self {
        Self {
            params: None,
            max_decoded: DEFAULT_MAX_DECODED,
        }
    }
}

/// The parameters agreed in the handshake.
#[derive(Debug)]
pub(crate) struct EncodingParams {
    /// The codec.
    pub(crate) format: BodyFormat,
    /// The compression of bodies.
    pub(crate) compression: Compression,
    /// Bodies shorter than this are not compressed, in bytes.
    pub(crate) threshold: usize,
    /// The largest body accepted, in bytes: as received, decompressed, and in protobuf.
    pub(crate) max_body: usize,
}

impl EncodingParams {
    /// Whether a body of this length is compressed.
    fn compresses(&self, len: usize, variant: &Variant) -> bool {
        self.compression != Compression::None && len >= self.threshold && !variant.uncompressed
    }

    /// The body compressed; `None` if it is sent uncompressed.
    fn compress(&self, body: &[u8], variant: &Variant) -> Option<Vec<u8>> {
        if self.compresses(body.len(), variant) {
            compression::compress(self.compression, body)
        } else {
            None
        }
    }
}

/// The codec, with its transcoder.
#[derive(Debug)]
pub(crate) enum BodyFormat {
    Protobuf,
    /// Bodies are passed on as they are: another program has encoded them.
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
    /// The length before compression, to which the receiver's limit applies.
    pub(crate) len: usize,
}

impl Prepared {
    /// A body that is not compressed.
    pub(crate) fn uncompressed(body: Vec<u8>) -> Self {
        Self {
            len: body.len(),
            compressed: false,
            bytes: body,
        }
    }
}

impl Encoding {
    /// How much memory it takes besides itself, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.params.as_deref().map_or(0, size_of_val)
    }

    /// The encoding with these parameters, where a received message may take `max_decoded` bytes in memory.
    pub(crate) fn new(params: EncodingParams, max_decoded: usize) -> Self {
        let is_identity = matches!(params.format, BodyFormat::Protobuf)
            && params.compression == Compression::None;
        Self {
            params: (!is_identity).then(|| Arc::new(params)),
            max_decoded,
        }
    }

    /// Uncompressed protobuf, where a received message may take `max_decoded` bytes in memory.
    pub(crate) fn plain(max_decoded: u64) -> Self {
        Self {
            params: None,
            max_decoded: usize::try_from(max_decoded).unwrap_or(usize::MAX),
        }
    }

    /// What a received message may take in memory, in bytes.
    pub(crate) fn max_decoded(&self) -> u64 {
        u64::try_from(self.max_decoded).unwrap_or(u64::MAX)
    }

    /// Whether bodies are uncompressed protobuf, so that encoding changes nothing.
    pub(crate) fn is_identity(&self) -> bool {
        self.params.is_none()
    }

    /// Whether both belong to the same connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.params, &other.params) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        }
    }

    /// Connections with equal keys encode every message to the same body.
    pub(crate) fn key(&self) -> (Codec, Compression, usize) {
        (
            self.codec(),
            self.compression(),
            self.params.as_ref().map_or(0, |params| params.threshold),
        )
    }

    pub(crate) fn codec(&self) -> Codec {
        match self.params.as_ref().map(|params| &params.format) {
            None | Some(BodyFormat::Protobuf) => Codec::Protobuf,
            #[cfg(any(feature = "json", feature = "msgpack"))]
            Some(BodyFormat::Opaque(codec)) => *codec,
            #[cfg(any(feature = "json", feature = "msgpack"))]
            Some(BodyFormat::Tree(transcoder)) => transcoder.codec(),
        }
    }

    pub(crate) fn compression(&self) -> Compression {
        self.params
            .as_ref()
            .map_or(Compression::None, |params| params.compression)
    }

    /// Encodes a message as a body; `None` if the body is uncompressed protobuf, which the sender encodes in place.
    ///
    /// # Errors
    ///
    /// The message cannot be written in the connection's codec.
    pub(crate) fn prepare<E: Envelope>(
        &self,
        message: &E,
        variant: &Variant,
    ) -> Result<Option<Prepared>, BodyError> {
        let Some(params) = &self.params else {
            return Ok(None);
        };
        let body = match &params.format {
            BodyFormat::Protobuf => {
                let len = message.encoded_len();
                if !params.compresses(len, variant) {
                    return Ok(None);
                }
                let mut body = Vec::with_capacity(len);
                message.encode(&mut body);
                body
            }
            #[cfg(any(feature = "json", feature = "msgpack"))]
            BodyFormat::Opaque(_) => {
                let mut body = Vec::with_capacity(message.encoded_len());
                message.encode(&mut body);
                body
            }
            #[cfg(any(feature = "json", feature = "msgpack"))]
            BodyFormat::Tree(transcoder) => {
                transcoder
                    .encode(message)
                    .map_err(|reason| BodyError::Unwritable {
                        variant: variant.into(),
                        reason,
                    })?
            }
        };
        let len = body.len();
        let compressed = params.compress(&body, variant);
        Ok(Some(Prepared {
            len,
            compressed: compressed.is_some(),
            bytes: compressed.unwrap_or(body),
        }))
    }

    /// Compresses a body that is encoded already; `None` if it is sent uncompressed.
    pub(crate) fn prepare_body(&self, body: &[u8], variant: &Variant) -> Option<Prepared> {
        let bytes = self.params.as_ref()?.compress(body, variant)?;
        Some(Prepared {
            bytes,
            compressed: true,
            len: body.len(),
        })
    }

    /// Decompresses a body whose frame is flagged COMPRESSED.
    pub(crate) fn decompress(&self, variant: u16, body: Bytes) -> Result<Bytes, BodyError> {
        let Some(params) = &self.params else {
            // The session has refused the frame.
            return Ok(body);
        };
        match compression::decompress(params.compression, &body, params.max_body) {
            Ok(body) => Ok(body.into()),
            Err(compression::DecompressError::TooLarge { max }) => {
                let variant = variant.into();
                Err(BodyError::TooLarge { variant, max })
            }
            Err(error) => Err(BodyError::Compressed {
                variant: variant.into(),
                reason: error.to_string(),
            }),
        }
    }

    /// Decompresses a body whose frame is flagged COMPRESSED, unless it becomes longer than `max` bytes; `None` then.
    pub(crate) fn decompress_short(
        &self,
        variant: u16,
        body: &Bytes,
        max: usize,
    ) -> Option<Result<Bytes, BodyError>> {
        let params = self.params.as_ref()?;
        if body.len() > max || params.max_body <= max {
            // It is for the usual way to say what is wrong with it.
            return (params.max_body <= max).then(|| self.decompress(variant, body.clone()));
        }
        match compression::decompress(params.compression, body, max) {
            Ok(body) => Some(Ok(body.into())),
            Err(compression::DecompressError::TooLarge { .. }) => None,
            Err(error) => Some(Err(BodyError::Compressed {
                variant: variant.into(),
                reason: error.to_string(),
            })),
        }
    }

    /// Decodes a body, which may be compressed.
    pub(crate) fn read<E: Envelope>(
        &self,
        variant: u16,
        mut body: Bytes,
        compressed: bool,
    ) -> Result<E, BodyError> {
        if compressed {
            body = self.decompress(variant, body)?;
        }
        self.decode(variant, Body::from(&body))
    }

    /// Decodes a body that is not compressed.
    #[inline]
    pub(crate) fn decode<E: Envelope>(&self, variant: u16, body: Body<'_>) -> Result<E, BodyError> {
        self.decode_counted(variant, body, |_| Ok(()))
    }

    /// Decodes a body that is not compressed. `count` is told what the message will take in memory, before it does, where that is
    /// much more than the body; it may refuse it with a reason.
    #[inline]
    pub(crate) fn decode_counted<E: Envelope>(
        &self,
        variant: u16,
        body: Body<'_>,
        count: impl FnOnce(usize) -> Result<(), String>,
    ) -> Result<E, BodyError> {
        let len = body.rest().len();
        match self.params.as_deref() {
            None
            | Some(EncodingParams {
                format: BodyFormat::Protobuf,
                ..
            }) => self.decode_protobuf(variant, body, len, count),
            #[cfg(any(feature = "json", feature = "msgpack"))]
            Some(EncodingParams {
                format: BodyFormat::Opaque(_),
                ..
            }) => E::decode(variant, body),
            #[cfg(any(feature = "json", feature = "msgpack"))]
            Some(EncodingParams {
                format: BodyFormat::Tree(transcoder),
                max_body,
                ..
            }) => {
                let protobuf = transcoder
                    .decode(body.rest(), *max_body)
                    .map_err(|reason| BodyError::malformed(variant, reason))?;
                let protobuf = Bytes::from(protobuf);
                self.decode_protobuf(variant, Body::from(&protobuf), len, count)
            }
        }
    }

    /// Decodes protobuf from a body of `body_len` bytes, unless the message would be too large.
    #[inline]
    fn decode_protobuf<E: Envelope>(
        &self,
        variant: u16,
        body: Body<'_>,
        body_len: usize,
        count: impl FnOnce(usize) -> Result<(), String>,
    ) -> Result<E, BodyError> {
        if let Some(sizes) = E::sizes()
            && !sizes.is_free(body.rest().len())
        {
            let counted = self.count(sizes, variant, body)?;
            if counted > body_len.saturating_add(FREE) {
                count(counted).map_err(|reason| BodyError::OutOfMemory {
                    variant: variant.into(),
                    reason,
                })?;
            }
        }
        E::decode(variant, body)
    }

    /// What a message will take in memory; 0 where that cannot be much.
    #[inline(never)]
    fn count(
        &self,
        sizes: &EnvelopeSizes,
        variant: u16,
        body: Body<'_>,
    ) -> Result<usize, BodyError> {
        let len = body.rest().len();
        if sizes.is_free_as(variant, len) {
            return Ok(0);
        }
        let counted = with_member(variant, body, |member| {
            sizes.count(variant, member, self.max_decoded)
        })?;
        if counted > self.max_decoded {
            return Err(BodyError::DecodedTooLarge {
                variant: variant.into(),
                len,
                max: self.max_decoded,
            });
        }
        Ok(counted)
    }
}
