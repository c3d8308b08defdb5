//! A protocol as its source says it, before anything is checked.

use crate::{Compression, MsgKind, Payload, Reply, Reserved, Span, Spanned, TypeName, Types};

/// The file that declares the options of members, by the name under which schemas import it.
pub const OPTIONS_FILE: &str = "msip/options.proto";

/// What a front end read: names, numbers, options and comments with their places, nothing concluded yet.
///
/// [`check`](Self::check) turns it into a [`Schema`](crate::Schema).
#[derive(Debug, Clone)]
pub struct Draft {
    /// The package, such as `fleet.v1`, which names the protocol.
    pub package: Spanned<String>,
    /// The comment at the head of the source.
    pub doc: String,
    /// What a client may say.
    pub client_to_server: DraftEnvelope,
    /// What a server may say.
    pub server_to_client: DraftEnvelope,
    /// Calls declared by `service` blocks.
    pub methods: Vec<DraftMethod>,
    /// Every type that the envelopes reach.
    pub types: Types,
}

/// One direction of a [`Draft`].
#[derive(Debug, Clone)]
pub struct DraftEnvelope {
    /// Where its name stands.
    pub span: Span,
    /// The comment above it.
    pub doc: String,
    /// The members, in the order of the source.
    pub members: Vec<DraftMember>,
    /// What no member may be again. Whether one is, the front end checks.
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
    /// What its options say.
    pub options: MemberOptions,
}

/// The options of a member; what is absent was not said.
#[derive(Debug, Clone, Default)]
pub struct MemberOptions {
    /// `(msip.kind)`
    pub kind: Option<Spanned<MsgKind>>,
    /// `(msip.reply)`
    pub reply: Option<Spanned<Reply>>,
    /// Where `(msip.request) = STREAM` says that the request is a stream.
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
    /// `(msip.key)`: the field that tells one STATE from another of the same variant.
    pub key: Option<Spanned<String>>,
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
    /// Where `stream` stands before the request, if it does.
    pub request_stream: Option<Span>,
    /// Where `stream` stands before the response, if it does.
    pub response_stream: Option<Span>,
    /// Whether `idempotency_level` says that it may be repeated.
    pub idempotent: bool,
    /// Whether it is marked as deprecated.
    pub deprecated: bool,
    /// The comment above it.
    pub doc: String,
}
