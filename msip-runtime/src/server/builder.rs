//! How a server is made.

use std::{io, marker::PhantomData, sync::Arc, time::Duration};

use thiserror::Error;

use super::Server;
use crate::{
    Protocol, SettingError,
    middleware::{Middleware, Stacks},
    settings::{SchemaRule, Settings, with_settings},
    transport::{Listener, ServiceUrl, UrlError},
};

/// Why a server cannot listen.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address makes no sense.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A setting, in the address or the builder, makes no sense.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// Others could reach the address, and nothing would keep what is said from them.
    #[error(
        "{url} can be reached from other machines, in plaintext: listen at 127.0.0.1, or set `insecure`"
    )]
    Insecure {
        /// Where it was to listen.
        url: String,
    },
    /// The operating system refused.
    #[error("cannot listen at {url}")]
    Io {
        /// Where it was to listen.
        url: String,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
}

/// The settings of a server before it listens; from [`Server::builder`].
///
/// Each setting can stand in the address too, under the same name; what the address says wins, so that an operator
/// can change what a program has set.
#[derive(Debug)]
pub struct ServerBuilder<P> {
    url: String,
    settings: Settings,
    stacks: Stacks,
    name: String,
    protocol: PhantomData<fn() -> P>,
}

macro_rules! setters {
    (connection { $($(#[$doc:meta])* $name:ident: $ty:ty = $default:expr, $range:expr;)* }
     client { $($client:tt)* }
     server { $($(#[$server_doc:meta])* $server:ident: $server_ty:ty = $server_default:expr, $server_range:expr;)* }) => {
        impl<P> ServerBuilder<P> {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: $ty) -> Self {
                self.settings.$name = $name;
                self
            })*

            $($(#[$server_doc])*
            #[must_use]
            pub fn $server(mut self, $server: $server_ty) -> Self {
                self.settings.$server = $server;
                self
            })*
        }
    };
}
with_settings!(setters);

impl<P: Protocol> ServerBuilder<P> {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            settings: Settings::default(),
            stacks: Stacks::default(),
            name: String::new(),
            protocol: PhantomData,
        }
    }

    /// Puts a middleware around the handlers of what clients begin, inside of those that were put there before.
    #[must_use]
    pub fn incoming(mut self, middleware: impl Middleware) -> Self {
        self.stacks.incoming.push(middleware);
        self
    }

    /// Puts a middleware around what this server begins, inside of those that were put there before. Broadcasts pass none of them.
    #[must_use]
    pub fn outgoing(mut self, middleware: impl Middleware) -> Self {
        self.stacks.outgoing.push(middleware);
        self
    }

    /// What the server calls itself in its answer to HELLO. Default: nothing.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Listens. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    pub async fn bind(self) -> Result<Server<P>, BindError> {
        let Self {
            url,
            mut settings,
            stacks,
            name,
            ..
        } = self;
        let url = ServiceUrl::parse(&url)?;
        for (setting, value) in url.settings() {
            settings.apply(&["connection", "server"], setting, value)?;
        }
        settings.finish()?;
        let address = url.only_address()?;
        if !settings.insecure && !address.is_local() {
            return Err(BindError::Insecure {
                url: url.to_string(),
            });
        }
        let listener = Listener::bind(&url).await.map_err(|source| BindError::Io {
            url: url.to_string(),
            source,
        })?;
        Ok(Server {
            listener,
            settings,
            stacks,
            name,
            registry: Arc::default(),
        })
    }
}
