//! What a listener over TLS needs, and its clients.

use msip_tests::Authority;
use tempfile::TempDir;

/// A certificate in files, and who has issued it.
pub(crate) struct Certificate {
    pub(crate) authority: Authority,
    folder: TempDir,
}

impl Certificate {
    pub(crate) fn issue() -> Self {
        let authority = Authority::new("authority");
        let folder = tempfile::tempdir().expect("a folder");
        authority
            .issue_local()
            .write(folder.path(), "server")
            .expect("written");
        Self { authority, folder }
    }

    /// A URL of this scheme at which a server listens with it.
    pub(crate) fn url(&self, scheme: &str) -> String {
        let path = |name| self.folder.path().join(name).display().to_string();
        let (cert, key) = (path("server.pem"), path("server.key"));
        format!("{scheme}://127.0.0.1:0?cert={cert}&key={key}")
    }
}
