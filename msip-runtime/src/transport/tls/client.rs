//! The TLS of a client.

use std::{io, sync::Arc};

use tokio_rustls::{
    TlsConnector as RustlsConnector,
    rustls::{ClientConfig, KeyLogFile, client::Resumption, pki_types::ServerName},
};

use super::{
    Pem, error, failed,
    provider::{VERSIONS, platform_verifier, provider},
    stream::{BUFFER_LEN, FirstBytes, TlsStream},
};
use crate::transport::{Io, TransportSettingError};

/// How many sessions are remembered for faster handshakes; one for each server would do.
const MAX_SESSIONS: usize = 32;

/// The TLS of a client: whom it trusts, and who it is. For [`ClientBuilder::tls`](crate::ClientBuilder::tls).
///
/// The server's certificate has to be valid for the name that is connected to. Without [`ca`](Self::ca) it has to be issued
/// by an authority that the platform trusts. Settings of the URL (`ca`, `cert`, `key`, `server_name`) take precedence.
/// Files are read once, when the client is built.
///
/// # Examples
///
/// ```
/// # mod chat {
/// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
/// #     #[derive(ClientToServer)]
/// #     #[msip(protocol = "chat")]
/// #     pub enum ClientToServer { #[msip(tag = 1)] SayInd(SayInd) }
/// #     #[derive(ServerToClient)]
/// #     pub enum ServerToClient { #[msip(tag = 1)] SaidInd(SayInd) }
/// #     #[derive(Message)]
/// #     pub struct SayInd { #[msip(tag = 1)] pub text: String }
/// # }
/// use msip_runtime::{Client, transport::{ClientTls, Pem}};
///
/// # async fn connect() -> Result<(), msip_runtime::ConnectError> {
/// let tls = ClientTls::new()
///     .ca(Pem::file("certs/ca.pem"))
///     .identity(Pem::file("certs/client.pem"), Pem::file("certs/client.key"));
/// let client = Client::<chat::Chat>::builder("tls://chat.example.org:7400")
///     .tls(tls)
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct ClientTls {
    ca: Option<Pem>,
    cert: Option<Pem>,
    key: Option<Pem>,
    server_name: Option<String>,
    logs_keys: bool,
    config: Option<Arc<ClientConfig>>,
}

impl ClientTls {
    /// Trusts whom the platform trusts, and has no certificate of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Has rustls do as `config` says. Where that names no application protocols (ALPN), the transport's is put in.
    #[must_use]
    pub fn from_rustls(config: Arc<ClientConfig>) -> Self {
        Self {
            config: Some(config),
            ..Self::default()
        }
    }

    /// Trusts certificates that were issued by one of these, instead of those that the platform trusts. As the setting `ca`.
    #[must_use]
    pub fn ca(mut self, certificates: Pem) -> Self {
        self.ca = Some(certificates);
        self
    }

    /// The certificate that the client shows where a server asks for one, followed by those in between, and its private key.
    /// As the settings `cert` and `key`.
    #[must_use]
    pub fn identity(mut self, certificates: Pem, key: Pem) -> Self {
        self.cert = Some(certificates);
        self.key = Some(key);
        self
    }

    /// The name for which the server's certificate has to be valid, rather than the host of the URL: a DNS name, or an IP
    /// address. As the setting `server_name`.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Appends the keys of every connection to the file that the environment variable `SSLKEYLOGFILE` names, with which
    /// others can read what was sent: for debugging. Without this call the variable has no effect.
    #[must_use]
    pub fn log_keys(mut self) -> Self {
        self.logs_keys = true;
        self
    }

    /// The same with the settings of a URL over it.
    pub(crate) fn with_settings<'a>(self, get: impl Fn(&str) -> Option<&'a str>) -> Self {
        let mut tls = self;
        if let Some(path) = get("ca") {
            tls.ca = Some(Pem::file(path));
        }
        if let Some(path) = get("cert") {
            tls.cert = Some(Pem::file(path));
        }
        if let Some(path) = get("key") {
            tls.key = Some(Pem::file(path));
        }
        if let Some(name) = get("server_name") {
            tls.server_name = Some(name.to_owned());
        }
        tls
    }

    /// Reads the files. `alpn` is the application protocol that is offered; empty for none.
    pub(crate) fn connector(&self, alpn: &[u8]) -> Result<TlsConnector, TransportSettingError> {
        let server_name = self.server_name.as_deref().map(parse_name).transpose()?;
        let mut config = match &self.config {
            Some(config) => self.raw_config(config)?,
            None => self.own_config()?,
        };
        if config.alpn_protocols.is_empty() && !alpn.is_empty() {
            config.alpn_protocols = vec![alpn.to_vec()];
        }
        if self.logs_keys {
            config.key_log = Arc::new(KeyLogFile::new());
        }
        Ok(TlsConnector {
            config: Arc::new(config),
            server_name,
        })
    }

    fn raw_config(&self, config: &ClientConfig) -> Result<ClientConfig, TransportSettingError> {
        for (name, pem) in [("ca", &self.ca), ("cert", &self.cert), ("key", &self.key)] {
            if let Some(pem) = pem {
                return Err(pem.error(name, super::BESIDE_CONFIG));
            }
        }
        Ok(config.clone())
    }

    fn own_config(&self) -> Result<ClientConfig, TransportSettingError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .map_err(|error| failed("ca", "", &error))?;
        let builder = match &self.ca {
            Some(ca) => builder.with_root_certificates(ca.roots("ca")?),
            None => {
                let verifier = platform_verifier().map_err(|error| {
                    let why = format!("{error}: name the authority's certificate");
                    TransportSettingError::new("ca", "", why)
                })?;
                builder
                    // It verifies as any other; only that it is not rustls' own is dangerous, to rustls.
                    .dangerous()
                    .with_custom_certificate_verifier(verifier)
            }
        };
        let mut config = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => builder
                .with_client_auth_cert(cert.certificates("cert")?, key.private_key("key")?)
                .map_err(|error| failed("key", key, &error))?,
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), None) => return Err(cert.error("cert", "its `key` is missing")),
            (None, Some(key)) => return Err(key.error("key", "its `cert` is missing")),
        };
        config.resumption = Resumption::in_memory_sessions(MAX_SESSIONS);
        Ok(config)
    }
}

fn parse_name(name: &str) -> Result<ServerName<'static>, TransportSettingError> {
    ServerName::try_from(name.to_owned()).map_err(|_| {
        TransportSettingError::new("server_name", name, "it is no DNS name and no IP address")
    })
}

/// Makes TLS connections out of others, for one client.
#[derive(Debug)]
pub(crate) struct TlsConnector {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

#[cfg(feature = "quic")]
impl TlsConnector {
    /// What is said in the handshake, for QUIC.
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// The name for which the server's certificate has to be valid, where that is not the host's.
    pub(crate) fn server_name(&self) -> Option<String> {
        let name = self.server_name.as_ref()?;
        Some(name.to_str().into_owned())
    }
}

impl TlsConnector {
    /// Speaks TLS over `stream` to the server of this host, a DNS name or an IP address. Errors of TLS are
    /// [`TlsError`](super::TlsError)s in the [`io::Error`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the stream.
    pub(crate) async fn connect<S: Io>(&self, stream: S, host: &str) -> io::Result<TlsStream<S>> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            // The zone of an IPv6 address is a matter of this machine.
            None => parse_name(host.split('%').next().unwrap_or(host))?,
        };
        let connector = RustlsConnector::from(Arc::clone(&self.config));
        let connecting = connector.connect_with(name, FirstBytes::new(stream), |connection| {
            connection.set_buffer_limit(Some(BUFFER_LEN));
        });
        match connecting.into_fallible().await {
            Ok(stream) => Ok(TlsStream::new(stream)),
            Err((error, mut stream)) => {
                stream.close().await;
                Err(error::of_client(error, stream.first(), true))
            }
        }
    }
}
