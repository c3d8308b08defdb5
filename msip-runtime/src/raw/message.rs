//! A raw message: a body that this program neither encodes nor decodes.

use bytes::Bytes;

use crate::{
    BodyError, Compression, MsgKind, Status, Variant,
    body::{Encoding, Prepared},
    connection::{FromBody, Outgoing},
};
use msip_session::wire::Topic;

/// The longest topic, in bytes (docs/protocol.md, "Limits").
pub(super) const MAX_TOPIC: u16 = 255;

/// A message as it travels: its variant, and its body as bytes in the connection's codec.
///
/// A body that came compressed stays so until it is asked for. It is forwarded unchanged where the next connection has
/// agreed on the same compression, and inflated once where it has not.
#[derive(Debug, Clone)]
pub struct UntypedMessage {
    variant: Variant,
    body: Bytes,
    compression: Compression,
    /// How the connection that it came by writes bodies, where it is needed to inflate it.
    encoding: Encoding,
    topic: Option<Topic>,
    is_answer: bool,
}

impl UntypedMessage {
    /// A message of a variant that is known, from a [`VariantTable`](super::VariantTable) or a constant of yours.
    #[must_use]
    pub fn new(variant: &Variant, body: impl Into<Bytes>) -> Self {
        Self {
            variant: *variant,
            body: body.into(),
            compression: Compression::None,
            encoding: Encoding::default(),
            topic: None,
            is_answer: false,
        }
    }

    /// The same message for a topic of a broker.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for a topic of more than 255 bytes, or with control characters.
    pub fn to_topic(mut self, topic: impl Into<String>) -> Result<Self, Status> {
        let topic = Topic::new(Bytes::from(topic.into()), MAX_TOPIC)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        self.topic = Some(topic).filter(|topic| !topic.is_empty());
        Ok(self)
    }

    /// The same, where it is known to be a topic.
    #[must_use]
    pub fn to_known_topic(mut self, topic: Topic) -> Self {
        self.set_topic(topic);
        self
    }

    /// The same, where the topic is known to be one.
    pub(crate) fn at(mut self, topic: Option<&Topic>) -> Self {
        self.topic = topic.cloned();
        self
    }

    /// What is known of its variant. Of a message that was received: its number, its kind and whether it is urgent.
    #[must_use]
    pub fn variant(&self) -> &Variant {
        &self.variant
    }

    /// The number of its variant.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.variant.number
    }

    /// How it is delivered.
    #[must_use]
    pub fn kind(&self) -> MsgKind {
        self.variant.kind
    }

    /// Where a broker takes it; empty on a direct connection.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.topic.as_ref().map_or("", Topic::as_str)
    }

    /// The bytes of its topic.
    #[must_use]
    pub fn topic_bytes(&self) -> &[u8] {
        self.topic.as_ref().map_or(&[], Topic::as_bytes)
    }

    /// What the body is compressed with, as it lies here.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The body, inflated if it was compressed.
    ///
    /// # Errors
    ///
    /// It inflates to more than `max_body` of the connection that it came by, or not at all.
    pub fn body(&self) -> Result<Bytes, BodyError> {
        match self.compression {
            Compression::None => Ok(self.body.clone()),
            _ => self
                .encoding
                .decompress(self.variant.number, self.body.clone())
                .map_err(|error| error.of_variant(&self.variant)),
        }
    }

    /// Whether it is no message, but clears the STATE of its variant: its body is empty. Which one, where there are several, says
    /// [`Metadata::key`](crate::Metadata::key) or, from a typed sender,
    /// [`Metadata::cleared`](crate::Metadata::cleared). Such a message is sent in the same way.
    #[must_use]
    pub fn clears(&self) -> bool {
        self.kind() == MsgKind::State && self.body.is_empty()
    }

    /// The body as it travels.
    #[must_use]
    pub fn raw_body(&self) -> &Bytes {
        &self.body
    }

    /// Whether it is the one answer of a call, rather than an item of a stream of answers.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        self.is_answer
    }

    /// The same message as if it were of this variant: a table knows more of it than the wire.
    #[must_use]
    pub fn with_variant(mut self, variant: &Variant) -> Self {
        self.variant = *variant;
        self
    }

    pub(super) fn received(variant: Variant, body: Bytes) -> Self {
        Self::new(&variant, body)
    }

    /// The same, without its body.
    pub(super) fn without_body(self) -> Self {
        Self {
            topic: self.topic,
            ..Self::new(&self.variant, Bytes::new())
        }
    }

    pub(super) fn set_topic(&mut self, topic: Topic) {
        self.topic = Some(topic).filter(|topic| !topic.is_empty());
    }

    pub(super) fn set_compressed(&mut self, encoding: &Encoding) {
        self.compression = encoding.compression();
        self.encoding = encoding.clone();
    }
}

impl Outgoing for UntypedMessage {
    #[inline]
    fn variant(&self) -> Option<&Variant> {
        Some(&self.variant)
    }

    #[inline]
    fn encoded_len(&self) -> usize {
        self.body.len()
    }

    #[inline]
    fn encode(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&self.body);
    }

    fn prepare(&self, encoding: &Encoding) -> Result<Option<Prepared>, BodyError> {
        if self.compression == Compression::None {
            return Ok(encoding.prepare_body(&self.body, &self.variant));
        }
        if self.compression == encoding.compression() {
            return Ok(Some(Prepared {
                bytes: self.body.to_vec(),
                compressed: true,
                // What it inflates to is the receiver's to judge.
                len: self.body.len(),
            }));
        }
        let body = self.body()?;
        let prepared = encoding.prepare_body(&body, &self.variant);
        Ok(Some(
            prepared.unwrap_or_else(|| Prepared::uncompressed(body.to_vec())),
        ))
    }

    /// Only the sender's own key distinguishes one STATE from another: the schema's field is inside of the body.
    fn state_key(&self) -> Vec<u8> {
        Vec::new()
    }

    fn topic(&self) -> Option<&Topic> {
        self.topic.as_ref()
    }

    #[inline]
    fn is_bare(&self) -> bool {
        self.compression == Compression::None
    }
}

impl FromBody for UntypedMessage {
    fn from_body(
        encoding: &Encoding,
        variant: u16,
        body: Bytes,
        compressed: bool,
    ) -> Result<Self, BodyError> {
        // Answers and items have no kind of their own.
        let mut message = Self::received(Variant::new(variant, "", MsgKind::Event), body);
        if compressed {
            message.set_compressed(encoding);
        }
        Ok(message)
    }

    /// It is not decoded, however long it is.
    fn from_short_body(
        encoding: &Encoding,
        variant: u16,
        body: Bytes,
        compressed: bool,
    ) -> Result<Result<Self, BodyError>, Bytes> {
        Ok(Self::from_body(encoding, variant, body, compressed))
    }

    fn set_is_answer(&mut self) {
        self.is_answer = true;
    }
}
