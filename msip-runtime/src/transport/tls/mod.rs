//! TLS, for the transports that speak it.
//!
//! [`ClientTls`] and [`ServerTls`] say what is to be done; `connector` and `acceptor` read the files, and turn streams of
//! any kind into TLS streams for the application protocol (ALPN) that the caller names.

mod certificate_names;
mod client;
mod error;
mod pem;
mod provider;
mod server;
mod stream;

use std::fmt::Display;

pub use client::ClientTls;
pub use error::TlsError;
#[cfg(feature = "quic")]
pub(super) use error::of_server;
pub use pem::Pem;
#[cfg(feature = "quic")]
pub(super) use server::Active;
pub(super) use server::TlsAcceptor;
pub use server::{ClientAuth, ServerTls};

use super::TransportSettingError;

/// The settings of URLs: of a client, and of a server.
pub(super) const CLIENT_SETTINGS: &[&str] = &["ca", "cert", "key", "server_name"];
pub(super) const SERVER_SETTINGS: &[&str] =
    &["cert", "key", "client_ca", "client_auth", "proxy_from"];

/// Why a file is refused beside a config of rustls.
const BESIDE_CONFIG: &str = "the program has its own rustls config, which says all of this";

/// An error of rustls about what a setting says.
fn failed(name: &'static str, value: impl Display, error: &dyn Display) -> TransportSettingError {
    TransportSettingError::new(name, value.to_string(), error)
}
