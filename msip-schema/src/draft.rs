//! Drafts: a protocol as its source has it, before anything is checked.

use crate::{Compression, MsgKind, Payload, Reply, Reserved, Span, Spanned, TypeName, Types};

/// The file that declares the options of members, by the name under which schemas import it.
pub const OPTIONS_FILE: &str = "msip/options.proto";

/// What a front end has read: names, numbers, options and comments with their spans. Nothing is inferred yet.
///
/// [`check`](Self::check) turns it into a [`Schema`](crate::Schema).
#[derive(Debug, Clone)]
pub struct Draft {
    /// The package, such as `fleet.v1`, which names the protocol.
    pub package: Spanned<String>,
    /// The comment at the head of the source.
    pub doc: String,
    /// The messages of the client.
    pub client_to_server: DraftEnvelope,
    /// The messages of the server.
    pub server_to_client: DraftEnvelope,
    /// Calls declared by `service` blocks.
    pub methods: Vec<DraftMethod>,
    /// Every type that the envelopes reach.
    pub types: Types,
}

/// One direction of a [`Draft`].
#[derive(Debug, Clone)]
pub struct DraftEnvelope {
    /// The span of its name.
    pub span: Span,
    /// The comment above it.
    pub doc: String,
    /// The members, in the order of the source.
    pub members: Vec<DraftMember>,
    /// Numbers and names that no member may have. The front end checks that none does.
    pub reserved: Reserved,
}

/// One member of an envelope.
#[derive(Debug, Clone)]
pub struct DraftMember {
    /// The name, such as `connect_req`.
    pub name: Spanned<String>,
    /// The number on the wire, not yet known to be in range.
    pub number: Spanned<u32>,
    /// What it carries.
    pub payload: Spanned<Payload>,
    /// The comment above it.
    pub doc: String,
    /// Its options.
    pub options: MemberOptions,
}

/// The options of a member; an absent one is not set.
#[derive(Debug, Clone, Default)]
pub struct MemberOptions {
    /// `(msip.kind)`
    pub kind: Option<Spanned<MsgKind>>,
    /// `(msip.reply)`
    pub reply: Option<Spanned<Reply>>,
    /// The span of `(msip.request) = STREAM`, which makes the request a stream.
    pub request_stream: Option<Span>,
    /// `(msip.response)`: the member of the other direction that answers this one.
    pub response: Option<Spanned<String>>,
    /// `(msip.timeout_ms)`
    pub timeout_ms: Option<Spanned<u32>>,
    /// `(msip.urgent)`
    pub urgent: Option<Spanned<bool>>,
    /// `(msip.compress)`
    pub compress: Option<Spanned<Compression>>,
    /// `(msip.idempotent)`
    pub idempotent: Option<Spanned<bool>>,
    /// `(msip.key)`: the field that tells one message from another of the same variant.
    pub key: Option<Spanned<String>>,
    /// `(msip.code)`: what peers of a dialect call it that names messages by text.
    pub code: Option<Spanned<String>>,
    /// Protobuf's own `deprecated`.
    pub deprecated: bool,
}

/// One method of a `service` block.
#[derive(Debug, Clone)]
pub struct DraftMethod {
    /// The name, such as `Connect`.
    pub name: Spanned<String>,
    /// The type it takes.
    pub request: Spanned<TypeName>,
    /// The type it answers with.
    pub response: Spanned<TypeName>,
    /// The span of `stream` before the request, if it is a stream.
    pub request_stream: Option<Span>,
    /// The span of `stream` before the response, if it is a stream.
    pub response_stream: Option<Span>,
    /// Whether its `idempotency_level` allows repeating it.
    pub idempotent: bool,
    /// Whether its `idempotency_level` is `NO_SIDE_EFFECTS`.
    pub no_side_effects: bool,
    /// Whether it is marked as deprecated.
    pub deprecated: bool,
    /// The comment above it.
    pub doc: String,
}
