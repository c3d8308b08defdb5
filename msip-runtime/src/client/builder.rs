//! How a client is made.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use super::{
    Client, ClientSide, ConnectWith, KeepOpen, Shared,
    endpoint::TypedEndpoint,
    establish::{ProtocolId, Target},
    supervisor,
};
use crate::{
    Codec, Compression, ConnectError, Protocol,
    call::Serving,
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

/// What a builder comes to, whatever the protocol.
pub(super) struct Parts {
    url: ServiceUrl,
    settings: Settings,
    stacks: Stacks,
    name: String,
}

impl Parts {
    pub(super) fn target(self, protocol: ProtocolId, translations: Translations) -> Target {
        let Self {
            url,
            settings,
            stacks,
            name,
        } = self;
        Target {
            protocol,
            url,
            settings,
            stacks,
            name,
            translations,
        }
    }
}

impl<P: Protocol> ClientBuilder<P, ()> {
    /// Handles what the server says with `handler`, an implementation of the generated `HandleServerToClient`.
    pub fn handler<H>(self, handler: H) -> ClientBuilder<P, H>
    where
        P: ConnectWith<H>,
    {
        self.map_handler(|()| handler)
    }
}

impl<P, H> ClientBuilder<P, H> {
    pub(super) fn new(url: &str, handler: H) -> Self {
        Self {
            url: url.to_owned(),
            handler,
            settings: Settings::default(),
            stacks: Stacks::default(),
            name: String::new(),
            protocol: PhantomData,
        }
    }

    /// What the client calls itself in its HELLO, for the server's logs. Default: nothing.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    pub(super) fn map_handler<T>(self, map: impl FnOnce(H) -> T) -> ClientBuilder<P, T> {
        let Self {
            url,
            handler,
            settings,
            stacks,
            name,
            protocol,
        } = self;
        ClientBuilder {
            url,
            handler: map(handler),
            settings,
            stacks,
            name,
            protocol,
        }
    }

    /// Reads the URL, and checks the settings.
    pub(super) fn finish(self) -> Result<(H, Parts), ConnectError> {
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
        let parts = Parts {
            url,
            settings,
            stacks,
            name,
        };
        Ok((handler, parts))
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
        let (handler, parts) = self.finish()?;
        let protocol = ProtocolId {
            name: P::NAME.into(),
            fingerprint: P::fingerprint(),
        };
        let side = Arc::new(ClientSide::<P, H> {
            handler: Arc::new(handler),
            incoming: parts.stacks.incoming.clone(),
            protocol: PhantomData,
        });
        let target = parts.target(protocol, Translations::of::<P>());
        let endpoint = |shared: &Arc<Shared>| TypedEndpoint {
            side,
            client: Client::weak(shared),
        };
        let shared = supervisor::start(target, endpoint).await?;
        Ok(Client {
            keep: Some(Arc::new(KeepOpen(Arc::clone(&shared)))),
            shared,
            serving: Serving::default(),
            protocol: PhantomData,
        })
    }
}
