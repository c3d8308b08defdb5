//! The builder of a server.

use std::{fmt, io, marker::PhantomData, sync::Arc, time::Duration};

use thiserror::Error;

use super::{
    Server,
    acceptor::IncomingConnections,
    authenticate::{Authenticator, Authenticators},
    protocols::{Offer, ProtocolTable, UntypedOffer, UntypedProtocol},
    typed_offer,
};
use crate::{
    Protocol, ServeWith, SettingError,
    error::debug_with_causes,
    middleware::{Middleware, Stacks},
    raw,
    settings::{CodecSet, CompressionSet, CompressionsFor, SchemaRule, Settings, with_settings},
    transport::{
        self, BoxListen, Listen, ListenError, Listener, ServiceUrl, TransportSettingError, UrlError,
    },
};
use msip_session::wire::Side;

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
    /// Other machines could reach the address, and the transport is not confidential.
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
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
}

debug_with_causes!(BindError);

impl BindError {
    fn of_listen(url: &ServiceUrl, error: ListenError) -> Self {
        match error {
            ListenError::Setting(error) => error.into(),
            ListenError::Io(source) => Self::Io {
                url: url.to_string(),
                source,
            },
        }
    }
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
pub struct ServerBuilder<P> {
    url: String,
    settings: Settings,
    authenticators: Authenticators,
    stacks: Stacks,
    name: String,
    /// What is offered besides `P`, once the middleware is known.
    others: Vec<MakeOffer>,
    listener: Option<BoxListen>,
    protocol: PhantomData<fn() -> P>,
}

type MakeOffer = Box<dyn FnOnce(&Stacks) -> Box<dyn Offer> + Send>;

/// A bound server, as a builder yields it.
pub(super) struct Bound {
    pub(super) incoming: IncomingConnections,
    pub(super) settings: Settings,
    pub(super) authenticators: Authenticators,
    pub(super) stacks: Stacks,
    pub(super) name: String,
    pub(super) others: ProtocolTable,
}

impl<P> fmt::Debug for ServerBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("url", &self.url)
            .field("settings", &self.settings)
            .field("authenticators", &self.authenticators)
            .field("stacks", &self.stacks)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
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

impl<P> ServerBuilder<P> {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            settings: Settings::default(),
            authenticators: Authenticators::default(),
            stacks: Stacks::default(),
            name: String::new(),
            others: Vec::new(),
            listener: None,
            protocol: PhantomData,
        }
    }

    /// Offers another protocol at the same address: a client's HELLO names the one that it speaks, and gets its handler. The
    /// middleware of this builder is around the exchanges of all of them.
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
    /// # mod admin {
    /// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
    /// #     #[derive(ClientToServer)]
    /// #     #[msip(protocol = "admin")]
    /// #     pub enum ClientToServer { #[msip(tag = 1)] StopInd(StopInd) }
    /// #     #[derive(ServerToClient)]
    /// #     pub enum ServerToClient { #[msip(tag = 1)] StoppedInd(StopInd) }
    /// #     #[derive(Message)]
    /// #     pub struct StopInd {}
    /// # }
    /// # struct ChatHandler;
    /// # impl chat::HandleClientToServer for ChatHandler {
    /// #     async fn on_say_ind(&self, _: &msip_runtime::Peer<chat::Chat>, _: chat::SayInd) {}
    /// # }
    /// # struct AdminHandler;
    /// # impl admin::HandleClientToServer for AdminHandler {
    /// #     async fn on_stop_ind(&self, _: &msip_runtime::Peer<admin::Admin>, _: admin::StopInd) {}
    /// # }
    /// use msip_runtime::Server;
    ///
    /// # async fn serve() -> Result<(), msip_runtime::BindError> {
    /// let server = Server::<chat::Chat>::builder("tcp://127.0.0.1:7400")
    ///     .protocol::<admin::Admin, _>(AdminHandler)
    ///     .bind()
    ///     .await?;
    /// server.serve(ChatHandler).await;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn protocol<Q, H>(mut self, handler: H) -> Self
    where
        Q: ServeWith<H>,
        H: Send + Sync + 'static,
    {
        self.others.push(Box::new(|stacks: &Stacks| {
            typed_offer::<Q, H>(handler, stacks.clone(), Arc::default())
        }));
        self
    }

    /// Offers an untyped protocol at the same address, or any protocol that no other has the name of. No middleware is around
    /// its exchanges.
    #[must_use]
    pub fn untyped(mut self, protocol: UntypedProtocol, service: impl raw::Service) -> Self {
        self.others.push(Box::new(|_: &Stacks| {
            Box::new(UntypedOffer::new(protocol, service)) as Box<dyn Offer>
        }));
        self
    }

    /// Has `authenticator` say who a client is before anything else is done for it: before its session is looked up, before it
    /// is among the peers, and before anything that it says is handled. Without any, every client that can connect is
    /// served, and has no identity.
    ///
    /// It is a closure over a [`ConnectRequest`](crate::ConnectRequest), or a type of one's own: see [`Authenticator`] for one
    /// that keeps hashes of tokens. What it answers is [`peer.identity()`](crate::Peer::identity). Several are asked in the
    /// order in which they are given, until one answers. They have what is left of `handshake_timeout`, hold a place of
    /// `max_handshakes`, and their future is dropped when the client leaves.
    ///
    /// A client that is refused with `UNAUTHENTICATED`, or that nobody knows, is told `UNAUTHENTICATED: not authenticated`
    /// whatever the reason; the reason is logged. The text of any other status is sent as it is.
    ///
    /// ```
    /// # mod greet {
    /// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
    /// #     #[derive(ClientToServer)]
    /// #     #[msip(protocol = "greet")]
    /// #     pub enum ClientToServer { #[msip(tag = 1)] WhoReq(Nothing) }
    /// #     #[derive(ServerToClient)]
    /// #     pub enum ServerToClient { #[msip(tag = 1)] WhoRsp(Name) }
    /// #     #[derive(Message)]
    /// #     pub struct Nothing {}
    /// #     #[derive(Debug, PartialEq, Message)]
    /// #     pub struct Name { #[msip(tag = 1)] pub name: String }
    /// # }
    /// use greet::{Greet, HandleClientToServer, Name, Nothing, SendClientToServer as _};
    /// use msip_runtime::{ConnectRequest, Identity, prelude::*};
    ///
    /// struct Greeter;
    ///
    /// impl HandleClientToServer for Greeter {
    ///     async fn on_who_req(&self, peer: &Peer<Greet>, _: Nothing) -> Result<Name, Status> {
    ///         let identity = peer.identity().ok_or_else(|| Status::unauthenticated("who?"))?;
    ///         Ok(Name { name: identity.user.clone() })
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Server::<Greet>::builder("mem://authenticate")
    ///     .authenticate(|client: ConnectRequest| async move {
    ///         // `Authenticator` has an example with hashed tokens.
    ///         match client.credential() {
    ///             b"ada's token" => Ok(Identity::new("token").with_user("ada").with_role("operator")),
    ///             _ => Err(Status::unauthenticated("unknown token")),
    ///         }
    ///     })
    ///     .bind()
    ///     .await?;
    /// tokio::spawn(server.serve(Greeter));
    ///
    /// let ada = Client::<Greet>::builder("mem://authenticate").credential("ada's token").connect().await?;
    /// assert_eq!(ada.who_req(Nothing {}).await?.name, "ada");
    /// let stranger = Client::<Greet>::connect("mem://authenticate").await;
    /// assert!(matches!(
    ///     stranger,
    ///     Err(ConnectError::Refused { status, .. }) if status.code() == Code::Unauthenticated
    /// ));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn authenticate(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticators.push(authenticator);
        self
    }

    /// Puts a middleware around the handlers of what clients begin, inside of those that were put there before.
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

    /// Accepts connections from `listener` rather than at the URL's address. The URL may have any scheme then; its
    /// settings hold, and [`local_url`](Server::local_url) is its address.
    #[must_use]
    pub fn listener(mut self, listener: impl Listen) -> Self {
        self.listener = Some(BoxListen::new(listener));
        self
    }

    /// Reads the URL, checks the settings, and listens.
    pub(super) async fn listen(self) -> Result<Bound, BindError> {
        crate::instruments::describe();
        let Self {
            url,
            mut settings,
            authenticators,
            stacks,
            name,
            others,
            listener,
            ..
        } = self;
        let url = match listener {
            Some(_) => ServiceUrl::parse_any(&url)?,
            None => ServiceUrl::parse(&url)?,
        };
        let options = url.transport_options(Side::Accepting);
        settings.apply_url(&["connection", "server"], &url, &options)?;
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
            None => {
                let bound = Listener::bind_with(address, &options).await;
                bound.map_err(|error| BindError::of_listen(&url, error))?
            }
        };
        let mut table = ProtocolTable::default();
        for make in others {
            table.push(make(&stacks));
        }
        Ok(Bound {
            incoming: IncomingConnections::new(listener, settings.insecure),
            settings,
            authenticators,
            stacks,
            name,
            others: table,
        })
    }
}

impl<P: Protocol> ServerBuilder<P> {
    /// Listens. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    pub async fn bind(self) -> Result<Server<P>, BindError> {
        let Bound {
            incoming,
            settings,
            authenticators,
            stacks,
            name,
            others,
        } = self.listen().await?;
        Ok(Server {
            incoming,
            settings,
            authenticators,
            stacks,
            name,
            registry: Arc::default(),
            others,
        })
    }
}
