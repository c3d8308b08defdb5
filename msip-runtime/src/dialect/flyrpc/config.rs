//! What the URL of a client or a listener says.

use std::sync::{Arc, OnceLock};

use msip_session::wire::{Hello, SessionId, Side};

use super::{Codes, FlyRpc, FlyRpcConfig};
use crate::{
    SettingError,
    body::{Codec, Negotiable as _},
    dialect::DialectProtocol,
    settings::{self, Settings},
    transport::{ServiceUrl, TransportOptions},
};

/// How messages are encoded unless it is said.
const DEFAULT_CODEC: Codec = Codec::Json;

/// What a client is told.
#[derive(Debug, Clone)]
pub(crate) struct ClientConfig {
    pub(crate) codec: Codec,
    max_body: usize,
    max_calls: usize,
    /// Made for the first connection.
    codes: OnceLock<Arc<Codes>>,
}

impl ClientConfig {
    pub(crate) fn of(url: &ServiceUrl, settings: &Settings) -> Self {
        let is_said = |(name, _): &(String, String)| name == Codec::SETTING;
        let is_default = settings.codec == Codec::default() && !url.settings().iter().any(is_said);
        Self {
            codec: if is_default {
                DEFAULT_CODEC
            } else {
                settings.codec
            },
            max_body: settings.max_body,
            max_calls: settings.max_calls,
            codes: OnceLock::new(),
        }
    }

    /// For a new connection.
    pub(crate) fn client(&self, protocol: &DialectProtocol) -> FlyRpc {
        FlyRpc::connecting(FlyRpcConfig {
            codes: codes(&self.codes, protocol, Side::Connecting),
            codec: self.codec,
            max_body: self.max_body,
            max_calls: self.max_calls,
        })
    }
}

/// What a listener is told.
#[derive(Debug)]
pub(crate) struct ServerConfig {
    codec: Codec,
    /// Made for the first connection.
    codes: OnceLock<Arc<Codes>>,
}

impl ServerConfig {
    /// # Errors
    ///
    /// The codec is none, is not built in, or is not among those of the server.
    pub(crate) fn of(
        options: &TransportOptions,
        settings: &Settings,
    ) -> Result<Self, SettingError> {
        let name = Codec::SETTING;
        let codec = match options.get(name) {
            Some(value) => settings::codec(name, value)?,
            None => DEFAULT_CODEC,
        };
        if !settings.codecs.contains(codec) {
            let other = "codecs";
            return Err(SettingError::Conflict { name, other });
        }
        Ok(Self {
            codec,
            codes: OnceLock::new(),
        })
    }

    /// For a connection that was accepted, of a client that says this HELLO.
    pub(crate) fn server(
        &self,
        protocol: &DialectProtocol,
        max_body: usize,
        client: (SessionId, Hello),
    ) -> FlyRpc {
        let config = FlyRpcConfig {
            codes: codes(&self.codes, protocol, Side::Accepting),
            codec: self.codec,
            max_body,
            // The session of a server says it in its Welcome.
            max_calls: 0,
        };
        FlyRpc::accepting(config, client)
    }
}

fn codes(made: &OnceLock<Arc<Codes>>, protocol: &DialectProtocol, side: Side) -> Arc<Codes> {
    Arc::clone(made.get_or_init(|| Arc::new(Codes::of(protocol, side))))
}
