//! Clients and servers of MSIP, a typed and bidirectional messaging protocol.
//!
//! A schema says what a client may say and what a server may say: a `.proto` file compiled by `msip-codegen`, or Rust types
//! with the derives of this crate. From it both ends get a trait to send with and a trait to handle with. This crate runs
//! that code: it connects and reconnects, matches answers to calls, enforces deadlines, flow control and limits,
//! and closes gracefully.
//!
//! # Example
//!
//! ```
//! // The protocol. `HelloReq` and `HelloRsp` are a pair by their names, which makes them a call.
//! pub mod greet {
//!     use msip_runtime::{ClientToServer, Message, ServerToClient};
//!
//!     #[derive(Debug, ClientToServer)]
//!     #[msip(protocol = "greet")]
//!     pub enum ClientToServer {
//!         #[msip(tag = 1)]
//!         HelloReq(HelloReq),
//!     }
//!
//!     #[derive(Debug, ServerToClient)]
//!     pub enum ServerToClient {
//!         #[msip(tag = 1)]
//!         HelloRsp(HelloRsp),
//!     }
//!
//!     #[derive(Debug, Message)]
//!     pub struct HelloReq {
//!         #[msip(tag = 1)]
//!         pub name: String,
//!     }
//!
//!     #[derive(Debug, Message)]
//!     pub struct HelloRsp {
//!         #[msip(tag = 1)]
//!         pub greeting: String,
//!     }
//! }
//!
//! use greet::{Greet, HandleClientToServer, HelloReq, HelloRsp, SendClientToServer as _};
//! use msip_runtime::prelude::*;
//!
//! struct Greeter;
//!
//! impl HandleClientToServer for Greeter {
//!     async fn on_hello_req(&self, _: &Peer<Greet>, request: HelloReq) -> Result<HelloRsp, Status> {
//!         if request.name.is_empty() {
//!             return Err(Status::invalid_argument("a name is needed"));
//!         }
//!         Ok(HelloRsp { greeting: format!("hello, {}", request.name) })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In memory here; over a network it is `tcp://127.0.0.1:7400`.
//! let server = Server::<Greet>::bind("mem://crate-page").await?;
//! let url = server.local_url().to_string();
//! tokio::spawn(server.serve(Greeter));
//!
//! let client = Client::<Greet>::connect(&url).await?;
//! let answer = client.hello_req(HelloReq { name: "ada".into() }).await?;
//! assert_eq!(answer.greeting, "hello, ada");
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! With a `.proto` file the module is `pub mod greet { msip_runtime::include_protocol!("greet"); }`, and a build script
//! compiles the schema.
//!
//! # Main types
//!
//! | | |
//! | --- | --- |
//! | [`Server`], [`ServerBuilder`] | listens, and serves every client with one handler |
//! | [`Peer`], [`Broadcast`] | a client as the server sees it; many of them at once |
//! | [`Client`], [`ClientBuilder`] | connects, and reconnects by itself |
//! | [`BrokerConnection`] | one connection to a broker, for clients of many protocols at many topics |
//! | [`CallOptions`], [`With`] | what differs for one exchange: deadline, metadata, acknowledgment |
//! | [`Streaming`], [`Stream`] | a stream that comes in; one that goes out |
//! | [`Sender`] | an exclusive, buffered sender of many small messages |
//! | [`Status`], [`CallError`], [`SendError`] | the error that a handler answers with; why a call, or a send, failed |
//! | [`Call`], [`Metadata`] | what came with the message that a handler handles |
//! | [`auth`], [`Authenticator`] | who a client is: API keys, certificates, Unix users, or a function of your own |
//! | [`Middleware`](middleware::Middleware) | code around exchanges: roles, limits, retries, metrics |
//! | [`testing`] | handlers without a network, and both ends in one test |
//!
//! [`prelude`] has what most programs import. The traits [`Protocol`], [`Envelope`], [`Outbound`], [`OutboundAll`],
//! [`OutboundPush`], [`ServeWith`] and [`ConnectWith`] are what generated code implements and calls; programs seldom name
//! them. [`wire`] and [`transport`] are the layers below.
//!
//! # Features
//!
//! | feature | default | |
//! | --- | --- | --- |
//! | `derive` | yes | the derives [`ClientToServer`], [`ServerToClient`] and [`Message`] |
//! | `json`, `msgpack` | no | bodies in JSON and in MessagePack, besides protobuf |
//! | `gzip`, `lz4`, `zstd` | no | bodies compressed; `zstd` compiles C |
//! | `jwt` | no | the authenticator [`Jwt`](auth::Jwt); compiles C |
//! | `tls`, `tls12` | no | the transport `tls://`, with TLS 1.3, and with TLS 1.2 too; they compile C |
//! | `datagram` | no | datagrams over UDP, `udp://`, beside connections of other transports |
//! | `quic` | no | the transport `quic://`, which includes `tls` |
//! | `metrics` | no | the middleware [`Metrics`](middleware::Metrics), which measures through the facade of the crate `metrics` |
//! | `websocket` | no | the transport `ws`: WebSockets |
//! | `testing` | no | the module [`testing`], for `[dev-dependencies]` |
//!
//! # Further reading
//!
//! - [A service from beginning to end][guide]
//! - [The protocol][protocol]: what is on the wire, and what two peers promise each other
//! - [Schemas][schema]: what a schema may say, and every error of the compiler
//! - [Codecs and compression][codecs]
//! - [Metadata and middleware][middleware_page]
//! - [Operations][operations]: settings, limits, logs, metrics, shutting down
//! - [Identity][identity_page]: who is at the other end, and who may do what
//! - [Transports][transports]: URLs, and transports of your own
//! - [The untyped layer][untyped_page]: services for any protocol
//! - [Testing][testing_page]
//! - [Performance][performance]: figures beside gRPC, tarpc and plain sockets
//! - [Hostile input][hostile], and how each is handled
//! - [Comparison][comparison] with gRPC and others
//! - [Architecture][architecture]: how the code is laid out
//!
// `.ci/check_links.py` checks that these pages exist.
#![doc = concat!("[guide]: ", env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/guide.md")]
#![doc = concat!("[protocol]: ", env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/protocol.md")]
#![doc = concat!("[schema]: ", env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/schema.md")]
#![doc = concat!("[codecs]: ", env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/codecs.md")]
#![doc = concat!("[middleware_page]: ", env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/middleware.md")]
#![doc = concat!("[operations]: ", env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/operations.md")]
#![doc = concat!("[identity_page]: ", env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/identity.md")]
#![doc = concat!("[transports]: ", env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/transports.md")]
#![doc = concat!("[untyped_page]: ", env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/untyped.md")]
#![doc = concat!("[testing_page]: ", env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/testing.md")]
#![doc = concat!("[performance]: ", env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/performance.md")]
#![doc = concat!("[hostile]: ", env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/hostile.md")]
#![doc = concat!("[comparison]: ", env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/comparison.md")]
#![doc = concat!("[architecture]: ", env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/architecture.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

// What the derives write says `::msip_runtime`, in the tests of this crate too.
#[cfg(any(test, fuzzing))]
extern crate self as msip_runtime;

mod answered;
mod attach;
pub mod auth;
pub mod body;
mod call;
mod channel;
mod client;
pub mod compatibility;
mod connection;
mod decode_pool;
mod decoded_size;
mod demux;
pub mod describe;
mod dialect;
mod dispatch;
mod driver;
mod error;
mod extensions;
#[cfg(all(
    any(test, fuzzing),
    feature = "derive",
    feature = "gzip",
    feature = "json",
    feature = "lz4",
    feature = "msgpack",
    feature = "websocket",
    feature = "zstd"
))]
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod include;
mod instruments;
mod log_rate;
mod lost;
mod metadata;
pub mod middleware;
mod negotiation;
mod options;
mod outbound;
mod peer_id;
pub mod prelude;
mod protocol;
mod raw;
mod send_now;
mod sender;
mod server;
mod service;
mod settings;
mod status;
mod streaming;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transport;
pub mod untyped;
mod with;

pub use answered::{Answered, ItemStream};
#[doc(hidden)]
pub use answered::{EmptyStream, widen};
pub use attach::{AsService, AttachBuilder, AttachError, AttachedServer};
pub use body::{Codec, Compression};
pub use bytes;
pub use call::Call;
pub use channel::{Channel, ChannelError};
pub use client::{
    BrokerConnection, Client, ClientBuilder, ConnectWith, ConnectionInfo, ConnectionState,
    Credential, IntoCredential, Reconnect, ToBroker,
};
pub use compatibility::SchemaDifference;
pub use connection::{Cancellation, Draining};
#[doc(hidden)]
pub use decoded_size::{EnvelopeSizes, MessageSize};
pub use describe::proto_text;
pub use error::{CallError, CloseReason, ConnectError, DisconnectReason, SendError, Unsupported};
pub use extensions::Extensions;
pub use futures_core::Stream;
pub use identity::Identity;
pub use lost::{LostExchange, SessionLost};
pub use metadata::{Metadata, MetadataError, ResponseMetadata};
#[cfg(feature = "derive")]
#[doc(hidden)]
pub use msip_macros::__protocol;
#[cfg(feature = "derive")]
pub use msip_macros::{ClientToServer, Message, ServerToClient};
pub use msip_schema::MsgKind;
pub use msip_session::wire::{self, Code};
pub use msip_session::{Dropped, MemoryUse};
pub use options::CallOptions;
pub use outbound::{Outbound, OutboundAll, OutboundPush};
pub use peer_id::PeerId;
pub use prost;
pub use prost_types;
#[doc(hidden)]
pub use protocol::require_generation;
pub use protocol::{BodyError, Envelope, Exchange, Protocol, Variant, VariantLabel};
#[doc(hidden)]
pub use send_now::send_now;
pub use sender::{PushFramesError, Sender};
pub use server::{
    AcceptError, Acceptor, Authenticator, BindError, Broadcast, ConnectRequest, DrainReport, Peer,
    PeerConnection, ReloadError, Reloader, Room, RoomError, ServeWith, Server, ServerBuilder,
};
pub use settings::{CodecSet, CompressionSet, CompressionsFor, SchemaRule, SettingError};
pub use status::{Detail, Status};
pub use streaming::Streaming;
pub use transport::AddressOrder;
pub use with::With;
