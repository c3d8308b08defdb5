//! Whether servers speak the schemas that are known here.

use std::{fmt, time::Duration};

use msip_runtime::untyped::UntypedClient;

use crate::ProtocolModel;

/// How long a server has to say which schema it has.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a server says of the schema of one protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fit {
    /// It has the same.
    Same {
        /// The package.
        package: String,
    },
    /// It has another version.
    Other {
        /// The package.
        package: String,
        /// The fingerprint that is known here.
        ours: u64,
        /// That of the server.
        theirs: u64,
    },
    /// It was not reached, or does not say.
    Unknown {
        /// The package.
        package: String,
        /// Why.
        reason: String,
    },
}

impl Fit {
    /// Whether it is known that they are the same.
    #[must_use]
    pub fn is_same(&self) -> bool {
        matches!(self, Self::Same { .. })
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same { package } => write!(f, "{package} fits"),
            Self::Other {
                package,
                ours,
                theirs,
            } => {
                write!(
                    f,
                    "{package} does not fit: {ours:016x} here, {theirs:016x} on the server"
                )
            }
            Self::Unknown { package, reason } => {
                write!(f, "whether {package} fits is not known: {reason}")
            }
        }
    }
}

/// Asks the server at this address for the fingerprint of each of these protocols, one after the other.
///
/// A server that authenticates refuses to say, since nobody is there yet on whose behalf it could be asked; so does one that
/// is not reached within 5 s.
///
/// # Cancel safety
///
/// Dropping the future asks no further.
pub async fn check_fingerprints(url: &str, models: &[ProtocolModel]) -> Vec<Fit> {
    let mut fits = Vec::with_capacity(models.len());
    for model in models {
        let package = model.schema().package().to_owned();
        let ours = model.schema().fingerprint();
        let client = UntypedClient::builder(url, package.clone(), ours).name("msip-gateway");
        fits.push(
            match tokio::time::timeout(PATIENCE, client.connect()).await {
                Ok(Ok(client)) => {
                    let theirs = client.connection().server_fingerprint();
                    client.close().await;
                    if theirs == ours {
                        Fit::Same { package }
                    } else {
                        Fit::Other {
                            package,
                            ours,
                            theirs,
                        }
                    }
                }
                Ok(Err(error)) => Fit::Unknown {
                    package,
                    reason: error.to_string(),
                },
                Err(_) => Fit::Unknown {
                    package,
                    reason: "the server does not answer".to_owned(),
                },
            },
        );
    }
    fits
}
