//! One message that a client may send, and how it is sent.

use msip_runtime::{
    Code, Exchange, Variant,
    untyped::{JsonMessage, key_of_member},
};
use msip_schema::{Exchange as SchemaExchange, Member};

use crate::GatewayError;

/// One message that a client may send: an operation at `/v1/<package>/<member>`.
#[derive(Debug, Clone)]
pub struct Operation {
    pub(crate) name: String,
    pub(crate) variant: Variant,
    pub(crate) shape: Shape,
    pub(crate) has_no_side_effects: bool,
    pub(crate) request: Content,
    pub(crate) key: Option<u32>,
}

/// What a member carries.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    /// `None` for nothing.
    pub(crate) message: Option<JsonMessage>,
}

/// What goes, and what comes back.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Shape {
    /// A message that nothing answers: 202.
    OneWay,
    /// A message that is acknowledged: 204.
    Acknowledged,
    /// A call: 200 with its answer.
    Call {
        /// The request is a stream: lines of JSON.
        request_stream: bool,
        /// The answer is a stream: server-sent events.
        response_stream: bool,
    },
}

impl Operation {
    /// The name of its member, such as `connect_req`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number and the kind of its variant.
    #[must_use]
    pub fn variant(&self) -> &Variant {
        &self.variant
    }

    /// What goes, and what comes back.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The number of the member that answers it.
    pub(crate) fn response(&self) -> Option<u16> {
        match self.variant.exchange() {
            Exchange::Call { response, .. } => Some(response),
            _ => None,
        }
    }

    /// What a broker is told as the key of a request in protobuf.
    pub(crate) fn key(&self, request: &[u8]) -> Option<String> {
        key_of_member(request, self.key?, self.variant.kind())
    }

    /// A request in protobuf, of JSON.
    pub(crate) fn request_of(&self, json: &[u8], max_len: usize) -> Result<Vec<u8>, GatewayError> {
        let wrong = |text: String| GatewayError::new(Code::InvalidArgument, text);
        match &self.request.message {
            Some(message) => message
                .to_protobuf(json, max_len)
                .map_err(|error| wrong(format!("{}: {error}", self.name))),
            None => match json.trim_ascii() {
                b"" | b"{}" => Ok(Vec::new()),
                _ => Err(wrong(format!("{} carries nothing: send {{}}", self.name))),
            },
        }
    }

    /// Whether it can be called by GET: its method says `NO_SIDE_EFFECTS`.
    #[must_use]
    pub fn has_no_side_effects(&self) -> bool {
        self.has_no_side_effects
    }
}

impl Shape {
    /// That of a member; `None` of an answer, which is never sent on its own.
    #[must_use]
    pub fn of(member: &Member) -> Option<Self> {
        Some(match &member.exchange {
            SchemaExchange::OneWay => Self::OneWay,
            SchemaExchange::Acknowledged => Self::Acknowledged,
            SchemaExchange::Call {
                request_stream,
                response_stream,
                ..
            } => Self::Call {
                request_stream: *request_stream,
                response_stream: *response_stream,
            },
            SchemaExchange::Answer => return None,
        })
    }
}
