//! The builder of a client.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use super::{Client, ConnectWith, establish::Target, supervisor};
use crate::{
    Codec, Compression, ConnectError, Protocol,
    middleware::{Middleware, Stacks},
    negotiation::Translations,
    settings::{Settings, with_settings},
    transport::{AddressOrder, ServiceUrl},
};

/// Configures a client before it connects; from [`Client::builder`].
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
/// use greet::{ArrivedInd, Greet, HandleServerToClient, SendClientToServer as _};
/// use msip_runtime::prelude::*;
/// # use greet::{HandleClientToServer, HelloReq, HelloRsp};
///
/// /// What the server may say to this client.
/// struct Display;
///
/// impl HandleServerToClient for Display {
///     async fn on_arrived_ind(&self, _: &Client<Greet>, message: ArrivedInd) {
///         println!("{} is here too", message.name);
///     }
///
///     /// Called when an attempt to connect again has failed.
///     async fn on_connect_failure(&self, error: &ConnectError, attempt: u32) -> Reconnect {
///         eprintln!("attempt {attempt}: {error}");
///         Reconnect::Backoff
///     }
/// }
///
/// # struct Greeter;
/// # impl HandleClientToServer for Greeter {
/// #     async fn on_hello_req(&self, _: &Peer<Greet>, request: HelloReq) -> Result<HelloRsp, Status> {
/// #         Ok(HelloRsp { greeting: format!("hello, {}", request.name) })
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::<Greet>::bind("mem://client-builder").await?;
/// # let url = server.local_url().to_string();
/// # tokio::spawn(server.serve(Greeter));
/// let client = Client::<Greet>::builder(&url)
///     .handler(Display)
///     .name("greeter-cli")
///     .call_timeout(Duration::from_secs(5))
///     .connect()
///     .await?;
/// # client.hello_req(HelloReq { name: "ada".into() }).await?;
/// # client.close().await;
/// # Ok(())
/// # }
/// ```
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

    /// Handles the server's messages with `handler`, an implementation of the generated trait `HandleServerToClient`.
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
    /// Adds middleware around the handlers of incoming exchanges, inside of what was added before.
    #[must_use]
    pub fn incoming(mut self, middleware: impl Middleware) -> Self {
        self.stacks.incoming.push(middleware);
        self
    }

    /// Adds middleware around outgoing exchanges, inside of what was added before.
    #[must_use]
    pub fn outgoing(mut self, middleware: impl Middleware) -> Self {
        self.stacks.outgoing.push(middleware);
        self
    }

    /// The name of the client in its HELLO, for the server's logs. Default: empty.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Connects. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The address or a setting is invalid, or this first attempt failed: see [`ConnectError`].
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
