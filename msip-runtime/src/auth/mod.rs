//! Ready-made authenticators: who a client is, by what it sends or by what its transport knows.
//!
//! Each is given to [`ServerBuilder::authenticate`](crate::ServerBuilder::authenticate), alone or one after the other:
//!
//! | | of whom it says who it is | |
//! | --- | --- | --- |
//! | [`ApiKeys`] | of clients whose credential is an API key | from a file of hashed keys, which is read again when it changes |
//! | [`ClientCertificates`] | of clients with a TLS certificate | by the exact names in it |
//! | `UnixUsers` | of processes of this machine, over a Unix socket | by user and group |
//! | `Jwt` | of clients whose credential is a JSON Web Token | behind the feature `jwt` |
//! | [`Anonymous`] | of clients that send no credential at all | the last of a chain |
//!
//! In a chain each leaves a client without its kind of credential to the next one. A credential that it recognises and that is
//! wrong (unknown, expired, revoked) refuses the client, whatever comes after it: nobody gets in as a guest whose key has
//! expired. docs/identity.md has the whole picture.
//!
//! # Examples
//!
//! ```
//! use msip_runtime::auth::{Anonymous, ApiKeys};
//! # use msip_runtime::{Protocol, Server, ServerBuilder};
//!
//! # fn configure<P: Protocol>(url: &str, keys: &std::path::Path) -> Result<ServerBuilder<P>, Box<dyn std::error::Error>> {
//! let keys = ApiKeys::from_file(keys)?;
//! let server = Server::<P>::builder(url)
//!     .authenticate(keys)
//!     .authenticate(Anonymous::new().with_role("guest"));
//! # Ok(server)
//! # }
//! ```

mod anonymous;
mod api_keys;
mod certificates;
#[cfg(feature = "jwt")]
mod jwt;
#[cfg(unix)]
mod unix_users;
mod watched_file;

pub use anonymous::Anonymous;
pub use api_keys::{ApiKey, ApiKeyEntry, ApiKeyEntryError, ApiKeys, ApiKeysError};
pub use certificates::ClientCertificates;
#[cfg(feature = "jwt")]
pub use jwt::{Jwt, JwtAlgorithm, JwtKeyError, JwtKeys};
#[cfg(unix)]
pub use unix_users::UnixUsers;
