//! The untyped layer: exchanges whose bodies are bytes and whose variants are numbers.
//!
//! Programs that serve any protocol are built on it: brokers, gateways, recorders, command line tools. It has every shape of
//! exchange, and what the session promises holds here too: order, credit, resumption, one answer for each call. What it does
//! not have is what a schema knows: which kind, deadline and answer a variant has comes from a [`VariantTable`], or from the
//! other end.
//!
//! - [`Service`] consumes what a session receives, from an [`Inbound`]: one-way messages that were read together as
//!   [`Messages`], all else as an [`UntypedExchange`] with a [`Responder`].
//! - [`Handle`] sends [`UntypedMessage`]s: one-way, for acknowledgment, as calls, with streams either way.
//! - [`UntypedServer`] offers protocols by name, or any; [`ServerBuilder::untyped`](crate::ServerBuilder::untyped) adds one to a typed
//!   server. [`UntypedClient`] connects with a name and a fingerprint.
//!
//! - `JsonTranslator` (feature `json`) turns bodies into JSON and back, by descriptors that are read while the program runs.
//! - [`Handoff`] serves whole connections of peers that speak something else, at the same port.
//!
//! **This module is less stable than the typed API**: a minor version may change it.
//!
//! # Codecs, compression, topics
//!
//! A body is in the codec of the connection that it came by, and is neither read nor changed. A compressed one stays compressed as
//! long as it is not decoded. A message can have a topic; a direct server refuses topics. A client of a broker
//! [subscribes](UntypedClient::subscribe) to them; a server whose protocol was given
//! [topics](UntypedProtocol::with_topics) is such a broker.

#[cfg(feature = "json")]
pub use crate::body::json_message::{JsonError, JsonMessage, JsonTranslator};
pub use crate::body::key::key_of_member;
pub use crate::client::{Ignore, UntypedClient, UntypedService};
pub use crate::connection::CallPermit;
pub use crate::raw::{
    Acknowledgment, CallToRelay, Event, Forwarded, Grant, Handle, IdleInbound, Inbound, MessageRef,
    Messages, PendingDelivery, PlainCall, Relayed, RelayedCall, Reply, Requests, Responder,
    Responses, Service, SubscribeOptions, SubscribeRequest, Subscribed, Untyped, UntypedExchange,
    UntypedMessage, UntypedPeer, UntypedSender, VariantRow, VariantTable, decompress, relay,
};
pub use crate::server::{HandedOff, Handoff, HandoffPermit, UntypedProtocol, UntypedServer};
