//! Why a broker cannot start.

use std::{io, net::SocketAddr, path::PathBuf};

use msip_runtime::{BindError, transport::TransportSettingError};
use thiserror::Error;

use crate::{config::ConfigErrors, directory::AuthenticationError};

/// Why a broker cannot start.
///
/// `Display` leaves a cause to `source()`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// It cannot listen at one of its URLs.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A certificate or a key of a listener cannot be used.
    #[error("cannot listen at {url}")]
    Listener {
        /// The URL of the listener.
        url: String,
        /// The setting, and what is wrong with its file.
        #[source]
        source: TransportSettingError,
    },
    /// It cannot answer HTTP requests there.
    #[error("cannot listen at http://{address}")]
    Admin {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// How peers say who they are cannot be used: a file is missing or wrong.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The file with a key of clients of MiddleMan cannot be used.
    #[error("cannot use the key of MiddleMan's clients in {}", path.display())]
    MiddleManKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// The configuration asks for what this program was built without.
    #[error("{what} needs the feature `{feature}` of msip-broker, which is off")]
    NotBuilt {
        /// What needs it.
        what: &'static str,
        /// Its name.
        feature: &'static str,
    },
}

/// What peers show cannot be checked.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct KeysError(AuthenticationError);

impl From<AuthenticationError> for BrokerError {
    fn from(error: AuthenticationError) -> Self {
        match error {
            AuthenticationError::NotBuilt { what, feature } => Self::NotBuilt { what, feature },
            error => Self::Keys(KeysError(error)),
        }
    }
}
