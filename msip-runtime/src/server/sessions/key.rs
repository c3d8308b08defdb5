//! What a session is resumed with, and whose it is.

use sha2::{Digest as _, Sha256};

use crate::{Identity, transport::PeerCredential};

/// What a session is resumed with, besides its id: all of it must be as it was when the session began.
pub(in crate::server) struct SessionKey<'a> {
    pub(in crate::server) secret: &'a [u8],
    /// The protocol that the HELLO names.
    pub(in crate::server) protocol: &'a str,
    pub(in crate::server) principal: Principal<'a>,
}

/// Whose a session is: only the same may resume it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Principal<'a> {
    /// The server authenticates nobody: whom the transport knows.
    OfTransport(&'a PeerCredential),
    /// By its method, issuer and subject. Everything else of it may change.
    Authenticated(&'a Identity),
}

impl<'a> Principal<'a> {
    /// The identity, where the server has found one.
    pub(in crate::server) fn of(
        identity: Option<&'a Identity>,
        credential: &'a PeerCredential,
    ) -> Self {
        identity.map_or(Self::OfTransport(credential), Self::Authenticated)
    }
}

impl SessionKey<'_> {
    /// The hash of whose it is, whatever its secret.
    pub(in crate::server) fn owner(&self) -> [u8; 32] {
        let SessionKey {
            protocol,
            principal,
            ..
        } = *self;
        SessionKey {
            secret: &[],
            protocol,
            principal,
        }
        .hash()
    }

    pub(in crate::server) fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        // Each part has its length in front, so that no two inputs hash the same bytes.
        let mut part = |bytes: &[u8]| {
            hash.update(bytes.len().to_be_bytes());
            hash.update(bytes);
        };
        part(self.secret);
        part(self.protocol.as_bytes());
        let credential = match self.principal {
            Principal::OfTransport(credential) => credential,
            Principal::Authenticated(identity) => {
                part(b"identity");
                part(identity.method.as_bytes());
                part(identity.issuer.as_bytes());
                part(identity.subject().as_bytes());
                &PeerCredential::None
            }
        };
        match credential {
            PeerCredential::None => {}
            // A program may be run under another group and is still that user's.
            PeerCredential::UnixUser { uid, .. } => {
                part(b"user");
                part(&uid.to_be_bytes());
            }
            PeerCredential::CertificateNames(names) => {
                part(b"names");
                // The kind of each is in its text.
                let names = names.iter();
                names.for_each(|name| part(name.to_string().as_bytes()));
            }
        }
        hash.finalize().into()
    }
}

/// Compares in constant time.
pub(in crate::server) fn is_equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let difference = a
        .iter()
        .zip(b)
        .fold(0, |difference, (a, b)| difference | (a ^ b));
    std::hint::black_box(difference) == 0
}
