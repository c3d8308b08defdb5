//! The keys with which an issuer signs its tokens.

use std::{error::Error, fmt, fs, future::Future, path::Path, pin::Pin, sync::Arc};

use jsonwebtoken::{
    DecodingKey,
    jwk::{Jwk, JwkSet, PublicKeyUse},
};

use super::{
    algorithm::JwtAlgorithm,
    key_error::{JwtKeyError, MAX_KEYS},
    public_key::read_pem,
};

/// One key, bound to its algorithm: a token that says it is signed in another way is not checked with it.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) algorithm: JwtAlgorithm,
    pub(super) key: DecodingKey,
}

/// The keys of one issuer, or a function that knows them; for [`Jwt::issuer`](super::Jwt::issuer).
#[derive(Clone)]
pub struct JwtKeys(pub(super) Source);

#[derive(Clone)]
pub(super) enum Source {
    Fixed(Arc<[Key]>),
    Function(Arc<dyn Fn(Option<String>) -> Asking + Send + Sync>),
}

type Asking = Pin<Box<dyn Future<Output = Result<JwtKeys, Box<dyn Error + Send + Sync>>> + Send>>;

impl JwtKeys {
    /// One public key in PEM, for tokens that are signed in this way.
    ///
    /// # Errors
    ///
    /// It is no public key, or one for another algorithm.
    pub fn from_pem(algorithm: JwtAlgorithm, pem: impl AsRef<[u8]>) -> Result<Self, JwtKeyError> {
        let key = Key {
            id: None,
            algorithm,
            key: read_pem(algorithm, pem.as_ref())?,
        };
        Ok(Self(Source::Fixed([key].into())))
    }

    /// One public key in PEM, from a file, which is read now and not again.
    ///
    /// # Errors
    ///
    /// As of [`from_pem`](Self::from_pem), and the file cannot be read.
    pub fn from_pem_file(
        algorithm: JwtAlgorithm,
        path: impl AsRef<Path>,
    ) -> Result<Self, JwtKeyError> {
        Self::from_pem(algorithm, read(path.as_ref())?)
    }

    /// A JSON Web Key Set (RFC 7517), such as an issuer publishes. Keys that do not state one of the algorithms (`alg`), or are for
    /// encryption (`use`), are left out.
    ///
    /// # Errors
    ///
    /// It is no such set, has more than 64 keys, or none that can be used.
    pub fn from_jwks(json: impl AsRef<[u8]>) -> Result<Self, JwtKeyError> {
        let set: JwkSet = serde_json::from_slice(json.as_ref())
            .map_err(|error| JwtKeyError::NoKeySet(error.into()))?;
        if set.keys.len() > MAX_KEYS {
            let count = set.keys.len();
            return Err(JwtKeyError::TooManyKeys { count });
        }
        let keys: Arc<[Key]> = set.keys.iter().filter_map(usable).collect();
        if keys.is_empty() {
            return Err(JwtKeyError::NoUsableKey);
        }
        Ok(Self(Source::Fixed(keys)))
    }

    /// A JSON Web Key Set from a file, which is read now and not again.
    ///
    /// # Errors
    ///
    /// As of [`from_jwks`](Self::from_jwks), and the file cannot be read.
    pub fn from_jwks_file(path: impl AsRef<Path>) -> Result<Self, JwtKeyError> {
        Self::from_jwks(read(path.as_ref())?)
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
    ///         async { keys.map_err(|_| "the cache is poisoned") }
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
            Source::Function(_) => f.write_str("JwtKeys(function)"),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, JwtKeyError> {
    fs::read(path).map_err(|source| JwtKeyError::Io {
        path: path.to_owned(),
        source,
    })
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
