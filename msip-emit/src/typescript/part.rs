//! The parts of a generated client beside its core.

use std::str::FromStr;

/// A part of a generated client beside its core, which [`TypeScript::without`](super::TypeScript::without) leaves out of bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// Sessions that outlive a connection. Without it what is open fails with the connection, and the next one begins another session.
    Resumption,
    /// Headers, correlation ids and the like. Without it a message carries its deadline alone.
    Metadata,
    /// Topics of a broker. Without it the client talks to servers alone.
    Topics,
    /// Settings in URLs, and several addresses in one. Without it settings are options in code alone, and a URL is that of a WebSocket.
    Urls,
    /// Messages of the server, where the schema has some. Without it they are refused.
    InboundMessages,
    /// Calls of the server, where the schema has some. Without it they are answered with `UNIMPLEMENTED`.
    InboundCalls,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Resumption,
        Self::Metadata,
        Self::Topics,
        Self::Urls,
        Self::InboundMessages,
        Self::InboundCalls,
    ];

    /// Its name in options and in TypeScript.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resumption => "resumption",
            Self::Metadata => "metadata",
            Self::Topics => "topics",
            Self::Urls => "urls",
            Self::InboundMessages => "inboundMessages",
            Self::InboundCalls => "inboundCalls",
        }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|part| part.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("a client has no part `{name}`: its parts are {names}")
        })
    }
}
