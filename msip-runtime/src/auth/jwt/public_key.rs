//! Public keys in PEM: the key itself, out of what is around it.

use jsonwebtoken::DecodingKey;
use rustls_pki_types::{SubjectPublicKeyInfoDer, pem::PemObject as _};

use super::{algorithm::JwtAlgorithm, key_error::JwtKeyError};

/// The DER of what stands in front of the key in a `SubjectPublicKeyInfo` (RFC 5280), where its length does not depend on the
/// key: the whole structure begins with it.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const ED25519: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The algorithm identifier of RSA keys.
const RSA: [u8; 15] = [
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// Reads a public key for this algorithm: PEM that begins with `-----BEGIN PUBLIC KEY-----`.
pub(super) fn read_pem(algorithm: JwtAlgorithm, pem: &[u8]) -> Result<DecodingKey, JwtKeyError> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| JwtKeyError::NoPublicKey)?;
    let der = der.as_ref();
    let key = match algorithm {
        JwtAlgorithm::Rs256 => rsa_key(der).map(DecodingKey::from_rsa_der),
        JwtAlgorithm::Es256 => after(der, &P256, 65).map(DecodingKey::from_ec_der),
        JwtAlgorithm::EdDsa => after(der, &ED25519, 32).map(DecodingKey::from_ed_der),
    };
    key.ok_or(JwtKeyError::OtherAlgorithm { algorithm })
}

/// What follows the prefix, where it has this length.
fn after<'a>(der: &'a [u8], prefix: &[u8], len: usize) -> Option<&'a [u8]> {
    der.strip_prefix(prefix).filter(|key| key.len() == len)
}

/// The `RSAPublicKey` in a `SubjectPublicKeyInfo`.
fn rsa_key(der: &[u8]) -> Option<&[u8]> {
    let inside = whole(SEQUENCE, der)?;
    let bits = whole(BIT_STRING, inside.strip_prefix(&RSA)?)?;
    // No unused bits.
    bits.strip_prefix(&[0])
}

/// The content of the one value of this type that the DER consists of.
fn whole(tag: u8, der: &[u8]) -> Option<&[u8]> {
    let (&first, rest) = der.strip_prefix(&[tag])?.split_first()?;
    let (len, content) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => {
            let (&len, content) = rest.split_first()?;
            (usize::from(len), content)
        }
        0x82 => {
            let (len, content) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*len)), content)
        }
        _ => return None,
    };
    (content.len() == len).then_some(content)
}
