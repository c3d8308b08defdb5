//! The traits that generated code is written against.
//!
//! Users meet them only as bounds: what they call are the typed traits generated from their schema.

use futures_core::Stream;
use msip_session::RequestHead;

use crate::{
    Answered, BodyError, CallError, Client, ConnectError, DisconnectReason, MsgKind, Peer,
    Reconnect, SendError, Status, Streaming, body::Body,
};

/// The generation of generated code that this runtime understands.
const GENERATION: u32 = 1;

/// Refuses, at compile time, code that another generation of `msip-codegen` wrote.
///
/// Generated files call it in a `const`, so that a mismatch is one clear error instead of many strange ones.
///
/// # Panics
///
/// In the compiler, where `generation` is not this runtime's.
pub const fn require_generation(generation: u32) {
    assert!(
        generation == GENERATION,
        "this code was generated for another msip-runtime: use the same version of msip-codegen and msip-runtime"
    );
}

/// A protocol: both directions of one schema.
///
/// Implemented by generated code on a type named after the package, such as `Chat`.
pub trait Protocol: Sized + Send + Sync + 'static {
    /// What a client may say.
    type ClientToServer: Envelope;
    /// What a server may say.
    type ServerToClient: Envelope;
    /// The schema's package, which names the protocol in HELLO.
    const NAME: &'static str;

    /// The schema's fingerprint (docs/protocol.md, "Schema fingerprint").
    fn fingerprint() -> u64;

    /// The schema as an encoded `google.protobuf.FileDescriptorSet`, imports included.
    fn descriptor_set() -> &'static [u8];
}

/// Everything that may be said in one direction, as one enum.
pub trait Envelope: Sized + Send + Sync + 'static {
    /// Every variant, by ascending number.
    const VARIANTS: &'static [Variant];

    /// The place of this value's variant in [`VARIANTS`](Self::VARIANTS).
    fn index(&self) -> usize;

    /// The length of [`encode`](Self::encode)'s output, in bytes.
    fn encoded_len(&self) -> usize;

    /// Appends the body: the envelope message in protobuf.
    fn encode(&self, buffer: &mut Vec<u8>);

    /// Reads the body of the variant with this number.
    ///
    /// # Errors
    ///
    /// An unknown variant, or bytes that are not the envelope message holding that variant.
    fn decode(variant: u16, body: Body<'_>) -> Result<Self, BodyError>;
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

/// Something that sends the messages of one direction to one receiver.
///
/// Every generated send trait is implemented for whatever implements this: [`Client`], [`Peer`], their views,
/// and references and `Arc`s to them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not send `{Out}`",
    note = "the methods of a send trait are there on `Client<P>` (client to server) and `Peer<P>` (server to client)"
)]
pub trait Outbound<Out, In>: Send + Sync {
    /// Sends a message that nobody answers; waits for room in the outgoing queue and for credit.
    fn send(&self, message: Out) -> impl Future<Output = Result<(), SendError>> + Send;

    /// [`send`](Self::send), or [`SendError::Full`] at once where it would have to wait.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    fn try_send(&self, message: Out) -> Result<(), SendError>;

    /// Sends a message and waits until the other side's handler has returned.
    fn deliver(&self, message: Out) -> impl Future<Output = Result<(), CallError>> + Send;

    /// Sends a request and waits for its answer.
    fn call(&self, request: Out) -> impl Future<Output = Result<In, CallError>> + Send;

    /// Sends a request whose answer is a stream. Returns once the request is on its way.
    fn call_streaming(
        &self,
        request: Out,
    ) -> impl Future<Output = Result<Streaming<In>, CallError>> + Send;

    /// Sends a stream of requests of this variant, and waits for the one answer.
    fn upload(
        &self,
        variant: u16,
        requests: impl Stream<Item = Out> + Send + 'static,
    ) -> impl Future<Output = Result<In, CallError>> + Send;

    /// Opens a call of this variant whose request and answer are streams. The requests are sent while the answers
    /// are taken.
    fn exchange(
        &self,
        variant: u16,
        requests: impl Stream<Item = Out> + Send + 'static,
    ) -> impl Future<Output = Result<Streaming<In>, CallError>> + Send;
}

/// Something that gathers the one-way messages of one direction for one receiver, and sends many at a time.
///
/// Every generated push trait is implemented for whatever implements this: [`Sender`](crate::Sender), and `&mut` to it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not gather messages of type `{Out}`",
    note = "the methods of a push trait are there on what `sender` of a `Client<P>` (client to server) or `Peer<P>` (server to client) returns"
)]
pub trait OutboundPush<Out>: Send {
    /// Takes a message that nobody answers; waits for room only where as much waits as may.
    fn push(&mut self, message: Out) -> impl Future<Output = Result<(), SendError>> + Send;

    /// Hands over what waits.
    fn flush(&mut self) -> impl Future<Output = Result<(), SendError>> + Send;
}

/// Something that sends the messages of one direction to many receivers at once.
pub trait OutboundAll<Out>: Send + Sync {
    /// Encodes the message once and queues it for each receiver that has room; never waits. Returns how many
    /// took it.
    fn send_all(&self, message: Out) -> usize;
}

/// A protocol whose clients' messages `H` handles; implemented by generated code for every
/// `H: HandleClientToServer`.
pub trait ServeWith<H>: Protocol {
    /// Hands a message to its handler method.
    fn dispatch(
        handler: &H,
        peer: &Peer<Self>,
        message: Self::ClientToServer,
    ) -> impl Future<Output = Result<Answered<Self::ServerToClient>, Status>> + Send;

    /// Hands a stream of requests to the handler method of this variant. Protocols without any need no other than
    /// this, which refuses.
    fn dispatch_stream(
        handler: &H,
        peer: &Peer<Self>,
        variant: u16,
        requests: Streaming<Self::ClientToServer>,
    ) -> impl Future<Output = Result<Answered<Self::ServerToClient>, Status>> + Send {
        let _ = (handler, peer, requests);
        std::future::ready(Err(Status::unimplemented_variant(variant)))
    }

    /// A client has connected.
    fn connected(handler: &H, peer: &Peer<Self>) -> impl Future<Output = ()> + Send;

    /// A client's connection has ended.
    fn disconnected(
        handler: &H,
        peer: &Peer<Self>,
        reason: DisconnectReason,
    ) -> impl Future<Output = ()> + Send;

    /// A client's session has ended for good.
    fn gone(handler: &H, peer: &Peer<Self>) -> impl Future<Output = ()> + Send;
}

/// A protocol whose server's messages `H` handles; implemented by generated code for every
/// `H: HandleServerToClient`.
pub trait ConnectWith<H>: Protocol {
    /// Hands a message to its handler method.
    fn dispatch(
        handler: &H,
        client: &Client<Self>,
        message: Self::ServerToClient,
    ) -> impl Future<Output = Result<Answered<Self::ClientToServer>, Status>> + Send;

    /// Hands a stream of requests to the handler method of this variant. Protocols without any need no other than
    /// this, which refuses.
    fn dispatch_stream(
        handler: &H,
        client: &Client<Self>,
        variant: u16,
        requests: Streaming<Self::ServerToClient>,
    ) -> impl Future<Output = Result<Answered<Self::ClientToServer>, Status>> + Send {
        let _ = (handler, client, requests);
        std::future::ready(Err(Status::unimplemented_variant(variant)))
    }

    /// The client has connected, or connected again.
    fn connected(handler: &H, client: &Client<Self>) -> impl Future<Output = ()> + Send;

    /// The client's connection has ended.
    fn disconnected(
        handler: &H,
        client: &Client<Self>,
        reason: DisconnectReason,
    ) -> impl Future<Output = ()> + Send;

    /// An attempt to connect has failed: what next?
    fn connect_failure(
        handler: &H,
        error: &ConnectError,
        attempt: u32,
    ) -> impl Future<Output = Reconnect> + Send;
}
