//! The derives of MSIP: a protocol from Rust types.
//!
//! Programs use them through `msip-runtime`, which re-exports them under its feature `derive`:
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
//! The rules and the fingerprint are those of `docs/schema.md`. A derive sees only one item, so the derive of
//! `ClientToServer` passes its tokens, in a hidden macro, to that of `ServerToClient`, which writes the protocol.
//!
//! `#[deprecated]` on types, variants and fields is `deprecated` in the schema. It warns where they are used, not where they
//! are declared.

mod advice;
mod attributes;
mod case;
mod diagnose;
mod docs;
mod envelope;
mod errors;
#[cfg(test)]
mod growth;
mod message;
mod newtype;
mod numbers;
mod one_of;
mod oneof_field;
mod open_enum;
mod protocol;
mod record;
mod reserved;
mod siblings;
mod stand_in;
mod written;

use proc_macro::TokenStream;

/// The messages of a client: an enum with one variant for each. The first half of a protocol.
///
/// On the enum: `#[msip(protocol = "chat")]` names the protocol, as the package of a `.proto` file does;
/// `rename_all = "…"` changes the case in which members are named after variants (`snake_case` by default), `reserved(3,
/// 5..=7, "old_name")` keeps tags and names from being reused, `crate = "::path"` is the path of `msip-runtime`.
///
/// A variant carries one message, a type with `#[derive(Message)]`, or nothing. Each has `#[msip(tag = N)]`, its number on
/// the wire, and may have
///
/// - `name = "…"`: the member's name, which decides about pairs and kinds,
/// - `kind = EVENT`, `COMMAND`, `STATE`, `LOG` or `METRIC`,
/// - `reply = NONE`, `ACK`, `RESPONSE` or `STREAM`, and `response = "connect_rsp"`,
/// - `request = STREAM`: the request of the call is a stream,
/// - `timeout = "5s"` (`ms`, `s`, `m`, `h`) or `timeout_ms = 5000`,
/// - `urgent`, `uncompressed`, `idempotent`,
/// - `key = "vehicle_id"`: the field that tells one message of this variant from another,
/// - `code = "add"`: what peers of a dialect call it that names messages by text.
///
/// The enum with `#[derive(ServerToClient)]` follows in the same module.
#[proc_macro_derive(ClientToServer, attributes(msip))]
pub fn client_to_server(item: TokenStream) -> TokenStream {
    protocol::first_half(item.into()).into()
}

/// The messages of a server: the second half of a protocol, after the enum with `#[derive(ClientToServer)]`.
///
/// Attributes are those of `ClientToServer` except `protocol` and `crate`. It writes the protocol's
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
///   A field with `#[msip(oneof)]` in place of a tag holds an enum with data, or an `Option` of one: its variants are members of
///   this message.
/// - An enum with data is a message that holds one of its variants. Each has a tag; a unit variant with
///   `#[msip(other)]` is used for variants that only a newer peer knows.
/// - An enum without data is a number with names: `Merry = 1`. Because newer peers may know more numbers, one variant
///   has `#[msip(other)]`: `Other(i32)`, which keeps the number, or a unit variant, which replaces it.
/// - A tuple struct of one field is encoded like that field.
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
