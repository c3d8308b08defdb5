//! The builder of a server.

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
    /// The address is invalid.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A setting, in the address or the builder, is invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// Other machines could reach the address, and the transport is not confidential.
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
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
}

/// Configures a server before it listens; from [`Server::builder`].
///
/// Each setting can also be given in the address, under the same name. The address takes precedence, so that an
/// operator can override what a program has set.
///
/// # Examples
///
/// ```
/// # mod greet {
/// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
/// #     #[derive(Debug, ClientToServer)]
/// #     #[msip(protocol = "greet")]
/// #     pub enum ClientToServer {
/// #         #[msip(tag = 1)]
/// #         HelloReq(HelloReq),
/// #     }
/// #     #[derive(Debug, ServerToClient)]
/// #     pub enum ServerToClient {
/// #         #[msip(tag = 1)]
/// #         HelloRsp(HelloRsp),
/// #         #[msip(tag = 2)]
/// #         ArrivedInd(ArrivedInd),
/// #     }
/// #     #[derive(Debug, Message)]
/// #     pub struct HelloReq {
/// #         #[msip(tag = 1)]
/// #         pub name: String,
/// #     }
/// #     #[derive(Debug, Message)]
/// #     pub struct HelloRsp {
/// #         #[msip(tag = 1)]
/// #         pub greeting: String,
/// #     }
/// #     #[derive(Debug, Message)]
/// #     pub struct ArrivedInd {
/// #         #[msip(tag = 1)]
/// #         pub name: String,
/// #     }
/// # }
/// use std::time::Duration;
/// use greet::Greet;
/// use msip_runtime::{middleware::{ConcurrencyLimit, Timeout}, prelude::*};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::<Greet>::builder("mem://server-builder?max_connections=100")
///     .name("greeter")
///     .session_expiry(Duration::from_secs(60))
///     .incoming(ConcurrencyLimit::new(256))
///     .incoming(Timeout::new(Duration::from_secs(5)))
///     .bind()
///     .await?;
/// assert_eq!(server.local_url().to_string(), "mem://server-builder");
/// # Ok(())
/// # }
/// ```
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

    /// Adds middleware around the handlers of incoming exchanges, inside of what was added before.
    #[must_use]
    pub fn incoming(mut self, middleware: impl Middleware) -> Self {
        self.stacks.incoming.push(middleware);
        self
    }

    /// Adds middleware around outgoing exchanges, inside of what was added before. Broadcasts pass through none.
    #[must_use]
    pub fn outgoing(mut self, middleware: impl Middleware) -> Self {
        self.stacks.outgoing.push(middleware);
        self
    }

    /// The name of the server in its answer to HELLO. Default: empty.
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
