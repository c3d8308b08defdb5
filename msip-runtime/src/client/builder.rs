//! The builder of a client.

mod parts;

use std::{marker::PhantomData, sync::Arc, time::Duration};

use super::{
    Client, ClientShared, ClientSide, ConnectWith,
    credential::{CredentialSource, IntoCredential},
    endpoint::TypedEndpoint,
    establish::ProtocolId,
    supervisor,
};
#[cfg(feature = "tls")]
use crate::transport::ClientTls;
use crate::{
    Channel, Codec, Compression, ConnectError, Protocol,
    call::Serving,
    compatibility::PeerSchemas,
    describe::OwnSchema,
    dialect::DialectProtocol,
    middleware::{Middleware, Stacks},
    negotiation::Translations,
    settings::{Settings, with_settings},
    transport::{AddressOrder, Connect, Connector, GivenOptions},
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
    pub(super) url: String,
    handler: H,
    settings: Settings,
    pub(super) stacks: Stacks,
    name: String,
    pub(super) connector: Option<Connector>,
    given: GivenOptions,
    credential: CredentialSource,
    channels: Vec<Channel>,
    protocol: PhantomData<fn() -> P>,
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
            connector: None,
            given: GivenOptions::default(),
            credential: CredentialSource::default(),
            channels: Vec::new(),
            protocol: PhantomData,
        }
    }

    /// What the client calls itself in its HELLO, for the server's logs: 256 bytes of it, to the end of a character. Default:
    /// nothing.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The key or token by which the server knows this client: its bytes, or an async function that is asked at each attempt to
    /// connect, for tokens that do not last. See [`ServerBuilder::authenticate`](crate::ServerBuilder::authenticate) for the
    /// other end. Default: none.
    ///
    /// It leaves only over a connection that others cannot read: encrypted, or on this machine. Elsewhere connecting fails
    /// with [`ConnectError::NotConfidential`] before anything is sent, unless the setting `insecure` says that the network
    /// between is trusted. It is at most 6 KiB, and is never logged.
    ///
    /// Where the server answers `UNAUTHENTICATED`, a function is asked once more, and the attempt repeated with what it
    /// yields. It has `connect_timeout`, and its error is [`ConnectError::Credential`].
    ///
    /// The URL can name a source too, which takes precedence: `?token_file=PATH`, a file that is read at each attempt, without the
    /// line break at its end, or `?token_env=NAME`, a variable of the environment.
    ///
    /// ```
    /// # mod chat {
    /// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
    /// #     #[derive(ClientToServer)]
    /// #     #[msip(protocol = "chat")]
    /// #     pub enum ClientToServer { #[msip(tag = 1)] SayInd(SayInd) }
    /// #     #[derive(ServerToClient)]
    /// #     pub enum ServerToClient { #[msip(tag = 1)] SaidInd(SayInd) }
    /// #     #[derive(Message)]
    /// #     pub struct SayInd { #[msip(tag = 1)] pub text: String }
    /// # }
    /// # use chat::Chat;
    /// use msip_runtime::Client;
    ///
    /// let fixed = Client::<Chat>::builder("tcp://127.0.0.1:7400").credential("a long random token");
    /// let fresh = Client::<Chat>::builder("tcp://127.0.0.1:7400")
    ///     .credential(|| async { std::fs::read("/run/secrets/chat-token") });
    /// # let _ = (fixed, fresh);
    /// ```
    #[must_use]
    pub fn credential(mut self, credential: impl IntoCredential) -> Self {
        self.credential = credential.into_source();
        self
    }

    /// Whom the client trusts, and who it is, where its URL is of a transport over TLS: see [`ClientTls`]. It has no
    /// effect on others.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.given.client_tls = Some(tls);
        self
    }

    /// Adds a second way for messages of some kinds: see [`Channel`]. Of kinds that a channel of the URL is for, none goes by
    /// this one.
    ///
    /// # Protocol
    ///
    /// docs/protocol.md, "Channels".
    #[must_use]
    pub fn channel(mut self, channel: Channel) -> Self {
        self.channels.push(channel);
        self
    }

    pub(crate) fn map_handler<T>(self, map: impl FnOnce(H) -> T) -> ClientBuilder<P, T> {
        let Self {
            url,
            handler,
            settings,
            stacks,
            name,
            connector,
            given,
            credential,
            channels,
            protocol,
        } = self;
        ClientBuilder {
            url,
            handler: map(handler),
            settings,
            stacks,
            name,
            connector,
            given,
            credential,
            channels,
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
        self.connector = Some(Connector::new(connector));
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
        let (handler, parts) = self.finish()?;
        let parts = parts.typed(DialectProtocol::of::<P>())?;
        let protocol = ProtocolId {
            name: P::NAME.into(),
            fingerprint: P::fingerprint(),
        };
        let side = Arc::new(ClientSide::<P, H> {
            handler: Arc::new(handler),
            incoming: parts.stacks.incoming.clone(),
            protocol: PhantomData,
        });
        let schemas = PeerSchemas::of_servers(OwnSchema::of::<P>());
        let target = parts.target(protocol, Translations::of::<P>(), Some(schemas));
        let endpoint = |shared: &Arc<ClientShared>| TypedEndpoint {
            side,
            client: Client::weak(shared),
        };
        let keep = supervisor::start(target, endpoint).await?;
        Ok(Client {
            shared: Arc::clone(&keep.0),
            keep: Some(Arc::new(keep)),
            login: None,
            serving: Serving::default(),
            protocol: PhantomData,
        })
    }
}
