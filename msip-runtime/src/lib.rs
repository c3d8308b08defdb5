//! Typed clients and servers over a 24-byte header.
//!
//! This crate runs what `msip-codegen` generates from a schema: [`Client`] and [`Server`] with typed sends, calls and
//! handlers in both directions, over one connection. [`include_protocol!`] takes generated code in.
//!
//! Users meet, in this order: [`Server`] and [`Peer`], [`Client`], [`Status`] for what a handler answers instead of a
//! message, [`SendError`] and [`CallError`], and [`CallOptions`] for what one exchange does differently. The traits
//! [`Protocol`], [`Envelope`], [`Outbound`], [`OutboundAll`], [`OutboundPush`], [`ServeWith`] and [`ConnectWith`] are
//! what generated code is written against. [`wire`] and [`transport`] are for those who go below.

#![cfg_attr(docsrs, feature(doc_cfg))]

// What the derives write says `::msip_runtime`, in the tests of this crate too.
#[cfg(any(test, fuzzing))]
extern crate self as msip_runtime;

pub mod body;
mod call;
mod client;
mod connection;
pub mod describe;
mod dispatch;
mod driver;
mod error;
#[cfg(all(
    any(test, fuzzing),
    feature = "derive",
    feature = "gzip",
    feature = "json",
    feature = "lz4",
    feature = "msgpack",
    feature = "zstd"
))]
#[doc(hidden)]
pub mod fuzzing;
mod include;
mod lost;
mod metadata;
pub mod middleware;
mod negotiation;
mod options;
mod outbound;
mod peer_id;
mod protocol;
mod send_now;
mod sender;
mod server;
mod settings;
mod status;
mod streaming;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transport;
mod with;

pub use body::{Codec, Compression};
pub use bytes;
pub use call::Call;
pub use client::{Client, ClientBuilder, ConnectWith, ConnectionInfo, ConnectionState, Reconnect};
pub use connection::Cancellation;
pub use describe::proto_text;
pub use error::{CallError, ConnectError, DisconnectReason, SendError};
pub use futures_core::Stream;
pub use lost::{LostExchange, SessionLost};
pub use metadata::{Metadata, MetadataError, ResponseMetadata};
#[cfg(feature = "derive")]
#[doc(hidden)]
pub use msip_macros::__protocol;
#[cfg(feature = "derive")]
pub use msip_macros::{ClientToServer, Message, ServerToClient};
pub use msip_schema::MsgKind;
pub use msip_session::wire::{self, Code, Identity};
pub use msip_session::{Dropped, MemoryUse};
pub use options::CallOptions;
pub use outbound::{Outbound, OutboundAll, OutboundPush};
pub use peer_id::PeerId;
pub use prost;
pub use prost_types;
pub use protocol::{BodyError, Envelope, Exchange, Protocol, Variant, require_generation};
pub use send_now::send_now;
pub use sender::Sender;
pub use server::{
    AcceptError, Acceptor, BindError, Broadcast, DrainReport, Extensions, Peer, PeerConnection,
    ServeWith, Server, ServerBuilder,
};
pub use settings::{SchemaRule, SettingError};
pub use status::Status;
pub use streaming::{Answered, EmptyStream, ItemStream, Streaming, widen};
pub use transport::AddressOrder;
pub use with::With;
