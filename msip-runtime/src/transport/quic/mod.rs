//! The QUIC transport: `quic://host:port`. One bidirectional stream of a connection carries MSIP.

mod config;
mod connector;
mod datagrams;
mod endpoint;
mod error;
mod listener;
mod stream;
mod tasks;

use std::{io, sync::Arc};

use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig};
use tokio::net::lookup_host;

use super::{
    Address, Connector, TransportOptions, TransportSettingError, UrlError,
    incoming::BoxFuture,
    listen::BoxListen,
    scheme::{ListenError, Transport},
    tcp::{address_of, host_and_port, no_address, parse_host_port},
};
use config::{ALPN, End, accepting, transport};
use connector::QuicConnector;
use endpoint::Endpoint;
use listener::QuicListener;
use msip_session::wire::Side;

/// Those of TLS, and one of its own.
const CLIENT_SETTINGS: [&str; 5] = ["ca", "cert", "key", "server_name", "lossy"];
const SERVER_SETTINGS: [&str; 5] = ["cert", "key", "client_ca", "client_auth", "lossy"];

/// The QUIC transport.
pub(super) struct Quic;

impl Transport for Quic {
    fn scheme(&self) -> &'static str {
        "quic"
    }

    fn settings(&self, side: Side) -> &'static [&'static str] {
        match side {
            Side::Connecting => &CLIENT_SETTINGS,
            Side::Accepting => &SERVER_SETTINGS,
        }
    }

    fn parse(&self, authority: &str, _: &str) -> Result<Vec<Address>, UrlError> {
        let parse = |text| Ok(parse_host_port(text)?.with_scheme(self.scheme()));
        authority.split(',').map(parse).collect()
    }

    fn is_confidential(&self, _: &Address) -> bool {
        true
    }

    fn connector(&self, options: &TransportOptions) -> Result<Connector, TransportSettingError> {
        let has_datagrams = has_datagrams(options)?;
        let tls = options.client_tls().connector(ALPN)?;
        let crypto = QuicClientConfig::try_from(tls.config())
            .map_err(|error| no_suite("the client's", &error))?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(transport(End::Connecting, has_datagrams));
        let connector = QuicConnector::new(config, tls.server_name(), has_datagrams);
        Ok(Connector::new(connector))
    }

    fn listen<'a>(
        &'a self,
        address: &'a Address,
        options: &'a TransportOptions,
    ) -> BoxFuture<'a, Result<(BoxListen, Address), ListenError>> {
        Box::pin(async {
            let has_datagrams = has_datagrams(options)?;
            let transport = transport(End::Accepting, has_datagrams);
            let tls = options.server_tls()?.acceptor(ALPN)?;
            let config = accepting(tls.active().config(), &transport)
                .map_err(|error| no_suite("the server's", &error))?;
            let endpoint = bind(address, &config).await?;
            let listener = QuicListener::new(endpoint, tls, transport, has_datagrams)?;
            let local = address_of(listener.local()).with_scheme(self.scheme());
            Ok((BoxListen::new(listener), local))
        })
    }
}

/// A config of the user's has no cipher suite that QUIC begins with.
fn no_suite(whose: &str, error: &NoInitialCipherSuite) -> TransportSettingError {
    TransportSettingError::new("tls", whose, error)
}

/// Whether LOG and METRIC messages go by datagrams: `lossy=datagram`.
fn has_datagrams(options: &TransportOptions) -> Result<bool, TransportSettingError> {
    match options.get("lossy") {
        None | Some("stream") => Ok(false),
        Some("datagram") => Ok(true),
        Some(other) => {
            let why = "it is `stream` or `datagram`";
            Err(TransportSettingError::new("lossy", other, why))
        }
    }
}

async fn bind(address: &Address, config: &quinn::ServerConfig) -> io::Result<Endpoint> {
    let (host, port) = host_and_port(address)?;
    let mut last_error = None;
    for address in lookup_host((&*host, port)).await? {
        match Endpoint::bind(address, Some(config.clone())) {
            Ok(endpoint) => return Ok(endpoint),
            Err(error) => last_error = Some(error),
        }
    }
    Err(last_error.unwrap_or_else(|| no_address(&host)))
}
