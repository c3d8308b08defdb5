//! Certificates of the servers.

use std::{env, fs, path::PathBuf, process};

use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::Failure;

/// The certificate of a server on the loopback, made when it starts. Its files are removed when this is dropped.
#[derive(Debug)]
pub struct Certificate {
    certificate: String,
    key: String,
    files: Vec<PathBuf>,
}

impl Certificate {
    /// Makes one for `127.0.0.1` and `localhost`, signed by itself.
    ///
    /// # Errors
    ///
    /// The system has no randomness.
    pub fn new() -> Result<Self, Failure> {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(names).map_err(Failure::library)?;
        Ok(Self {
            certificate: cert.pem(),
            key: signing_key.serialize_pem(),
            files: Vec::new(),
        })
    }

    /// The certificate, as PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its key, as PEM.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Writes the certificate and its key into files, for servers that read them.
    ///
    /// # Errors
    ///
    /// They cannot be written.
    pub fn write(&mut self) -> Result<[PathBuf; 2], Failure> {
        let path = |what| env::temp_dir().join(format!("msip-bench-{}-{what}.pem", process::id()));
        let paths = [path("certificate"), path("key")];
        for (path, text) in paths.iter().zip([&self.certificate, &self.key]) {
            fs::write(path, text)?;
            self.files.push(path.clone());
        }
        Ok(paths)
    }

    /// Shows the certificate to the clients of the server at this port.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn show(&mut self, port: u16) -> Result<(), Failure> {
        let path = Self::shown(port);
        fs::write(&path, &self.certificate)?;
        self.files.push(path);
        Ok(())
    }

    /// The file with the certificate of the server at this port, which its clients trust.
    #[must_use]
    pub fn shown(port: u16) -> PathBuf {
        env::temp_dir().join(format!("msip-bench-port-{port}.pem"))
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        for file in &self.files {
            // It is of no use to anyone.
            let _ = fs::remove_file(file);
        }
    }
}
