//! How the bytes travel: by TCP alone, or by TLS or a WebSocket over it, driven by hand.

use std::{fs, io, sync::Arc};

use msip_load::{Certificate, Failure};
use tokio::{
    io::{AsyncRead, AsyncWrite, split},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        client::Resumption,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
        version::TLS13,
    },
};
use tokio_tungstenite::{
    accept_async_with_config, client_async_with_config, tungstenite::protocol::WebSocketConfig,
};

use super::websocket::WebSocket;

/// How bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// A socket.
    Tcp,
    /// tokio-rustls, whose clients resume the TLS sessions of before.
    Tls,
    /// The same with a whole handshake each time.
    TlsAnew,
    /// tokio-tungstenite.
    WebSocket,
}

/// A stream of bytes.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The ends of a stream.
pub(super) type Reader = Box<dyn AsyncRead + Send + Unpin>;
/// See [`Reader`].
pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// The server that a client connects to.
pub(super) struct Server {
    way: Way,
    port: u16,
    tls: Option<TlsConnector>,
}

impl Server {
    pub(super) fn new(way: Way, port: u16) -> Result<Self, Failure> {
        let tls = match way {
            Way::Tls => Some(trusting(port, true)?.into()),
            Way::TlsAnew => Some(trusting(port, false)?.into()),
            Way::Tcp | Way::WebSocket => None,
        };
        Ok(Self { way, port, tls })
    }

    pub(super) async fn connect(&self) -> Result<Box<dyn Io>, Failure> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        if let Some(tls) = &self.tls {
            let name = ServerName::try_from("localhost").map_err(Failure::library)?;
            return Ok(Box::new(tls.connect(name, stream).await?));
        }
        match self.way {
            Way::WebSocket => {
                let url = format!("ws://127.0.0.1:{}/", self.port);
                let connecting = client_async_with_config(url, stream, Some(settings()));
                let (socket, _) = connecting.await.map_err(Failure::library)?;
                Ok(Box::new(WebSocket::new(socket)))
            }
            Way::Tcp | Way::Tls | Way::TlsAnew => Ok(Box::new(stream)),
        }
    }
}

/// Trusts the server at this port, and resumes its sessions or not.
pub(crate) fn trusting(port: u16, resumes: bool) -> Result<Arc<ClientConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    let shown = fs::read(Certificate::shown(port))?;
    let certificate = CertificateDer::from_pem_slice(&shown).map_err(Failure::library)?;
    roots.add(certificate).map_err(Failure::library)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(Failure::library)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    if !resumes {
        config.resumption = Resumption::disabled();
    }
    Ok(Arc::new(config))
}

/// Where a server accepts connections.
pub(super) struct Listener {
    way: Way,
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
    /// Shown to clients until this is dropped.
    _certificate: Option<Certificate>,
}

impl Listener {
    pub(super) async fn bind(way: Way) -> Result<Self, Failure> {
        let tcp = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (mut tls, mut certificate) = (None, None);
        if matches!(way, Way::Tls | Way::TlsAnew) {
            let mut own = Certificate::new()?;
            own.show(tcp.local_addr()?.port())?;
            tls = Some(acceptor(&own)?);
            certificate = Some(own);
        }
        Ok(Self {
            way,
            tcp,
            tls,
            _certificate: certificate,
        })
    }

    pub(super) fn port(&self) -> io::Result<u16> {
        Ok(self.tcp.local_addr()?.port())
    }

    /// The next connection, whose handshake is made by [`Accepted::open`].
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        let (stream, _) = self.tcp.accept().await?;
        stream.set_nodelay(true)?;
        Ok(Accepted {
            way: self.way,
            stream,
            tls: self.tls.clone(),
        })
    }
}

/// A connection that was accepted.
pub(super) struct Accepted {
    way: Way,
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
}

impl Accepted {
    pub(super) async fn open(self) -> Result<(Reader, Writer), Failure> {
        if let Some(tls) = self.tls {
            let (reader, writer) = split(tls.accept(self.stream).await?);
            return Ok((Box::new(reader), Box::new(writer)));
        }
        match self.way {
            Way::WebSocket => {
                let accepting = accept_async_with_config(self.stream, Some(settings()));
                let socket = WebSocket::new(accepting.await.map_err(Failure::library)?);
                let (reader, writer) = split(socket);
                Ok((Box::new(reader), Box::new(writer)))
            }
            Way::Tcp | Way::Tls | Way::TlsAnew => {
                let (reader, writer) = self.stream.into_split();
                Ok((Box::new(reader), Box::new(writer)))
            }
        }
    }
}

fn acceptor(certificate: &Certificate) -> Result<TlsAcceptor, Failure> {
    let chain = CertificateDer::from_pem_slice(certificate.certificate().as_bytes());
    let key = PrivateKeyDer::from_pem_slice(certificate.key().as_bytes());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(Failure::library)?
        .with_no_client_auth()
        .with_single_cert(
            vec![chain.map_err(Failure::library)?],
            key.map_err(Failure::library)?,
        )
        .map_err(Failure::library)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Buffers that are as large as those of the other ways.
fn settings() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(256 * 1024)
        .write_buffer_size(128 * 1024)
}
