//! The names for which a peer's certificate was issued.

use std::{io, net::IpAddr, sync::Arc};

use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_cert::{
    Certificate,
    der::{Decode as _, asn1::OctetString},
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use crate::transport::{CertificateName, PeerCredential};

/// What a verified certificate says of its owner: the subject alternative names, in their order. Names of other kinds than
/// those of [`CertificateName`] are left out.
pub(super) fn credential(certificate: &CertificateDer<'_>) -> io::Result<PeerCredential> {
    let unreadable = |error: x509_cert::der::Error| {
        let text = format!("the names of the client's certificate cannot be read: {error}");
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    let certificate = Certificate::from_der(certificate).map_err(unreadable)?;
    let extension = certificate
        .tbs_certificate()
        .get_extension::<SubjectAltName>()
        .map_err(unreadable)?;
    let names = extension.map(|(_, names)| names.0).unwrap_or_default();
    let names: Arc<[CertificateName]> = names.into_iter().filter_map(name).collect();
    Ok(PeerCredential::CertificateNames(names))
}

fn name(name: GeneralName) -> Option<CertificateName> {
    Some(match name {
        GeneralName::DnsName(name) => CertificateName::Dns(name.as_str().into()),
        GeneralName::UniformResourceIdentifier(uri) => CertificateName::Uri(uri.as_str().into()),
        GeneralName::Rfc822Name(address) => CertificateName::Email(address.as_str().into()),
        GeneralName::IpAddress(bytes) => CertificateName::Ip(ip(&bytes)?),
        _ => return None,
    })
}

fn ip(bytes: &OctetString) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes.as_bytes()).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(bytes.as_bytes()).map(IpAddr::from);
    v4.or(v6).ok()
}
