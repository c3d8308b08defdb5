//! Certificates and keys in PEM, from a file or from memory.

use std::{fmt, fs, path::PathBuf, sync::Arc};

use tokio_rustls::rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
};

use crate::transport::TransportSettingError;

/// Certificates, or a private key, in PEM: in a file, or in memory.
///
/// A file is read when a client or a server is built, and again when the server
/// [reloads](crate::Server::reload_tls) it. `Debug` shows the path or the length, and nothing of the content.
#[derive(Clone)]
pub struct Pem(Source);

#[derive(Clone)]
enum Source {
    File(PathBuf),
    Bytes(Arc<[u8]>),
}

impl Pem {
    /// The content of a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// These bytes: one or more blocks of `-----BEGIN ...-----`.
    pub fn bytes(pem: impl Into<Vec<u8>>) -> Self {
        Self(Source::Bytes(pem.into().into()))
    }

    /// The certificates in it, one at least.
    pub(super) fn certificates(
        &self,
        name: &'static str,
    ) -> Result<Vec<CertificateDer<'static>>, TransportSettingError> {
        let certificates: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(&self.read(name)?).collect();
        let certificates = certificates.map_err(|error| self.unreadable(name, &error))?;
        if certificates.is_empty() {
            return Err(self.error(name, "there is no certificate in it (BEGIN CERTIFICATE)"));
        }
        Ok(certificates)
    }

    /// The certificates in it, as authorities.
    pub(super) fn roots(&self, name: &'static str) -> Result<RootCertStore, TransportSettingError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates(name)? {
            roots
                .add(certificate)
                .map_err(|error| self.error(name, error))?;
        }
        Ok(roots)
    }

    /// The private key in it.
    pub(super) fn private_key(
        &self,
        name: &'static str,
    ) -> Result<PrivateKeyDer<'static>, TransportSettingError> {
        let key = PrivateKeyDer::from_pem_slice(&self.read(name)?);
        key.map_err(|error| match error {
            pem::Error::NoItemsFound => self.error(
                name,
                "there is no private key in it (BEGIN PRIVATE KEY; an encrypted one cannot be read)",
            ),
            error => self.unreadable(name, &error),
        })
    }

    fn read(&self, name: &'static str) -> Result<Arc<[u8]>, TransportSettingError> {
        match &self.0 {
            Source::File(path) => match fs::read(path) {
                Ok(bytes) => Ok(bytes.into()),
                Err(error) => Err(self.error(name, error)),
            },
            Source::Bytes(bytes) => Ok(Arc::clone(bytes)),
        }
    }

    fn unreadable(&self, name: &'static str, error: &pem::Error) -> TransportSettingError {
        self.error(name, format_args!("it is not PEM: {error}"))
    }

    pub(super) fn error(
        &self,
        name: &'static str,
        why: impl fmt::Display,
    ) -> TransportSettingError {
        TransportSettingError::new(name, self.to_string(), why)
    }
}

/// The path, or how long it is.
impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::File(path) => path.display().fmt(f),
            Source::Bytes(bytes) => write!(f, "{} bytes of PEM", bytes.len()),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({self})")
    }
}
