//! Why a server cannot listen.

use std::io;

use thiserror::Error;

use crate::{
    SettingError,
    dialect::{DialectProtocol, ListenerError},
    error::debug_with_causes,
    transport::{ListenError, ServiceUrl, TransportSettingError, UrlError},
};

/// Why a server cannot listen.
///
/// `Display` is one line, which leaves a cause to `source()`; `Debug` is that line with all causes, as it is what Rust prints
/// where `main` returns an error.
#[derive(Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address is invalid.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A setting, in the address or the builder, is invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A setting of the address's transport cannot be used.
    #[error(transparent)]
    TransportSetting(#[from] TransportSettingError),
    /// The URL of [`ServerBuilder::also`](super::ServerBuilder::also) has a setting of the whole server.
    #[error(
        "setting `{name}` in {url} is one of the whole server: give it in the first URL or the builder"
    )]
    ServerSetting {
        /// The URL.
        url: String,
        /// The name of the setting.
        name: String,
    },
    /// Other machines could reach the address, and the transport is not confidential.
    #[error(
        "connections to {url} would not be confidential: listen at 127.0.0.1, or set `insecure`"
    )]
    Insecure {
        /// Where it was to listen.
        url: String,
    },
    /// The server authenticates its clients, and those that come there by a dialect have no credential: the URL has to say whom
    /// they are taken for.
    #[error(
        "the server authenticates, and clients that speak {dialect} have no credential: say whom those at {url} are taken for, `principal=NAME`"
    )]
    NoPrincipal {
        /// Where it was to listen.
        url: String,
        /// The name of the dialect.
        dialect: &'static str,
    },
    /// Clients that come there by a dialect do not say which protocol they speak, and it is not clear which one of the server's that is.
    #[error(
        "{}: clients that speak {dialect} at {url} do not say which protocol they speak, and the server has {offered}",
        which_protocol(.named.as_deref())
    )]
    DialectProtocol {
        /// Where it was to listen.
        url: String,
        /// The name of the dialect.
        dialect: &'static str,
        /// The protocol that `protocol=` names.
        named: Option<String>,
        /// The protocols with a schema that the server offers.
        offered: String,
    },
    /// The operating system refused.
    #[error("cannot listen at {url}")]
    Io {
        /// Where it was to listen.
        url: String,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
}

debug_with_causes!(BindError);

fn which_protocol(named: Option<&str>) -> String {
    match named {
        Some(named) => format!("`protocol={named}` is none of the server"),
        None => "give the setting `protocol=NAME`".to_owned(),
    }
}

impl BindError {
    pub(super) fn of_dialect(
        url: &ServiceUrl,
        error: ListenerError,
        protocols: &[DialectProtocol],
    ) -> Self {
        let url = url.to_string();
        match error {
            ListenerError::Setting(error) => error.into(),
            ListenerError::NoPrincipal { dialect } => Self::NoPrincipal { url, dialect },
            ListenerError::Protocol { dialect, named } => Self::DialectProtocol {
                url,
                dialect,
                named,
                offered: match protocols {
                    [] => "none with a schema".to_owned(),
                    all => {
                        let names: Vec<_> =
                            all.iter().map(|all| format!("`{}`", all.name)).collect();
                        names.join(", ")
                    }
                },
            },
        }
    }

    pub(super) fn of_listen(url: &ServiceUrl, error: ListenError) -> Self {
        match error {
            ListenError::Setting(error) => error.into(),
            ListenError::Io(source) => Self::Io {
                url: url.to_string(),
                source,
            },
        }
    }
}
