//! The prelude: what programs that serve or call a protocol import most.
//!
//! ```
//! use msip_runtime::prelude::*;
//! ```
//!
//! It has the two ends ([`Client`], [`Server`] and [`Peer`]), what appears in the signatures of handler methods
//! ([`Status`], [`Streaming`], [`Stream`], [`DisconnectReason`], [`ConnectError`] and [`Reconnect`]), the errors of sends and
//! calls, and [`CallOptions`]. It has none of the names that are generated from a schema, so the two can be imported side by
//! side; where a message of yours has a name of the prelude, import the message by name, which takes precedence over
//! a glob. The traits with the methods themselves (`SendClientToServer`, `HandleClientToServer` …) are generated, and belong
//! to the protocol's own module.

pub use crate::{
    CallError, CallOptions, Client, Code, ConnectError, DisconnectReason, Peer, Reconnect,
    SendError, Server, Status, Stream, Streaming,
};
