//! Outgoing and incoming messages of a connection: typed, or with bodies that are bytes to this program.

use bytes::Bytes;

use crate::{
    BodyError, Envelope,
    body::{Body, Encoding, Prepared, key_of, key_only, key_text},
    decode_pool::INLINE_LEN,
    protocol::Variant,
};
use msip_session::wire::Topic;

/// An outgoing message.
pub(crate) trait Outgoing: Send + Sync {
    /// What is known of its variant; `None` for a value that its own table does not have.
    fn variant(&self) -> Option<&Variant>;

    /// The length of what [`encode`](Self::encode) writes, in bytes.
    fn encoded_len(&self) -> usize;

    /// Appends the body, as a connection has it that neither transcodes nor compresses.
    fn encode(&self, buffer: &mut Vec<u8>);

    /// Makes the body for a connection of this encoding; `None` where that is what [`encode`](Self::encode) writes.
    ///
    /// # Errors
    ///
    /// The message cannot be written in the connection's codec.
    fn prepare(&self, encoding: &Encoding) -> Result<Option<Prepared>, BodyError>;

    /// The key that distinguishes one STATE from another of its variant, as the schema says.
    fn state_key(&self) -> Vec<u8>;

    /// The key that the schema names, as a broker is told of it; `None` where it names none.
    fn key_text(&self) -> Option<String> {
        None
    }

    /// What says which STATE is cleared by an empty body: the envelope with its key alone.
    fn key_only(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Where a broker takes it. This is the one place where the topic of an outgoing exchange is decided.
    fn topic(&self) -> Option<&Topic> {
        None
    }

    /// Whether nothing but the topic and [`encode`](Self::encode)'s output has to be written on a connection that does not
    /// encode.
    fn is_bare(&self) -> bool {
        true
    }
}

/// A typed message on its way to where its sender leads to: a topic of a broker, or the other end of a direct connection.
pub(crate) struct Addressed<'a, E> {
    pub(crate) message: &'a E,
    pub(crate) topic: Option<&'a Topic>,
}

/// A message as a body becomes it.
pub(crate) trait FromBody: Sized + Send + Sync + 'static {
    /// Reads a body, which is compressed or not.
    fn from_body(
        encoding: &Encoding,
        variant: u16,
        body: Bytes,
        compressed: bool,
    ) -> Result<Self, BodyError>;

    /// The same where that takes little time. Any other body is returned, for the decode pool.
    fn from_short_body(
        encoding: &Encoding,
        variant: u16,
        body: Bytes,
        compressed: bool,
    ) -> Result<Result<Self, BodyError>, Bytes>;

    /// An error of [`from_body`](Self::from_body), with the name of its variant where that is known.
    fn named(error: BodyError) -> BodyError {
        error
    }

    /// Whether it came as the one answer of a call rather than as an item of a stream.
    fn set_is_answer(&mut self) {}
}

impl<E: Envelope> Outgoing for E {
    #[inline]
    fn variant(&self) -> Option<&Variant> {
        E::VARIANTS.get(self.index())
    }

    #[inline]
    fn encoded_len(&self) -> usize {
        Envelope::encoded_len(self)
    }

    #[inline]
    fn encode(&self, buffer: &mut Vec<u8>) {
        Envelope::encode(self, buffer);
    }

    fn prepare(&self, encoding: &Encoding) -> Result<Option<Prepared>, BodyError> {
        match E::VARIANTS.get(self.index()) {
            Some(variant) => encoding.prepare(self, variant),
            None => Ok(None),
        }
    }

    fn state_key(&self) -> Vec<u8> {
        let variant = E::VARIANTS.get(self.index());
        variant.map_or_else(Vec::new, |variant| key_of(self, variant))
    }

    fn key_text(&self) -> Option<String> {
        key_text(self, E::VARIANTS.get(self.index())?)
    }

    fn key_only(&self) -> Vec<u8> {
        let variant = E::VARIANTS.get(self.index());
        variant.map_or_else(Vec::new, |variant| key_only(self, variant))
    }
}

impl<E: Envelope> Outgoing for Addressed<'_, E> {
    #[inline]
    fn variant(&self) -> Option<&Variant> {
        Outgoing::variant(self.message)
    }

    #[inline]
    fn encoded_len(&self) -> usize {
        Outgoing::encoded_len(self.message)
    }

    #[inline]
    fn encode(&self, buffer: &mut Vec<u8>) {
        Outgoing::encode(self.message, buffer);
    }

    fn prepare(&self, encoding: &Encoding) -> Result<Option<Prepared>, BodyError> {
        Outgoing::prepare(self.message, encoding)
    }

    fn state_key(&self) -> Vec<u8> {
        Outgoing::state_key(self.message)
    }

    fn key_only(&self) -> Vec<u8> {
        Outgoing::key_only(self.message)
    }

    #[inline]
    fn topic(&self) -> Option<&Topic> {
        self.topic
    }

    fn key_text(&self) -> Option<String> {
        self.message.key_text()
    }

    /// A key is metadata, at a topic.
    #[inline]
    fn is_bare(&self) -> bool {
        self.topic.is_none()
            || self
                .variant()
                .is_none_or(|variant| variant.key_number.is_none())
    }
}

impl<E: Envelope> FromBody for E {
    // A few instructions around what every answer is decoded with.
    #[inline(always)]
    fn from_body(
        encoding: &Encoding,
        variant: u16,
        body: Bytes,
        compressed: bool,
    ) -> Result<Self, BodyError> {
        if compressed {
            return encoding.read(variant, body, true);
        }
        encoding.decode(variant, Body::from(&body))
    }

    #[inline]
    fn from_short_body(
        encoding: &Encoding,
        variant: u16,
        body: Bytes,
        compressed: bool,
    ) -> Result<Result<Self, BodyError>, Bytes> {
        if compressed {
            return match encoding.decompress_short(variant, &body, INLINE_LEN) {
                Some(inflated) => {
                    Ok(inflated
                        .and_then(|inflated| encoding.decode(variant, Body::from(&inflated))))
                }
                None => Err(body),
            };
        }
        if body.len() > INLINE_LEN {
            return Err(body);
        }
        Ok(encoding.decode(variant, Body::from(&body)))
    }

    fn named(error: BodyError) -> BodyError {
        error.named::<E>()
    }
}
