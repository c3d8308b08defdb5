//! The schema of one member of an envelope.

use msip_session::{BareHead, MsgKind, RequestHead, wire::Topic};

use super::Envelope;

/// The schema of one member of an envelope: a row of [`Envelope::VARIANTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    pub(crate) number: u16,
    pub(crate) name: &'static str,
    pub(crate) kind: MsgKind,
    pub(crate) exchange: Exchange,
    pub(crate) timeout_ms: Option<u32>,
    pub(crate) urgent: bool,
    pub(crate) uncompressed: bool,
    pub(crate) idempotent: bool,
    pub(crate) key: Option<&'static str>,
    pub(crate) key_number: Option<u32>,
    pub(crate) code: Option<&'static str>,
}

/// The response that the sender of a message gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exchange {
    /// Nothing.
    OneWay,
    /// An acknowledgment once the receiver's handler has returned, or its error.
    Acknowledged,
    /// One message: the other direction's variant with this number.
    Call {
        /// The number of the response.
        response: u16,
        /// Whether the request is a stream.
        request_stream: bool,
        /// Whether the response is a stream.
        response_stream: bool,
    },
    /// None: it is the response of a call.
    Answer,
}

impl Variant {
    /// A one-way variant.
    #[must_use]
    pub const fn new(number: u16, name: &'static str, kind: MsgKind) -> Self {
        Self {
            number,
            name,
            kind,
            exchange: Exchange::OneWay,
            timeout_ms: None,
            urgent: false,
            uncompressed: false,
            idempotent: false,
            key: None,
            key_number: None,
            code: None,
        }
    }

    /// Makes it a call, whose response is the other direction's variant with this number.
    #[must_use]
    pub const fn call(mut self, response: u16) -> Self {
        self.exchange = Exchange::Call {
            response,
            request_stream: false,
            response_stream: false,
        };
        self
    }

    /// Makes the request a stream.
    #[must_use]
    pub const fn request_stream(mut self) -> Self {
        if let Exchange::Call {
            response,
            response_stream,
            ..
        } = self.exchange
        {
            self.exchange = Exchange::Call {
                response,
                request_stream: true,
                response_stream,
            };
        }
        self
    }

    /// Makes the response a stream.
    #[must_use]
    pub const fn response_stream(mut self) -> Self {
        if let Exchange::Call {
            response,
            request_stream,
            ..
        } = self.exchange
        {
            self.exchange = Exchange::Call {
                response,
                request_stream,
                response_stream: true,
            };
        }
        self
    }

    /// The request head of a message without metadata.
    pub(crate) const fn head(&self) -> RequestHead<'static> {
        RequestHead::new(self.number, self.kind, self.urgent)
    }

    /// The head of a message on the fast path, to this topic of a broker.
    #[inline]
    pub(crate) const fn bare_head<'a>(&self, topic: Option<&'a Topic>) -> BareHead<'a> {
        BareHead {
            variant: self.number,
            kind: self.kind,
            topic,
        }
    }

    /// Whether the request or the response is a stream.
    pub(crate) const fn has_streams(&self) -> bool {
        match self.exchange {
            Exchange::Call {
                request_stream,
                response_stream,
                ..
            } => request_stream || response_stream,
            _ => false,
        }
    }

    /// Makes it acknowledged.
    #[must_use]
    pub const fn acknowledged(mut self) -> Self {
        self.exchange = Exchange::Acknowledged;
        self
    }

    /// Makes it the response of a call.
    #[must_use]
    pub const fn answer(mut self) -> Self {
        self.exchange = Exchange::Answer;
        self
    }

    /// Sets the default timeout of a call or acknowledged message, in milliseconds.
    #[must_use]
    pub const fn timeout_ms(mut self, timeout_ms: u32) -> Self {
        self.timeout_ms = Some(timeout_ms);
        self
    }

    /// Makes it urgent: it is sent ahead of queued messages that are not.
    #[must_use]
    pub const fn urgent(mut self) -> Self {
        self.urgent = true;
        self
    }

    /// Excludes its bodies from compression.
    #[must_use]
    pub const fn uncompressed(mut self) -> Self {
        self.uncompressed = true;
        self
    }

    /// Makes it idempotent: a call may be repeated if its outcome is unknown.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Sets the key, which tells one message of this variant from another: the name and number of its field.
    #[must_use]
    pub const fn key(mut self, field: &'static str, number: u32) -> Self {
        self.key = Some(field);
        self.key_number = Some(number);
        self
    }

    /// Sets what peers of a dialect call it that names messages by text: `(msip.code)`.
    #[must_use]
    pub const fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// The number of the member.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// The name of the member in the schema.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The kind of delivery.
    #[must_use]
    pub const fn kind(&self) -> MsgKind {
        self.kind
    }

    /// The response that its sender gets.
    #[must_use]
    pub const fn exchange(&self) -> Exchange {
        self.exchange
    }

    /// Whether a call may be repeated if its outcome is unknown.
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// Whether it is sent ahead of queued messages that are not urgent.
    #[must_use]
    pub const fn is_urgent(&self) -> bool {
        self.urgent
    }

    /// The name of the field that tells one message of this variant from another, if it has one.
    #[must_use]
    pub const fn key_field(&self) -> Option<&'static str> {
        self.key
    }
}

/// The variant of this number.
pub(crate) fn variant_of<E: Envelope>(number: u16) -> Option<&'static Variant> {
    // Members are usually numbered 1, 2, 3 and so on.
    let expected = E::VARIANTS.get(usize::from(number).checked_sub(1)?);
    if let Some(row) = expected.filter(|row| row.number == number) {
        return Some(row);
    }
    let index = E::VARIANTS
        .binary_search_by_key(&number, |variant| variant.number)
        .ok()?;
    E::VARIANTS.get(index)
}
