//! API keys: random texts, each the secret of one client, of which the server keeps hashes.

mod entry;
mod file;
mod form;
mod key;
mod table;
#[cfg(test)]
mod tests;

use std::{fmt, path::Path, sync::Arc, time::SystemTime};

use super::watched_file;
use crate::{Authenticator, ConnectRequest, Identity, Status};

pub use entry::{ApiKeyEntry, ApiKeyEntryError};
pub use file::ApiKeysError;
pub use key::ApiKey;

use file::KeyFile;
use table::{KeyTable, Lookup};

/// The method of an identity that was shown by a key.
const METHOD: &str = "api-key";

/// Says who a client is by its API key, from a file of hashed keys.
///
/// A credential that begins with `msip_` is taken for an API key: one that is malformed, unknown or expired, or has the wrong
/// secret, refuses the client, whatever authenticator follows. Clients with other credentials, or none, are left to the next.
///
/// The identity's method is `api-key`, its user (or service) is the name of the key, its roles and its expiry are those of
/// the key. A client with a new key of the same name is the same principal, so that its session goes on.
///
/// # The file
///
/// Each line is a key: a name, the key's id and its hash (SHA-256), then what is known of it. `#` begins a comment.
///
/// ```text
/// ada    5d2c3f0a9b1e7c44 9f86d081…0f00a08 roles=operator,auditor expires=2027-01-31
/// relay  77aa02c1d9f3e0b5 60303ae2…5e8d0ea service roles=relay
/// ```
///
/// [`ApiKey::entry`] writes such a line; the example `api-key` is a command that does. Times are days (their beginning in UTC), or
/// of the form `2027-01-31T12:00:00Z`. A name may have two keys, so that its owner gets a new one before the old one is removed.
/// The keys themselves are in no file: whoever reads this one learns no key.
///
/// **Reading it again.** The file is read again after it has changed, within a second, and when
/// [`reload`](Self::reload) is called. Where it cannot be read, or a line is wrong, the keys that were read before hold, and a
/// warning says what is wrong. A key that is removed lets nobody in any more; whoever is connected with it stays until the
/// connection ends, or the key's time is up, unless the server looks again ([`current`](Self::current)).
///
/// # Examples
///
/// ```
/// use msip_runtime::auth::{ApiKey, ApiKeys};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let key = ApiKey::generate()?;
/// let keys = ApiKeys::from_entries([key.entry("ada").with_role("operator")])?;
/// // Server::<Chat>::builder(url).authenticate(keys)
/// // Client::<Chat>::builder(url).credential(key.as_str())
/// # let _ = keys;
/// # Ok(())
/// # }
/// ```
///
/// Cheap to clone; clones share the keys, so that one is kept to reload them.
#[derive(Clone)]
pub struct ApiKeys(Source);

#[derive(Clone)]
enum Source {
    File(Arc<KeyFile>),
    /// The keys were given in code.
    Entries(Arc<KeyTable>),
}

impl ApiKeys {
    /// Reads the keys of a file, once now and again when it has changed. It reads in the calling thread.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is larger than 16 MiB, or a line of it is wrong; see [`ApiKeysError`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ApiKeysError> {
        Ok(Self(Source::File(Arc::new(file::open(path.as_ref())?))))
    }

    /// Takes keys from elsewhere, such as a vault.
    ///
    /// # Errors
    ///
    /// [`ApiKeysError::Entry`]: a name has more than two keys, a key is there twice, or a name or role could not be written in a
    /// file.
    pub fn from_entries(
        entries: impl IntoIterator<Item = ApiKeyEntry>,
    ) -> Result<Self, ApiKeysError> {
        let mut keys = KeyTable::default();
        for entry in entries {
            let name = entry.name.clone();
            keys.push(entry)
                .map_err(|wrong| ApiKeysError::Entry { name, wrong })?;
        }
        Ok(Self(Source::Entries(Arc::new(keys))))
    }

    /// Reads the file again, in the calling thread, whether it has changed or not. Nothing where there is none.
    ///
    /// # Errors
    ///
    /// As those of [`from_file`](Self::from_file); the keys that were read before hold then.
    pub fn reload(&self) -> Result<(), ApiKeysError> {
        match &self.0 {
            Source::File(file) => file.reload(),
            Source::Entries(_) => Ok(()),
        }
    }

    /// How many keys there are, expired ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Source::File(file) => file.keys().len(),
            Source::Entries(keys) => keys.len(),
        }
    }

    /// Whether there are none: every key is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Authenticator for ApiKeys {
    async fn authenticate(&self, client: &ConnectRequest) -> Result<Option<Identity>, Status> {
        self.identify(client.credential()).await
    }
}

impl ApiKeys {
    /// Who shows this key, such as the bearer of an HTTP request: for keys that come by another way than the HELLO of a client.
    /// `None` where it is no API key at all.
    ///
    /// # Errors
    ///
    /// `UNAUTHENTICATED` where the key is malformed, unknown, wrong or expired, with a text for the log: whoever has shown the
    /// key is told no more than that. How often one source may try is up to the caller.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn identify(&self, key: &[u8]) -> Result<Option<Identity>, Status> {
        if !key.starts_with(form::PREFIX.as_bytes()) {
            return Ok(None);
        }
        let keys = match &self.0 {
            Source::File(file) => watched_file::current(file).await,
            Source::Entries(keys) => Arc::clone(keys),
        };
        let refused = |why: String| Err(Status::unauthenticated(why));
        let Some(id) = form::id_of(key) else {
            return refused("malformed API key".to_owned());
        };
        match keys.find(id, key) {
            Lookup::Found(entry) => {
                let identity = entry.identity();
                match identity.expires {
                    Some(time) if time <= SystemTime::now() => refused(format!(
                        "the API key {id:016x} of {} has expired",
                        entry.name
                    )),
                    _ => Ok(Some(identity)),
                }
            }
            Lookup::UnknownId => refused(format!("no API key has the id {id:016x}")),
            Lookup::WrongSecret(entry) => refused(format!(
                "wrong secret for the API key {id:016x} of {}",
                entry.name
            )),
        }
    }
}

impl ApiKeys {
    /// Who somebody is by the keys as they are now, who has shown one of them before: with those of the roles that a key of
    /// the same name still has. `None` where there is no such key any more. An identity by another method is what it was.
    ///
    /// For a server that looks again at those who are connected, after [`reload`](Self::reload).
    #[must_use]
    pub fn current(&self, identity: &Identity) -> Option<Identity> {
        if identity.method != METHOD {
            return Some(identity.clone());
        }
        let keys = match &self.0 {
            Source::File(file) => file.keys(),
            Source::Entries(keys) => Arc::clone(keys),
        };
        let is_service = identity.user.is_empty();
        let name = if is_service {
            &identity.service
        } else {
            &identity.user
        };
        let entries: Vec<_> = keys
            .of_name(name, is_service)
            .map(ApiKeyEntry::identity)
            .collect();
        if entries.is_empty() {
            return None;
        }
        let mut current = identity.clone();
        current
            .roles
            .retain(|role| entries.iter().any(|entry| entry.has_role(role)));
        Some(current)
    }
}

/// How many keys there are, and no key.
impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match &self.0 {
            Source::File(file) => Some(file.path()),
            Source::Entries(_) => None,
        };
        f.debug_struct("ApiKeys")
            .field("path", &path)
            .field("len", &self.len())
            .finish()
    }
}
