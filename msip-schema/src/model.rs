//! The schema: a protocol that has passed every check, and the only input of an emitter.

use std::time::Duration;

use crate::{Compression, MsgKind, Span, TypeName, Types};

/// The number that no member has: the variant by which peers ask each other for their schema (docs/protocol.md, "Schema
/// fingerprint").
pub const DESCRIBE_VARIANT: u16 = 65_535;

/// The direction of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Sent by the side that connects.
    ClientToServer,
    /// Sent by the side that accepts.
    ServerToClient,
}

impl Direction {
    /// The other direction.
    pub const fn reverse(self) -> Self {
        match self {
            Self::ClientToServer => Self::ServerToClient,
            Self::ServerToClient => Self::ClientToServer,
        }
    }

    /// The name of the envelope message: `ClientToServer` or `ServerToClient`.
    pub const fn envelope_name(self) -> &'static str {
        match self {
            Self::ClientToServer => "ClientToServer",
            Self::ServerToClient => "ServerToClient",
        }
    }
}

/// A protocol, typed in both directions and valid.
///
/// Only [`Draft::check`](crate::Draft::check) returns one, so an emitter need not check anything again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    pub(crate) package: String,
    pub(crate) doc: String,
    pub(crate) client_to_server: Envelope,
    pub(crate) server_to_client: Envelope,
    pub(crate) types: Types,
}

impl Schema {
    /// The package, such as `fleet.v1`, which names the protocol on the wire.
    pub fn package(&self) -> &str {
        &self.package
    }

    /// The comment at the head of the source.
    pub fn doc(&self) -> &str {
        &self.doc
    }

    /// The messages of one direction.
    pub fn envelope(&self, direction: Direction) -> &Envelope {
        match direction {
            Direction::ClientToServer => &self.client_to_server,
            Direction::ServerToClient => &self.server_to_client,
        }
    }

    /// Every type that the envelopes reach.
    pub fn types(&self) -> &Types {
        &self.types
    }

    /// The same protocol with these types, which are not checked.
    ///
    /// For a front end that knows the types only later, such as a derive, which checks each type where it is declared.
    #[must_use]
    pub fn with_types(mut self, types: Types) -> Self {
        self.types = types;
        self
    }
}

/// One direction of a [`Schema`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The direction.
    pub direction: Direction,
    /// The comment above it.
    pub doc: String,
    /// The members, by ascending number.
    pub members: Vec<Member>,
    /// Numbers and names that no member may have.
    pub reserved: Reserved,
}

/// Numbers and names that were in use and must not be reused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reserved {
    /// Numbers, as inclusive ranges.
    pub numbers: Vec<(u32, u32)>,
    /// Names.
    pub names: Vec<String>,
}

impl Envelope {
    /// The member of this name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }
}

/// One message that may be sent in a direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name, such as `connect_req`.
    pub name: String,
    /// The number on the wire, which is also the header's `variant`: 1 … 65,534.
    pub number: u16,
    /// What it carries.
    pub payload: Payload,
    /// The comment above it, or that of its message if it has none.
    pub doc: String,
    /// How it is delivered.
    pub kind: MsgKind,
    /// What comes back.
    pub exchange: Exchange,
    /// How long a caller waits by default; `None` means 30 s, or no limit for a call with a stream.
    pub timeout: Option<Duration>,
    /// Whether it overtakes frames that are not urgent.
    pub urgent: bool,
    /// Whether its bodies may be compressed.
    pub compress: Compression,
    /// Whether a call may be repeated when its fate is unknown.
    pub idempotent: bool,
    /// Whether a call only asks: its method's `idempotency_level` is `NO_SIDE_EFFECTS`. It is idempotent then. Only a `service`
    /// says so, and neither the wire nor the fingerprint knows of it: a gateway offers such a call by GET.
    pub no_side_effects: bool,
    /// The field that tells one message from another of the same variant.
    pub key: Option<String>,
    /// What peers of a dialect call it that names messages by text, where that is not its name.
    pub code: Option<String>,
    /// Whether it is marked as deprecated.
    pub deprecated: bool,
    /// The span of its name. Two sources of the same protocol differ in it, so compare fingerprints, not schemas.
    pub span: Span,
}

/// What a member carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A message of this type.
    Message(TypeName),
    /// Nothing: `google.protobuf.Empty`, or a variant without data.
    Empty,
}

/// What the sender of a member gets back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchange {
    /// Nothing.
    OneWay,
    /// An acknowledgment once the receiver's handler has returned, or its error.
    Acknowledged,
    /// The named member of the other direction, or any number of them if it is a stream, or an error.
    Call {
        /// The answer's member.
        response: String,
        /// Whether the request is a stream.
        request_stream: bool,
        /// Whether the answer is a stream.
        response_stream: bool,
    },
    /// Nothing: it is the answer of a call, and is never sent on its own.
    Answer,
}

impl Exchange {
    /// The words of the canonical form, where `number_of` says which number the response has, if there is that member.
    pub(crate) fn canonical(&self, number_of: impl FnOnce(&str) -> Option<u16>) -> String {
        match self {
            Self::OneWay => "one-way".to_owned(),
            Self::Acknowledged => "acknowledged".to_owned(),
            Self::Answer => "answer".to_owned(),
            Self::Call {
                response,
                request_stream,
                response_stream,
            } => {
                let shape = |stream: bool| if stream { "stream" } else { "single" };
                format!(
                    "call {} {} {}",
                    shape(*request_stream),
                    shape(*response_stream),
                    number_of(response).unwrap_or(0)
                )
            }
        }
    }
}
