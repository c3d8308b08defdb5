//! Certificates for one test, in files.

use std::path::PathBuf;

use msip_tests::Authority;
use tempfile::TempDir;

/// An authority, and a server's certificate from it for `localhost` and both loopback addresses.
pub(crate) struct Certificates {
    pub(crate) authority: Authority,
    folder: TempDir,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let certificates = Self {
            authority: Authority::new("authority"),
            folder: TempDir::new().expect("a folder"),
        };
        let folder = certificates.folder.path();
        certificates
            .authority
            .issue(&["localhost", "127.0.0.1", "::1"])
            .write(folder, "server")
            .and_then(|()| std::fs::write(folder.join("ca.pem"), certificates.authority.pem()))
            .expect("written");
        certificates
    }

    /// Where a server listens, at a port that the system chooses; more settings follow.
    pub(crate) fn listening(&self) -> String {
        self.listening_at("127.0.0.1:0")
    }

    pub(crate) fn listening_at(&self, authority: &str) -> String {
        let path = |name| self.path(name).display().to_string();
        let (cert, key) = (path("server.pem"), path("server.key"));
        format!("quic://{authority}?cert={cert}&key={key}")
    }

    /// The same address for a client.
    pub(crate) fn connecting(&self, url: impl std::fmt::Display) -> String {
        format!("{url}?ca={}", self.path("ca.pem").display())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
