//! The TLS of a server.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};

use tokio_rustls::{
    TlsAcceptor as RustlsAcceptor,
    rustls::{
        HandshakeKind, KeyLogFile, ServerConfig, ServerConnection,
        crypto::ring::Ticketer,
        pki_types::{CertificateDer, UnixTime},
        server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    },
};

use super::{
    BESIDE_CONFIG, Pem,
    certificate_names::credential,
    error, failed,
    provider::{VERSIONS, provider},
    stream::{BUFFER_LEN, FirstBytes, TlsStream},
};
use crate::transport::{Io, PeerCredential, TransportSettingError};

/// Whether a server asks its clients for certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAuth {
    /// It does not (`none`).
    None,
    /// It does, and serves clients without one as well (`ask`). One that is shown has to be valid.
    Ask,
    /// It does, and refuses clients without one (`require`).
    Require,
}

/// The TLS of a server: its certificate, and whom it lets in. For [`ServerBuilder::tls`](crate::ServerBuilder::tls).
///
/// Settings of the URL (`cert`, `key`, `client_ca`, `client_auth`) take precedence.
/// [`reload_tls`](crate::Server::reload_tls) reads files again.
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
/// use msip_runtime::{Server, transport::{Pem, ServerTls}};
///
/// # async fn bind() -> Result<(), msip_runtime::BindError> {
/// let tls = ServerTls::new(Pem::file("certs/server.pem"), Pem::file("certs/server.key"))
///     .client_ca(Pem::file("certs/ca.pem"));
/// let server = Server::<chat::Chat>::builder("tls://0.0.0.0:7400").tls(tls).bind().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct ServerTls {
    cert: Option<Pem>,
    key: Option<Pem>,
    client_ca: Option<Pem>,
    client_auth: Option<ClientAuth>,
    logs_keys: bool,
    config: Option<MakeConfig>,
}

/// Makes a rustls config of the user's own.
#[derive(Clone)]
struct MakeConfig(Arc<dyn Fn() -> io::Result<Arc<ServerConfig>> + Send + Sync>);

impl fmt::Debug for MakeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MakeConfig")
    }
}

impl ServerTls {
    /// Shows this certificate, which is followed by those in between, and has this private key. As the settings `cert` and
    /// `key`.
    #[must_use]
    pub fn new(certificates: Pem, key: Pem) -> Self {
        Self {
            cert: Some(certificates),
            key: Some(key),
            ..Self::default()
        }
    }

    /// Has rustls do as the config says that `make` returns, which is called when the server listens and at each
    /// [`reload_tls`](crate::Server::reload_tls). Where a config names no application protocols (ALPN), the transport's
    /// is put in.
    ///
    /// A config should have a ticketer or a session cache of its own each time. Whether a client's certificate is still
    /// valid is not checked again where its TLS session is resumed, as it is with the other constructor.
    pub fn from_rustls(
        make: impl Fn() -> io::Result<Arc<ServerConfig>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            config: Some(MakeConfig(Arc::new(make))),
            ..Self::default()
        }
    }

    /// Asks clients for certificates that were issued by one of these, and requires them unless
    /// [`client_auth`](Self::client_auth) says otherwise. As the setting `client_ca`.
    #[must_use]
    pub fn client_ca(mut self, certificates: Pem) -> Self {
        self.client_ca = Some(certificates);
        self
    }

    /// Whether clients are asked for certificates. As the setting `client_auth`. Default: [`ClientAuth::Require`] with a
    /// [`client_ca`](Self::client_ca), else [`ClientAuth::None`].
    #[must_use]
    pub fn client_auth(mut self, client_auth: ClientAuth) -> Self {
        self.client_auth = Some(client_auth);
        self
    }

    /// As [`ClientTls::log_keys`](super::ClientTls::log_keys).
    #[must_use]
    pub fn log_keys(mut self) -> Self {
        self.logs_keys = true;
        self
    }

    /// The same with the settings of a URL over it.
    pub(crate) fn with_settings<'a>(
        self,
        get: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Self, TransportSettingError> {
        let mut tls = self;
        if let Some(path) = get("cert") {
            tls.cert = Some(Pem::file(path));
        }
        if let Some(path) = get("key") {
            tls.key = Some(Pem::file(path));
        }
        if let Some(path) = get("client_ca") {
            tls.client_ca = Some(Pem::file(path));
        }
        if let Some(text) = get("client_auth") {
            tls.client_auth = Some(match text {
                "none" => ClientAuth::None,
                "ask" => ClientAuth::Ask,
                "require" => ClientAuth::Require,
                _ => {
                    let why = "it is `none`, `ask` or `require`";
                    return Err(TransportSettingError::new("client_auth", text, why));
                }
            });
        }
        Ok(tls)
    }

    /// Reads the files. `alpn` is the application protocol that is spoken; empty for none.
    pub(crate) fn acceptor(
        self,
        alpn: &'static [u8],
    ) -> Result<TlsAcceptor, TransportSettingError> {
        let active = self.load(alpn)?;
        Ok(TlsAcceptor {
            tls: self,
            alpn,
            active: Mutex::new(Arc::new(active)),
        })
    }

    fn load(&self, alpn: &[u8]) -> Result<Active, TransportSettingError> {
        let (mut config, verifier) = match &self.config {
            Some(make) => (self.raw_config(make)?, None),
            None => self.own_config()?,
        };
        // An empty list takes whatever a client offers; one with an empty name refuses all who offer something.
        if config.alpn_protocols.is_empty() && !alpn.is_empty() {
            config.alpn_protocols = vec![alpn.to_vec()];
        }
        if self.logs_keys {
            config.key_log = Arc::new(KeyLogFile::new());
        }
        Ok(Active {
            config: Arc::new(config),
            verifier,
        })
    }

    fn raw_config(&self, make: &MakeConfig) -> Result<ServerConfig, TransportSettingError> {
        let files = [
            ("cert", &self.cert),
            ("key", &self.key),
            ("client_ca", &self.client_ca),
        ];
        for (name, pem) in files {
            if let Some(pem) = pem {
                return Err(pem.error(name, BESIDE_CONFIG));
            }
        }
        let config = make.0().map_err(|error| failed("tls", "the builder's", &error))?;
        Ok((*config).clone())
    }

    fn own_config(&self) -> Result<OwnConfig, TransportSettingError> {
        let missing = |name| TransportSettingError::new(name, "", "a server over TLS needs one");
        let cert = self.cert.as_ref().ok_or_else(|| missing("cert"))?;
        let key = self.key.as_ref().ok_or_else(|| missing("key"))?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .map_err(|error| failed("cert", cert, &error))?;
        let verifier = self.client_verifier()?;
        let builder = match &verifier {
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(cert.certificates("cert")?, key.private_key("key")?)
            .map_err(|error| failed("key", key, &error))?;
        // Clients keep their sessions, sealed by a key that is made here and changed every few hours. Another config,
        // with another `client_ca`, has another key.
        config.ticketer = Ticketer::new().map_err(|error| failed("cert", cert, &error))?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 1;
        Ok((config, verifier))
    }

    fn client_verifier(
        &self,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, TransportSettingError> {
        let client_auth = self.client_auth.unwrap_or(match self.client_ca {
            Some(_) => ClientAuth::Require,
            None => ClientAuth::None,
        });
        if client_auth == ClientAuth::None {
            return Ok(None);
        }
        let client_ca = self.client_ca.as_ref().ok_or_else(|| {
            TransportSettingError::new("client_ca", "", "`client_auth` asks for certificates of it")
        })?;
        let roots = Arc::new(client_ca.roots("client_ca")?);
        let mut builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
        if client_auth == ClientAuth::Ask {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder
            .build()
            .map_err(|error| failed("client_ca", client_ca, &error))?;
        Ok(Some(verifier))
    }
}

type OwnConfig = (ServerConfig, Option<Arc<dyn ClientCertVerifier>>);

/// Makes TLS connections out of accepted ones.
#[derive(Debug)]
pub(crate) struct TlsAcceptor {
    tls: ServerTls,
    alpn: &'static [u8],
    active: Mutex<Arc<Active>>,
}

impl TlsAcceptor {
    /// What the next connection is accepted with.
    pub(crate) fn active(&self) -> Arc<Active> {
        // Nothing panics while it holds the lock.
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&active)
    }

    /// Reads the files again. Where that fails, all stays as it is.
    pub(crate) fn reload(&self) -> Result<(), TransportSettingError> {
        let active = Arc::new(self.tls.load(self.alpn)?);
        *self.active.lock().unwrap_or_else(PoisonError::into_inner) = active;
        Ok(())
    }
}

/// The certificate and the rules of a server, as they were read last.
#[derive(Debug)]
pub(crate) struct Active {
    config: Arc<ServerConfig>,
    /// Verifies the certificates of clients; `None` where they are not asked for one, or by a config of the user's.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

impl Active {
    /// Speaks TLS over `stream`, and returns who the client is. Errors are in words for the log.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the stream.
    pub(crate) async fn accept<S: Io>(
        &self,
        stream: S,
    ) -> io::Result<(TlsStream<S>, PeerCredential)> {
        let acceptor = RustlsAcceptor::from(Arc::clone(&self.config));
        let accepting = acceptor.accept_with(FirstBytes::new(stream), |connection| {
            connection.set_buffer_limit(Some(BUFFER_LEN));
        });
        match accepting.into_fallible().await {
            Ok(stream) => {
                let credential = self.credential(stream.get_ref().1)?;
                Ok((TlsStream::new(stream), credential))
            }
            Err((error, mut stream)) => {
                stream.close().await;
                Err(error::of_server(error, stream.first()))
            }
        }
    }

    fn credential(&self, connection: &ServerConnection) -> io::Result<PeerCredential> {
        let certificates = connection.peer_certificates().unwrap_or_default();
        let is_resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        self.credential_of(certificates, is_resumed)
    }

    /// Who has shown these certificates. Where the TLS session was resumed, or may have been, they come from the ticket, and
    /// were verified when that was made.
    pub(crate) fn credential_of(
        &self,
        certificates: &[CertificateDer<'_>],
        is_resumed: bool,
    ) -> io::Result<PeerCredential> {
        let [certificate, between @ ..] = certificates else {
            return Ok(PeerCredential::None);
        };
        if is_resumed && let Some(verifier) = &self.verifier {
            let verified = verifier.verify_client_cert(certificate, between, UnixTime::now());
            verified.map_err(|error| {
                let error = io::Error::new(io::ErrorKind::InvalidData, error);
                error::of_server(error, &[])
            })?;
        }
        credential(certificate)
    }

    /// What is said in the handshake, for QUIC.
    #[cfg(feature = "quic")]
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}
