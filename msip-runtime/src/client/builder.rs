//! The builder of a client.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use super::{Client, ConnectWith, establish::Target, supervisor};
use crate::{
    Codec, Compression, ConnectError, Protocol,
    middleware::{Middleware, Stacks},
    negotiation::Translations,
    settings::{Settings, with_settings},
    transport::{AddressOrder, Connect, Connector},
};

/// The settings of a client before it connects; from [`Client::builder`].
///
/// Each setting can be given in the URL too, under the same name; the URL wins, so that an operator can change what a
/// program has set.
#[derive(Debug)]
pub struct ClientBuilder<P, H> {
    url: String,
    handler: H,
    settings: Settings,
    stacks: Stacks,
    name: String,
    connector: Connector,
    protocol: PhantomData<fn() -> P>,
}

impl<P: Protocol> ClientBuilder<P, ()> {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            handler: (),
            settings: Settings::default(),
            stacks: Stacks::default(),
            name: String::new(),
            connector: Connector::default(),
            protocol: PhantomData,
        }
    }

    /// Handles what the server says with `handler`, an implementation of the generated `HandleServerToClient`.
    pub fn handler<H>(self, handler: H) -> ClientBuilder<P, H>
    where
        P: ConnectWith<H>,
    {
        let Self {
            url,
            handler: (),
            settings,
            stacks,
            name,
            connector,
            protocol,
        } = self;
        ClientBuilder {
            url,
            handler,
            settings,
            stacks,
            name,
            connector,
            protocol,
        }
    }
}

macro_rules! setters {
    (connection { $($(#[$doc:meta])* $name:ident: $ty:ty = $default:expr, $range:expr;)* }
     client { $($(#[$client_doc:meta])* $client:ident: $client_ty:ty = $client_default:expr, $client_range:expr;)* }
     server { $($server:tt)* }) => {
        impl<P, H> ClientBuilder<P, H> {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: $ty) -> Self {
                self.settings.$name = $name;
                self
            })*

            $($(#[$client_doc])*
            #[must_use]
            pub fn $client(mut self, $client: $client_ty) -> Self {
                self.settings.$client = $client;
                self
            })*
        }
    };
}
with_settings!(setters);

impl<P: Protocol, H> ClientBuilder<P, H> {
    /// Adds a middleware around the handlers of what the server begins, inside of those that were added before.
    #[must_use]
    pub fn incoming(mut self, middleware: impl Middleware) -> Self {
        self.stacks.incoming.push(middleware);
        self
    }

    /// Adds a middleware around what this client begins, inside of those that were added before.
    #[must_use]
    pub fn outgoing(mut self, middleware: impl Middleware) -> Self {
        self.stacks.outgoing.push(middleware);
        self
    }

    /// What the client calls itself in its HELLO, for the server's logs. Default: nothing.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Opens connections by `connector` rather than by the transport of the URL's scheme, which may be any then. It is
    /// called for each attempt, with one address of the URL.
    ///
    /// # Examples
    ///
    /// Through a proxy that is asked for the server by a line of text:
    ///
    /// ```
    /// # use msip_runtime::{Client, ConnectError, ConnectWith, Protocol};
    /// use std::io;
    /// use msip_runtime::transport::{Address, Connection};
    /// use tokio::{io::AsyncWriteExt as _, net::TcpStream};
    ///
    /// async fn through_proxy(server: Address) -> io::Result<Connection> {
    ///     let mut stream = TcpStream::connect("127.0.0.1:9000").await?;
    ///     stream.write_all(format!("{}\n", server.authority()).as_bytes()).await?;
    ///     let (local, proxy) = (stream.local_addr()?, stream.peer_addr()?);
    ///     Ok(Connection::new(stream, local.into(), proxy.into()))
    /// }
    ///
    /// # async fn connect<P: Protocol + ConnectWith<()>>() -> Result<Client<P>, ConnectError> {
    /// Client::<P>::builder("tcp://chat.example.org:7400?ping_interval=5s")
    ///     .connector(through_proxy)
    ///     .connect()
    ///     .await
    /// # }
    /// ```
    #[must_use]
    pub fn connector(mut self, connector: impl Connect) -> Self {
        self.connector = Connector::new(connector);
        self
    }

    /// Connects. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The URL or a setting is wrong, or this first connection failed: see [`ConnectError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the attempt.
    pub async fn connect(self) -> Result<Client<P>, ConnectError>
    where
        P: ConnectWith<H>,
        H: Send + Sync + 'static,
    {
        let Self {
            url,
            handler,
            mut settings,
            stacks,
            name,
            connector,
            ..
        } = self;
        let url = connector.parse(&url)?;
        url.check_direct()?;
        for (setting, value) in url.settings() {
            settings.apply(&["connection", "client"], setting, value)?;
        }
        settings.finish()?;
        let target = Target {
            url,
            connector,
            settings,
            stacks,
            name,
            translations: Translations::default(),
        };
        supervisor::start(target, Arc::new(handler)).await
    }
}
