//! The Messi dialect (docs/protocol.md, "The Messi dialect").
//!
//! Messi has both directions of a schema, and a keepalive. Its body is the envelope of MSIP. It has no ids: a message that answers a
//! question is a message like any other, so that answers are tied to questions by their order, one row for each variant that
//! answers.

mod client;
mod config;
mod envelope;
mod exchanges;
mod frame;
mod questions;
mod server;

use super::{Carries, Feature};

pub(crate) use client::MessiClient;
pub(crate) use config::{ClientConfig, ServerConfig};
pub(super) use frame::MAX_PAYLOAD;
pub(crate) use server::MessiServer;

const NAME: &str = "Messi";

/// What a client lacks that speaks to a server of Messi. A deadline ends the waiting here; what only observes is left out: a
/// correlation id, a trace context.
pub(super) static TO_SERVERS: Carries = Carries {
    dialect: NAME,
    lacks: &[
        Feature::Acknowledgments,
        Feature::Streams,
        Feature::Headers,
        Feature::Keys,
        Feature::Clearing,
        Feature::Topics,
        Feature::Groups,
        Feature::Wildcards,
        Feature::Grants,
        Feature::SubscribedProtocols,
        Feature::PingPayloads,
        Feature::Endpoints,
        Feature::Credentials,
        Feature::Channels,
        Feature::Compression,
        Feature::Codecs,
        Feature::Untyped,
        Feature::NulText,
    ],
};

/// The same of a server that speaks to clients of Messi, which are never pinged.
pub(super) static TO_CLIENTS: Carries = Carries {
    dialect: NAME,
    lacks: &[
        Feature::Acknowledgments,
        Feature::Streams,
        Feature::Headers,
        Feature::Keys,
        Feature::Clearing,
        Feature::Topics,
        Feature::Pings,
        Feature::PingPayloads,
        Feature::Channels,
        Feature::NulText,
    ],
};

#[cfg(feature = "derive")]
#[cfg(test)]
mod tests;
