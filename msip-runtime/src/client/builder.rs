//! How a client is made.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use super::{Client, ConnectWith, establish::Target, supervisor};
use crate::{
    Codec, Compression, ConnectError, Protocol,
    middleware::{Middleware, Stacks},
    negotiation::Translations,
    settings::{Settings, with_settings},
    transport::{AddressOrder, ServiceUrl},
};

/// The settings of a client before it connects; from [`Client::builder`].
///
/// Each setting can stand in the address too, under the same name; what the address says wins, so that an operator
/// can change what a program has set.
#[derive(Debug)]
pub struct ClientBuilder<P, H> {
    url: String,
    handler: H,
    settings: Settings,
    stacks: Stacks,
    name: String,
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
            protocol,
        } = self;
        ClientBuilder {
            url,
            handler,
            settings,
            stacks,
            name,
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
    /// Puts a middleware around the handlers of what the server begins, inside of those that were put there before.
    #[must_use]
    pub fn incoming(mut self, middleware: impl Middleware) -> Self {
        self.stacks.incoming.push(middleware);
        self
    }

    /// Puts a middleware around what this client begins, inside of those that were put there before.
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

    /// Connects. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The address or a setting makes no sense, or this first connection failed: see [`ConnectError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up.
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
            ..
        } = self;
        let url = ServiceUrl::parse(&url)?;
        for (setting, value) in url.settings() {
            settings.apply(&["connection", "client"], setting, value)?;
        }
        settings.finish()?;
        let target = Target {
            url,
            settings,
            stacks,
            name,
            translations: Translations::default(),
        };
        supervisor::start(target, Arc::new(handler)).await
    }
}
