//! TLS.

use std::{fmt, io, path::Path, sync::Arc};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{net::TcpStream, sync::watch};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring},
    server::TlsStream,
};

use super::listen_url::TlsFiles;

/// Makes TLS connections of accepted ones. Clones share the certificates.
#[derive(Clone)]
pub(crate) struct Acceptor {
    files: TlsFiles,
    /// Replaced where the files are read again.
    current: watch::Sender<TlsAcceptor>,
}

impl Acceptor {
    /// Reads the certificates and the key.
    pub(super) fn load(files: &TlsFiles) -> io::Result<Self> {
        Ok(Self {
            files: files.clone(),
            current: watch::Sender::new(read(files)?),
        })
    }

    /// Reads the files again, for the connections that are accepted from now on. Where they are wrong, nothing changes.
    pub(super) fn reload(&self) -> io::Result<()> {
        self.current.send_replace(read(&self.files)?);
        Ok(())
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let acceptor = self.current.borrow().clone();
        acceptor.accept(stream).await
    }
}

fn read(files: &TlsFiles) -> io::Result<TlsAcceptor> {
    let certificates = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(&files.cert, &error))?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unusable(&files.key, &error))?;
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| unusable(&files.cert, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn unusable(path: &Path, error: &dyn fmt::Display) -> io::Error {
    io::Error::other(format!("{path:?} cannot be used: {error}"))
}
