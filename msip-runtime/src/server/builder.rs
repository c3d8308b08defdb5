//! The builder of a server.

use std::{io, marker::PhantomData, sync::Arc, time::Duration};

use thiserror::Error;

use super::{Server, acceptor::IncomingConnections};
use crate::{
    Protocol, SettingError,
    middleware::{Middleware, Stacks},
    settings::{SchemaRule, Settings, with_settings},
    transport::{self, BoxListen, Listen, Listener, ServiceUrl, UrlError},
};

/// Why a server cannot listen.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The URL is not one that a server can listen at.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A setting of the URL or the builder is wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The connections would not be confidential: neither encrypted nor from this machine.
    #[error(
        "connections to {url} would not be confidential: listen at 127.0.0.1, or set `insecure`"
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
/// Each setting can be given in the URL too, under the same name; the URL wins, so that an operator can change what a
/// program has set.
#[derive(Debug)]
pub struct ServerBuilder<P> {
    url: String,
    settings: Settings,
    stacks: Stacks,
    name: String,
    listener: Option<BoxListen>,
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
            listener: None,
            protocol: PhantomData,
        }
    }

    /// Adds a middleware around the handlers of what clients begin, inside of those that were added before.
    #[must_use]
    pub fn incoming(mut self, middleware: impl Middleware) -> Self {
        self.stacks.incoming.push(middleware);
        self
    }

    /// Adds a middleware around what this server begins, inside of those that were added before. Broadcasts pass none of
    /// them.
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

    /// Accepts connections from `listener` rather than at the URL's address. The URL may have any scheme then; its
    /// settings hold, and [`local_url`](Server::local_url) is its address.
    #[must_use]
    pub fn listener(mut self, listener: impl Listen) -> Self {
        self.listener = Some(BoxListen::new(listener));
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
            listener,
            ..
        } = self;
        let url = match listener {
            Some(_) => ServiceUrl::parse_any(&url)?,
            None => ServiceUrl::parse(&url)?,
        };
        for (setting, value) in url.settings() {
            settings.apply(&["connection", "server"], setting, value)?;
        }
        settings.finish()?;
        url.check_direct()?;
        let address = url.only_address()?;
        let is_confidential = match &listener {
            Some(listener) => listener.is_confidential(),
            None => transport::is_confidential(address),
        };
        if !settings.insecure && !is_confidential {
            return Err(BindError::Insecure {
                url: url.to_string(),
            });
        }
        let listener = match listener {
            Some(listener) => Listener::own(listener, address.clone().into()),
            None => Listener::bind(&url).await.map_err(|source| BindError::Io {
                url: url.to_string(),
                source,
            })?,
        };
        Ok(Server {
            incoming: IncomingConnections::new(listener, settings.insecure),
            settings,
            stacks,
            name,
            registry: Arc::default(),
        })
    }
}
