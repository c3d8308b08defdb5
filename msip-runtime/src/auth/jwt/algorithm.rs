//! How tokens are signed.

use std::fmt;

use jsonwebtoken::{Algorithm, jwk::KeyAlgorithm};

/// How the tokens of a key are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwtAlgorithm {
    /// `RS256`: RSA of 2,048 to 8,192 bits with SHA-256 (PKCS#1 v1.5).
    Rs256,
    /// `ES256`: ECDSA over P-256 with SHA-256.
    Es256,
    /// `EdDSA`: Ed25519.
    EdDsa,
}

impl JwtAlgorithm {
    pub(super) const fn to_jws(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }

    pub(super) const fn of_jwk(algorithm: KeyAlgorithm) -> Option<Self> {
        match algorithm {
            KeyAlgorithm::RS256 => Some(Self::Rs256),
            KeyAlgorithm::ES256 => Some(Self::Es256),
            KeyAlgorithm::EdDSA => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// `RS256`, `ES256` or `EdDSA`.
impl fmt::Display for JwtAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        })
    }
}
