//! JSON Web Tokens, as an identity provider issues them.

mod algorithm;
mod key_error;
mod keys;
mod public_key;
mod ring_provider;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::{
    Validation, dangerous::insecure_decode_claims, decode, decode_header, errors::ErrorKind,
};
use serde::Deserialize;
use serde_json::Value;

use super::watched_file;
use crate::{Authenticator, ConnectRequest, Identity, Status};

pub use algorithm::JwtAlgorithm;
pub use key_error::JwtKeyError;
pub use keys::JwtKeys;

use keys::{Key, Source};

/// How far the clocks of issuer and server may be apart unless it is said.
const LEEWAY: Duration = Duration::from_secs(30);

/// The most that may be said.
const MAX_LEEWAY: Duration = Duration::from_secs(300);

/// How many keys are tried for a token that does not name its key.
const MAX_TRIES: usize = 8;

/// The most roles that are taken from a token.
const MAX_ROLES: usize = 64;

/// Says who a client is by a JSON Web Token (RFC 7519): the identity that an issuer vouches for with its signature.
///
/// A credential that has the form of one (three parts with dots between them, of which the first is the beginning of a JSON
/// object) is taken for a token: one that is wrong in any way refuses the client, whatever authenticator follows. Clients with
/// other credentials, or none, are left to the next.
///
/// - A key belongs to its issuer and to one algorithm: the token's `iss` selects the keys, and its `alg` and `kid` select among
///   those. `none` and `HS256` do not exist here.
/// - `iss`, `aud`, `exp` and `sub` are required: one of the issuers, this server's audience (alone or in a list), a time that has
///   not passed, and a name. `nbf` is kept where it is there.
/// - Clocks may be [`leeway`](Self::leeway) apart, 30 s by default. When the token has expired, and that time has passed, the
///   client is told and its connection ends; a client whose credential is a function comes back with a fresh token.
///
/// The identity's method is `jwt`, its issuer `iss`, its user and subject `sub`, and its roles come from a claim,
/// [`roles`](Self::roles_claim) by default: a list of texts, or one text with spaces between them. At most 64 are taken.
///
/// Signatures are checked with `ring`. Where the program uses the crate `jsonwebtoken` of the same version itself, by one of its
/// crypto features or a provider that is installed before the first `Jwt` is made, that one checks them.
///
/// # Examples
///
/// ```
/// # const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
/// use msip_runtime::auth::{Jwt, JwtAlgorithm, JwtKeys};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tokens = Jwt::new("chat")
///     .issuer("https://login.example.org", JwtKeys::from_pem(JwtAlgorithm::EdDsa, PEM)?)
///     .roles_claim("groups");
/// // Server::<Chat>::builder(url).authenticate(tokens)
/// // Client::<Chat>::builder(url).credential(|| async { login.token().await })
/// # let _ = tokens;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Jwt {
    audience: String,
    issuers: BTreeMap<String, JwtKeys>,
    leeway: Duration,
    roles_claim: String,
}

/// What the issuer of a token says it is; believed once the signature has been checked with a key of that issuer.
#[derive(Deserialize)]
struct Unverified {
    iss: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    /// Whole seconds, or with a fraction.
    exp: f64,
    #[serde(flatten)]
    others: HashMap<String, Value>,
}

impl Jwt {
    /// Takes tokens that are for this audience (`aud`), of no issuer yet.
    #[must_use]
    pub fn new(audience: impl Into<String>) -> Self {
        ring_provider::install();
        Self {
            audience: audience.into(),
            issuers: BTreeMap::new(),
            leeway: LEEWAY,
            roles_claim: "roles".to_owned(),
        }
    }

    /// Takes tokens of this issuer (`iss`), signed with one of these keys. A later call replaces an earlier one for the same
    /// issuer.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>, keys: JwtKeys) -> Self {
        self.issuers.insert(issuer.into(), keys);
        self
    }

    /// How far the clocks of issuer and server may be apart: a token is taken so long after `exp` and before `nbf`. Default 30 s; at
    /// most 5 min, and whole seconds count.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = Duration::from_secs(leeway.min(MAX_LEEWAY).as_secs());
        self
    }

    /// The claim that holds the roles. Default `roles`.
    #[must_use]
    pub fn roles_claim(mut self, name: impl Into<String>) -> Self {
        self.roles_claim = name.into();
        self
    }

    /// Reads the files of its issuers' keys again, in the calling thread, whether they have changed or not: see
    /// [`JwtKeys::reload`].
    ///
    /// # Errors
    ///
    /// The first that went wrong; each is logged. The keys that were read before hold then.
    pub fn reload(&self) -> Result<(), JwtKeyError> {
        let mut outcome = Ok(());
        for keys in self.issuers.values() {
            outcome = outcome.and(keys.reload());
        }
        outcome
    }

    async fn check(&self, token: &[u8]) -> Result<Identity, Status> {
        let refused = |why: String| Status::unauthenticated(why);
        let header =
            decode_header(token).map_err(|error| refused(format!("malformed token: {error}")))?;
        let issuer = insecure_decode_claims::<Unverified>(token)
            .map_err(|error| refused(format!("malformed token: {error}")))?
            .iss;
        let keys = self
            .issuers
            .get(&issuer)
            .ok_or_else(|| refused(format!("token of the unknown issuer {issuer:?}")))?;
        let keys = self.keys(keys, header.kid.clone()).await?;
        let fits = |key: &&Key| {
            let is_named = match (&header.kid, &key.id) {
                (Some(named), Some(id)) => named == id,
                _ => true,
            };
            is_named && key.algorithm.to_jws() == header.alg
        };
        let mut outcome = Err(format!(
            "no key of {issuer:?} fits a token that is signed with {:?} and the key {:?}",
            header.alg, header.kid
        ));
        for key in keys.iter().filter(fits).take(MAX_TRIES) {
            let validation = self.validation(key, &issuer);
            match decode::<Claims>(token, &key.key, &validation) {
                Ok(token) => return self.identity(issuer, token.claims).map_err(refused),
                Err(error) => {
                    let is_other_key = *error.kind() == ErrorKind::InvalidSignature;
                    outcome = Err(format!("token of {issuer:?}: {error}"));
                    if !is_other_key {
                        break;
                    }
                }
            }
        }
        outcome.map_err(refused)
    }

    /// The keys of an issuer, for a token that names this one.
    async fn keys(&self, keys: &JwtKeys, id: Option<String>) -> Result<Arc<[Key]>, Status> {
        let unavailable = |why: &dyn fmt::Display| {
            tracing::warn!(error = %msip_session::wire::Escaped::new(&why.to_string()), "the keys of an issuer of tokens are not there");
            Status::unavailable("the keys of the issuer are not available")
        };
        let answered = match &keys.0 {
            Source::Function(ask) => ask(id).await.map_err(|error| unavailable(&error))?,
            _ => keys.clone(),
        };
        match answered.0 {
            Source::Fixed(keys) => Ok(keys),
            Source::File(file) => Ok(Arc::clone(&watched_file::current(&file).await.keys)),
            Source::Function(_) => Err(unavailable(&"the function answers with another function")),
        }
    }

    fn validation(&self, key: &Key, issuer: &str) -> Validation {
        let mut validation = Validation::new(key.algorithm.to_jws());
        validation.leeway = self.leeway.as_secs();
        validation.validate_nbf = true;
        validation.set_audience(&[&self.audience]);
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        validation
    }

    /// Who it is, by claims that are proved.
    fn identity(&self, issuer: String, claims: Claims) -> Result<Identity, String> {
        let Claims { sub, exp, others } = claims;
        if sub.is_empty() {
            return Err(format!("token of {issuer:?} without a subject"));
        }
        let expires = expiry(exp, self.leeway)
            .ok_or_else(|| format!("token of {issuer:?} that expires at no time there is"))?;
        let mut identity = Identity::new("jwt")
            .with_issuer(issuer)
            .with_user(sub)
            .expires_at(expires);
        if let Some(claim) = others.get(&self.roles_claim) {
            identity = identity.with_roles(roles(claim).take(MAX_ROLES));
        }
        Ok(identity)
    }
}

/// When a token is taken no more.
fn expiry(exp: f64, leeway: Duration) -> Option<SystemTime> {
    // What lies further ahead than any certificate or clock is as good as this, and fits.
    const FAR: f64 = 253_402_300_800.0; // the year 10000
    let exp = Duration::try_from_secs_f64(exp.min(FAR)).ok()?;
    UNIX_EPOCH.checked_add(exp)?.checked_add(leeway)
}

/// A list of texts, or one text with spaces between them.
fn roles(claim: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
    match claim {
        Value::Array(list) => Box::new(list.iter().filter_map(Value::as_str)),
        Value::String(text) => Box::new(text.split_ascii_whitespace()),
        _ => Box::new(std::iter::empty()),
    }
}

/// Whether a credential has the form of a signed token, right or wrong: three parts, of which the first is JSON in Base64.
fn looks_like_one(credential: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_=".contains(byte);
    let parts: Vec<_> = credential.splitn(4, |byte| *byte == b'.').collect();
    parts.len() == 3
        && (credential.starts_with(b"ey") || credential.starts_with(b"ew"))
        && parts.iter().all(|part| part.iter().all(is_base64))
}

impl Authenticator for Jwt {
    async fn authenticate(&self, client: &ConnectRequest) -> Result<Option<Identity>, Status> {
        let token = client.credential();
        if !looks_like_one(token) {
            return Ok(None);
        }
        self.check(token).await.map(Some)
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("audience", &self.audience)
            .field("issuers", &self.issuers)
            .field("leeway", &self.leeway)
            .field("roles_claim", &self.roles_claim)
            .finish()
    }
}
