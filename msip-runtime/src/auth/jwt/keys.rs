//! The keys with which an issuer signs its tokens.

use std::{error::Error, fmt, future::Future, path::Path, pin::Pin, sync::Arc};

use jsonwebtoken::{
    DecodingKey,
    jwk::{Jwk, JwkSet, PublicKeyUse},
};

use super::{
    algorithm::JwtAlgorithm,
    key_error::{JwtKeyError, MAX_KEYS},
    public_key::read_pem,
};
use crate::auth::watched_file::{Unreadable, WatchedFile};

/// The largest file in bytes.
const MAX_LEN: u64 = 1024 * 1024;

/// One key, bound to its algorithm: a token that says it is signed in another way is not checked with it.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) algorithm: JwtAlgorithm,
    pub(super) key: DecodingKey,
}

/// The keys of one issuer, a file that holds them, or a function that knows them; for [`Jwt::issuer`](super::Jwt::issuer).
///
/// **A file** is read again after it has changed, within a second, while clients with tokens of its issuer connect, and when
/// [`reload`](Self::reload) is called. Where it cannot be read, or holds no key that can be used, the keys that were read before
/// hold, and a warning in the log says what is wrong.
///
/// Cheap to clone; clones share the file, so that one is kept to reload it.
#[derive(Clone)]
pub struct JwtKeys(pub(super) Source);

#[derive(Clone)]
pub(super) enum Source {
    Fixed(Arc<[Key]>),
    File(Arc<WatchedFile<FileKeys, JwtKeyError>>),
    Function(Arc<dyn Fn(Option<String>) -> Asking + Send + Sync>),
}

/// The keys of a file; the same where it is.
pub(super) struct FileKeys {
    content: Vec<u8>,
    pub(super) keys: Arc<[Key]>,
}

impl PartialEq for FileKeys {
    fn eq(&self, other: &Self) -> bool {
        self.content == other.content
    }
}

type Asking = Pin<Box<dyn Future<Output = Result<JwtKeys, Box<dyn Error + Send + Sync>>> + Send>>;

impl JwtKeys {
    /// One public key in PEM, for tokens that are signed in this way.
    ///
    /// # Errors
    ///
    /// It is no public key, or one for another algorithm.
    pub fn from_pem(algorithm: JwtAlgorithm, pem: impl AsRef<[u8]>) -> Result<Self, JwtKeyError> {
        Ok(Self(Source::Fixed(pem_keys(algorithm, pem.as_ref())?)))
    }

    /// One public key in PEM, from a file, which is read now, in the calling thread, and again when it has changed.
    ///
    /// # Errors
    ///
    /// As of [`from_pem`](Self::from_pem), and the file cannot be read, or is larger than 1 MiB.
    pub fn from_pem_file(
        algorithm: JwtAlgorithm,
        path: impl AsRef<Path>,
    ) -> Result<Self, JwtKeyError> {
        Self::from_file(path.as_ref(), move |pem| pem_keys(algorithm, pem))
    }

    /// A JSON Web Key Set (RFC 7517), such as an issuer publishes. Keys that do not state one of the algorithms (`alg`), or are for
    /// encryption (`use`), are left out.
    ///
    /// # Errors
    ///
    /// It is no such set, has more than 64 keys, or none that can be used.
    pub fn from_jwks(json: impl AsRef<[u8]>) -> Result<Self, JwtKeyError> {
        Ok(Self(Source::Fixed(set_keys(json.as_ref())?)))
    }

    /// A JSON Web Key Set from a file, which is read now, in the calling thread, and again when it has changed.
    ///
    /// # Errors
    ///
    /// As of [`from_jwks`](Self::from_jwks), and the file cannot be read, or is larger than 1 MiB.
    pub fn from_jwks_file(path: impl AsRef<Path>) -> Result<Self, JwtKeyError> {
        Self::from_file(path.as_ref(), set_keys)
    }

    fn from_file(
        path: &Path,
        parse: impl Fn(&[u8]) -> Result<Arc<[Key]>, JwtKeyError> + Send + Sync + 'static,
    ) -> Result<Self, JwtKeyError> {
        let of = path.to_owned();
        let file = WatchedFile::open(path, MAX_LEN, move |content| match content {
            Ok(content) => {
                let keys = parse(&content)?;
                Ok(FileKeys { content, keys })
            }
            Err(Unreadable::Io(source)) => Err(JwtKeyError::Io {
                path: of.clone(),
                source,
            }),
            Err(Unreadable::TooLarge(max)) => Err(JwtKeyError::TooLarge {
                path: of.clone(),
                max,
            }),
        })?;
        Ok(Self(Source::File(Arc::new(file))))
    }

    /// Reads the file again, in the calling thread, whether it has changed or not. Nothing where the keys are of no file.
    ///
    /// # Errors
    ///
    /// As those of [`from_jwks_file`](Self::from_jwks_file) or [`from_pem_file`](Self::from_pem_file); the keys that were read
    /// before hold then.
    pub fn reload(&self) -> Result<(), JwtKeyError> {
        match &self.0 {
            Source::File(file) => file.reload(),
            Source::Fixed(_) | Source::Function(_) => Ok(()),
        }
    }

    /// Asks an async function for the keys, for each token, with the id of the key that the token names (`kid`). For keys that
    /// change: it fetches them, and keeps what it has fetched. Whoever connects can have it asked for ids that do not exist, so it
    /// should not fetch for each. An error refuses the client with `UNAVAILABLE`, and it comes again.
    ///
    /// ```
    /// use std::sync::{Arc, RwLock};
    /// use msip_runtime::auth::JwtKeys;
    ///
    /// /// What a task of the program has fetched last.
    /// fn of_cache(cache: Arc<RwLock<JwtKeys>>) -> JwtKeys {
    ///     JwtKeys::from_function(move |_key_id| {
    ///         let keys = cache.read().map(|keys| keys.clone());
    ///         let keys = keys.map_err(|_| "the cache is poisoned");
    ///         async { keys }
    ///     })
    /// }
    /// ```
    pub fn from_function<F, Answer, E>(keys: F) -> Self
    where
        F: Fn(Option<String>) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Result<Self, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Self(Source::Function(Arc::new(move |id| {
            let asking = keys(id);
            Box::pin(async move { asking.await.map_err(Into::into) })
        })))
    }
}

impl fmt::Debug for JwtKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Fixed(keys) => write!(f, "JwtKeys({} keys)", keys.len()),
            Source::File(file) => {
                let count = file.keys().keys.len();
                write!(f, "JwtKeys({count} keys of {:?})", file.path())
            }
            Source::Function(_) => f.write_str("JwtKeys(function)"),
        }
    }
}

fn pem_keys(algorithm: JwtAlgorithm, pem: &[u8]) -> Result<Arc<[Key]>, JwtKeyError> {
    let key = Key {
        id: None,
        algorithm,
        key: read_pem(algorithm, pem)?,
    };
    Ok([key].into())
}

fn set_keys(json: &[u8]) -> Result<Arc<[Key]>, JwtKeyError> {
    let set: JwkSet =
        serde_json::from_slice(json).map_err(|error| JwtKeyError::NoKeySet(error.into()))?;
    if set.keys.len() > MAX_KEYS {
        let count = set.keys.len();
        return Err(JwtKeyError::TooManyKeys { count });
    }
    let keys: Arc<[Key]> = set.keys.iter().filter_map(usable).collect();
    if keys.is_empty() {
        return Err(JwtKeyError::NoUsableKey);
    }
    Ok(keys)
}

/// The key of a set, where it is one for signatures with an algorithm of ours.
fn usable(jwk: &Jwk) -> Option<Key> {
    let algorithm = JwtAlgorithm::of_jwk(jwk.common.key_algorithm?)?;
    let is_for_signatures = match &jwk.common.public_key_use {
        None | Some(PublicKeyUse::Signature) => true,
        Some(_) => false,
    };
    let key = DecodingKey::from_jwk(jwk).ok()?;
    let is_of_algorithm = algorithm.to_jws().family() == key.family();
    (is_for_signatures && is_of_algorithm).then(|| Key {
        id: jwk.common.key_id.clone(),
        algorithm,
        key,
    })
}
