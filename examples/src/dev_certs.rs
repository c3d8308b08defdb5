//! Certificates for trying TLS out: an authority of one's own, a server and a client.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use msip_runtime::transport::{ClientAuth, Pem, ServerTls};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};

/// What is in the folder.
const NAMES: [&str; 5] = [
    "ca.pem",
    "server.pem",
    "server.key",
    "client.pem",
    "client.key",
];

/// The names for which the server's certificate is: this machine's own.
const SERVER_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The TLS of a server with the certificates in this folder, which are written where it has none. Clients may show the one
/// that is there for them.
///
/// The authority's key is thrown away: nobody can issue more of them.
///
/// # Errors
///
/// The folder has some of the files and not all, or the system refuses.
pub fn dev_certs(folder: &Path) -> io::Result<ServerTls> {
    let missing = NAMES.map(|name| !folder.join(name).exists());
    if missing == [true; NAMES.len()] {
        write(folder)?;
    } else if missing.contains(&true) {
        let folder = folder.display();
        let text = format!("{folder} has some of {} and not all", NAMES.join(", "));
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let pem = |name: &str| Pem::file(folder.join(name));
    let tls = ServerTls::new(pem("server.pem"), pem("server.key"));
    Ok(tls.client_ca(pem("ca.pem")).client_auth(ClientAuth::Ask))
}

fn write(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut authority = params("MSIP development authority", &[])?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let key = key()?;
    let ca = authority.self_signed(&key).map_err(io::Error::other)?;
    let issuer = Issuer::new(authority, key);
    create(folder, "ca.pem", &ca.pem())?;
    let issue = |name: &str, mut params: CertificateParams, purpose| {
        params.extended_key_usages = vec![purpose];
        let key = self::key()?;
        let issued = params.signed_by(&key, &issuer).map_err(io::Error::other)?;
        create(folder, &format!("{name}.key"), &key.serialize_pem())?;
        create(folder, &format!("{name}.pem"), &issued.pem())
    };
    let server = params("MSIP development server", &SERVER_NAMES)?;
    issue("server", server, ExtendedKeyUsagePurpose::ServerAuth)?;
    let client = params("MSIP development client", &["client.localhost"])?;
    issue("client", client, ExtendedKeyUsagePurpose::ClientAuth)
}

fn key() -> io::Result<KeyPair> {
    KeyPair::generate().map_err(io::Error::other)
}

fn params(name: &str, names: &[&str]) -> io::Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

/// Writes a file that is not there yet, and that nobody else may read.
fn create(folder: &Path, name: &str, pem: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(folder.join(name))?.write_all(pem.as_bytes())
}
