//! The derives of MSIP: a protocol from Rust types.
//!
//! Programs take them from `msip-runtime`, which re-exports them under its feature `derive`:
//!
//! ```ignore
//! use msip_runtime::{ClientToServer, Message, ServerToClient};
//!
//! #[derive(Debug, Clone, PartialEq, ClientToServer)]
//! #[msip(protocol = "chat")]
//! pub enum ClientToServer {
//!     #[msip(tag = 1, timeout = "5s")]
//!     ConnectReq(ConnectReq),
//!     #[msip(tag = 2)]
//!     MessageInd(MessageInd),
//! }
//!
//! #[derive(Debug, Clone, PartialEq, ServerToClient)]
//! pub enum ServerToClient {
//!     #[msip(tag = 1)]
//!     ConnectRsp(ConnectRsp),
//!     #[msip(tag = 2)]
//!     MessageInd(MessageInd),
//! }
//!
//! #[derive(Debug, Clone, PartialEq, Message)]
//! pub struct ConnectReq {
//!     #[msip(tag = 1)]
//!     pub user: String,
//! }
//! ```
//!
//! The rules are those of `docs/schema.md`, and so is the fingerprint. A derive sees one item only, so the derive of
//! `ClientToServer` hands its tokens on, in a hidden macro, to that of `ServerToClient`, which writes the protocol.

mod advice;
mod attributes;
mod case;
mod diagnose;
mod docs;
mod envelope;
mod errors;
mod message;
mod newtype;
mod numbers;
mod one_of;
mod open_enum;
mod protocol;
mod record;

use proc_macro::TokenStream;

/// What a client may say: an enum with one variant for each message. The first half of a protocol.
///
/// On the enum: `#[msip(protocol = "chat")]` names the protocol, as the package of a `.proto` file does;
/// `rename_all = "…"` changes how members are named after variants (`snake_case` unless told), `reserved(3, 5..=7,
/// "old_name")` keeps what is no longer used from being used again, `crate = "::path"` tells where `msip-runtime` is.
///
/// A variant carries one message, a type with `#[derive(Message)]`, or nothing. Each has `#[msip(tag = N)]`, its number on
/// the wire, and may have
///
/// - `name = "…"`: the member's name, by which pairs and kinds go,
/// - `kind = EVENT`, `COMMAND`, `STATE`, `LOG` or `METRIC`,
/// - `reply = NONE`, `ACK`, `RESPONSE` or `STREAM`, and `response = "connect_rsp"`,
/// - `request = STREAM`: the request of the call is a stream,
/// - `timeout = "5s"` (`ms`, `s`, `m`, `h`) or `timeout_ms = 5000`,
/// - `urgent`, `uncompressed`, `idempotent`,
/// - `key = "vehicle_id"`.
///
/// The enum with `#[derive(ServerToClient)]` follows in the same module.
#[proc_macro_derive(ClientToServer, attributes(msip))]
pub fn client_to_server(item: TokenStream) -> TokenStream {
    protocol::first_half(item.into()).into()
}

/// What a server may say: the second half of a protocol, behind the enum with `#[derive(ClientToServer)]`.
///
/// Attributes are those of `ClientToServer`, but for `protocol` and `crate`. Beside the enums it writes the protocol's
/// type (`Chat` for `chat`) and the traits `SendClientToServer`, `PushClientToServer`, `HandleClientToServer`,
/// `SendServerToClient`, `PushServerToClient`, `BroadcastServerToClient` and `HandleServerToClient`, as `msip-codegen` does for a `.proto` file.
#[proc_macro_derive(ServerToClient, attributes(msip))]
pub fn server_to_client(item: TokenStream) -> TokenStream {
    protocol::second_half(item.into()).into()
}

/// A message, or a type that messages are made of.
///
/// - A struct with named fields is a message. Each field has `#[msip(tag = N)]`, and may have `name = "…"` and
///   `as = "sint32"` (or `sint64`, `fixed32`, `fixed64`, `sfixed32`, `sfixed64`; `map<sint32, fixed64>` for a map).
/// - An enum with data is a message that holds one of its variants. Each has a tag; a unit variant with
///   `#[msip(other)]` stands for those that a newer peer may know.
/// - An enum without data is a number with names: `Merry = 1`. Because newer peers may know more numbers, one variant
///   has `#[msip(other)]`: `Other(i32)`, which keeps the number, or a unit variant, which takes the place of it.
/// - A tuple struct of one field is that field.
///
/// On the type: `name = "…"`, `rename_all = "…"`, `reserved(…)`, `crate = "::path"`.
#[proc_macro_derive(Message, attributes(msip))]
pub fn message(item: TokenStream) -> TokenStream {
    message::derive(item.into()).into()
}

/// Writes a protocol from the tokens of both halves.
#[doc(hidden)]
#[proc_macro]
pub fn __protocol(halves: TokenStream) -> TokenStream {
    protocol::whole(halves.into()).into()
}
