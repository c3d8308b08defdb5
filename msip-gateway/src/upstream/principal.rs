//! For whom an exchange is made.

use std::fmt;

use msip_runtime::Credential;
use sha2::{Digest as _, Sha256};

/// The longest name of a session, in bytes.
pub(crate) const MAX_SESSION_NAME: usize = 128;

/// For whom an exchange is made: whoever shows this credential, in the session of this name. Nobody else shares that session.
///
/// `Debug` shows neither.
#[derive(Clone)]
pub struct Principal {
    credential: Option<Credential>,
    who: Digest,
    key: SessionKey,
}

type Digest = [u8; 32];

/// What distinguishes a session from all others of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SessionKey(Digest);

impl Principal {
    /// Whoever shows this credential, or nobody in particular; a client may ask for a session of its own by a name.
    #[must_use]
    pub fn new(credential: Option<&[u8]>, session: &str) -> Self {
        let who = match credential {
            Some(credential) => Sha256::new_with_prefix(b"1").chain_update(credential),
            None => Sha256::new_with_prefix(b"0"),
        };
        let who: Digest = who.finalize().into();
        let key = Sha256::new_with_prefix(who).chain_update(session);
        Self {
            credential: credential.map(Credential::new),
            who,
            key: SessionKey(key.finalize().into()),
        }
    }

    pub(crate) fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    pub(crate) fn key(&self) -> SessionKey {
        self.key
    }

    /// Whether both show the same credential.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.who == other.who
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("has_credential", &self.credential.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_shared_by_one_principal_alone() {
        let all = [
            (None, ""),
            (None, "a"),
            (Some("key"), ""),
            (Some("key"), "a"),
            (Some("keya"), ""),
            (Some(""), ""),
        ]
        .map(|(credential, session)| Principal::new(credential.map(str::as_bytes), session));
        for (index, one) in all.iter().enumerate() {
            for other in &all[..index] {
                assert_ne!(one.key(), other.key());
            }
        }
        let again = Principal::new(Some(b"key"), "a");
        assert_eq!(again.key(), all[3].key());
        assert!(again.is_same_as(&all[2]) && !again.is_same_as(&all[4]));
        assert!(!format!("{again:?}").contains("key\""));
    }
}
