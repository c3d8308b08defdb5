//! What the schema says of each member of an envelope.

use msip_session::{MsgKind, RequestHead};

use super::Envelope;

/// What the schema says of one member of an envelope.
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
}

/// What the sender of a message gets back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exchange {
    /// Nothing.
    OneWay,
    /// Word that the receiver's handler has returned, or its error.
    Acknowledged,
    /// One message: the other direction's variant with this number.
    Call {
        /// The answer's number.
        response: u16,
        /// Whether the request is a stream.
        request_stream: bool,
        /// Whether the answer is a stream.
        response_stream: bool,
    },
    /// It is itself the answer of a call.
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
        }
    }

    /// It is answered by the other direction's variant with this number.
    #[must_use]
    pub const fn call(mut self, response: u16) -> Self {
        self.exchange = Exchange::Call {
            response,
            request_stream: false,
            response_stream: false,
        };
        self
    }

    /// The request of the call is a stream.
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

    /// The answer of the call is a stream.
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

    /// The head of a message of it without metadata.
    pub(crate) const fn head(&self) -> RequestHead<'static> {
        RequestHead::new(self.number, self.kind, self.urgent)
    }

    /// Whether the call has a stream on either side.
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

    /// It is acknowledged once it has been handled.
    #[must_use]
    pub const fn acknowledged(mut self) -> Self {
        self.exchange = Exchange::Acknowledged;
        self
    }

    /// It is the answer of a call.
    #[must_use]
    pub const fn answer(mut self) -> Self {
        self.exchange = Exchange::Answer;
        self
    }

    /// A call or acknowledged message of it waits this long, in milliseconds, unless told otherwise.
    #[must_use]
    pub const fn timeout_ms(mut self, timeout_ms: u32) -> Self {
        self.timeout_ms = Some(timeout_ms);
        self
    }

    /// It overtakes what is queued and not urgent.
    #[must_use]
    pub const fn urgent(mut self) -> Self {
        self.urgent = true;
        self
    }

    /// Its bodies are never compressed.
    #[must_use]
    pub const fn uncompressed(mut self) -> Self {
        self.uncompressed = true;
        self
    }

    /// A call of it may be repeated when its fate is unknown.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// The field of this name and number tells one STATE from another of the same variant.
    #[must_use]
    pub const fn key(mut self, field: &'static str, number: u32) -> Self {
        self.key = Some(field);
        self.key_number = Some(number);
        self
    }

    /// The member's number on the wire.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// The member's name, as the schema spells it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How it is delivered.
    #[must_use]
    pub const fn kind(&self) -> MsgKind {
        self.kind
    }

    /// What its sender gets back.
    #[must_use]
    pub const fn exchange(&self) -> Exchange {
        self.exchange
    }

    /// Whether a call of it may be repeated when its fate is unknown.
    #[must_use]
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// Whether it overtakes what is queued and not urgent.
    #[must_use]
    pub const fn is_urgent(&self) -> bool {
        self.urgent
    }

    /// The field that tells one STATE from another, if there is one.
    #[must_use]
    pub const fn key_field(&self) -> Option<&'static str> {
        self.key
    }
}

/// The row of an envelope's table for this number.
pub(crate) fn variant_of<E: Envelope>(number: u16) -> Option<&'static Variant> {
    // Members are mostly numbered 1, 2, 3 and so on.
    let expected = E::VARIANTS.get(usize::from(number).checked_sub(1)?);
    if let Some(row) = expected.filter(|row| row.number == number) {
        return Some(row);
    }
    let index = E::VARIANTS
        .binary_search_by_key(&number, |variant| variant.number)
        .ok()?;
    E::VARIANTS.get(index)
}
