//! Certificates for tests.

use std::{fs, io, path::Path};

use msip_runtime::transport::{ClientTls, Pem, ServerTls};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType, date_time_ymd,
};

/// Who issues certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate with its key, both in PEM.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub cert: String,
    /// Its private key.
    pub key: String,
}

fn checked<T>(made: Result<T, rcgen::Error>) -> T {
    match made {
        Ok(made) => made,
        Err(error) => panic!("{error}"),
    }
}

fn params(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = checked(CertificateParams::new(names));
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Authority {
    /// An authority of this name.
    ///
    /// # Panics
    ///
    /// When there are no random numbers.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = checked(KeyPair::generate());
        let pem = checked(params.self_signed(&key)).pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its own certificate, for the TLS of a client or a server.
    #[must_use]
    pub fn ca(&self) -> Pem {
        Pem::bytes(self.pem.as_bytes())
    }

    /// A client that trusts it.
    #[must_use]
    pub fn client_tls(&self) -> ClientTls {
        ClientTls::new().ca(self.ca())
    }

    /// A certificate for these DNS names and IP addresses.
    ///
    /// # Panics
    ///
    /// When one of them is neither.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.sign(params("issued", names))
    }

    /// One for this machine, as servers of tests need it.
    #[must_use]
    pub fn issue_local(&self) -> Issued {
        self.issue(&["localhost", "127.0.0.1"])
    }

    /// One for this machine that was valid in the year 2020.
    #[must_use]
    pub fn issue_expired(&self) -> Issued {
        let mut params = params("expired", &["localhost", "127.0.0.1"]);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 12, 31);
        self.sign(params)
    }

    /// One for a client, with these URIs and mail addresses besides DNS names.
    ///
    /// # Panics
    ///
    /// When one of them cannot be in a certificate.
    #[must_use]
    pub fn issue_client(&self, names: &[&str], uris: &[&str], emails: &[&str]) -> Issued {
        let mut params = params("client", names);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        for uri in uris {
            let uri = checked((*uri).try_into());
            params.subject_alt_names.push(SanType::URI(uri));
        }
        for email in emails {
            let email = checked((*email).try_into());
            params.subject_alt_names.push(SanType::Rfc822Name(email));
        }
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Issued {
        let key = checked(KeyPair::generate());
        Issued {
            cert: checked(params.signed_by(&key, &self.issuer)).pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Issued {
    /// A certificate for this machine that nobody has issued but itself.
    ///
    /// # Panics
    ///
    /// When there are no random numbers.
    #[must_use]
    pub fn by_itself() -> Self {
        let key = checked(KeyPair::generate());
        let params = params("self-signed", &["localhost", "127.0.0.1"]);
        Self {
            cert: checked(params.self_signed(&key)).pem(),
            key: key.serialize_pem(),
        }
    }

    /// The certificate, for the TLS of a client or a server.
    #[must_use]
    pub fn cert(&self) -> Pem {
        Pem::bytes(self.cert.as_bytes())
    }

    /// Its private key, for the same.
    #[must_use]
    pub fn key(&self) -> Pem {
        Pem::bytes(self.key.as_bytes())
    }

    /// A server that shows it.
    #[must_use]
    pub fn server_tls(&self) -> ServerTls {
        ServerTls::new(self.cert(), self.key())
    }

    /// Writes `{name}.pem` and `{name}.key` into a folder.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn write(&self, folder: &Path, name: &str) -> io::Result<()> {
        fs::write(folder.join(format!("{name}.pem")), &self.cert)?;
        fs::write(folder.join(format!("{name}.key")), &self.key)
    }
}
