//! The builder of a server.

mod listen;

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use super::{
    BindError, Server,
    authenticate::{Authenticator, Authenticators},
    handoff::{Handoff, Handoffs},
    protocols::{Offer, UntypedOffer, UntypedProtocol},
    typed_offer,
};
#[cfg(feature = "tls")]
use crate::transport::ServerTls;
use crate::{
    Protocol, ServeWith,
    dialect::DialectProtocol,
    middleware::{Middleware, Stacks},
    raw,
    settings::{CodecSet, CompressionSet, CompressionsFor, SchemaRule, Settings, with_settings},
    transport::{BoxListen, GivenOptions, Listen},
};

pub(super) use listen::Bound;

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
    handoffs: Handoffs,
    listener: Option<BoxListen>,
    /// The URLs at which it listens too.
    also: Vec<String>,
    given: GivenOptions,
    protocol: PhantomData<fn() -> P>,
}

type MakeOffer = Box<dyn FnOnce(&Stacks) -> Box<dyn Offer> + Send>;

/// A bound server, as a builder yields it.
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
            handoffs: Handoffs::default(),
            listener: None,
            also: Vec::new(),
            given: GivenOptions::default(),
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

    /// Hands over connections at the same address that do not open with an MSIP HELLO, and whose first bytes `handoff`
    /// recognizes. With several, each is asked in turn. A server without any spends nothing on it; with some, a client's
    /// first bytes are looked at before they are decoded.
    #[must_use]
    pub fn handoff(mut self, handoff: impl Handoff) -> Self {
        self.handoffs.push(handoff);
        self
    }

    /// Has `authenticator` say who a client is before anything else is done for it: before its session is looked up, before it
    /// is among the peers, and before anything that it says is handled. Without any, every client that can connect is
    /// served, and has no identity.
    ///
    /// It is one of the module [`auth`](crate::auth) (API keys, certificates, Unix users), a closure over a
    /// [`ConnectRequest`](crate::ConnectRequest), or a type of one's own: see [`Authenticator`] for one that keeps hashes of tokens. What it answers is [`peer.identity()`](crate::Peer::identity). Several are asked in the
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

    /// Adds middleware around outgoing exchanges, inside of what was added before. Broadcasts pass through none, but
    /// each is asked who [hears one](Middleware::permits_broadcast).
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

    /// The certificate of the server, and whom it lets in, where it listens by a transport over TLS: see [`ServerTls`]. It
    /// has no effect on others.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.given.server_tls = Some(tls);
        self
    }

    /// Listens at this URL too; may be called several times. All clients have one handler and are in one
    /// [`broadcast`](Server::broadcast), the limits of the server hold for all of them together, and a shutdown is that of
    /// all.
    ///
    /// The URL has the settings of its transport, such as `cert`; what [`tls`](Self::tls) was given holds for each URL of a
    /// transport over TLS. Settings of the server are in the first URL or here, and an error in another one. Whether an
    /// address is confidential is checked for each of them.
    ///
    /// Where the scheme is that of a dialect, such as `messi` with the feature of that name, its clients are translated, and served as all
    /// others: [`PeerConnection::dialect`](crate::PeerConnection::dialect) tells them apart. They have no credential and name no protocol: the URL has
    /// the setting `principal` where the server authenticates, and `protocol` where it offers several (docs/dialects.md).
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
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), msip_runtime::BindError> {
    /// use msip_runtime::Server;
    ///
    /// let server = Server::<chat::Chat>::builder("tcp://127.0.0.1:0?max_connections=100")
    ///     .also("mem://chat")
    ///     .bind()
    ///     .await?;
    /// assert_eq!(server.local_urls().count(), 2);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn also(mut self, url: impl Into<String>) -> Self {
        self.also.push(url.into());
        self
    }

    /// Accepts connections from `listener` rather than at the URL's address. The URL may have any scheme then; its
    /// settings hold, and [`local_url`](Server::local_url) is its address.
    #[must_use]
    pub fn listener(mut self, listener: impl Listen) -> Self {
        self.listener = Some(BoxListen::new(listener));
        self
    }
}

impl<P: Protocol> ServerBuilder<P> {
    /// Listens. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what it listens at.
    pub async fn bind(self) -> Result<Server<P>, BindError> {
        let Bound {
            incoming,
            settings,
            authenticators,
            stacks,
            name,
            others,
            handoffs,
        } = self.listen(Some(DialectProtocol::of::<P>())).await?;
        Ok(Server {
            incoming,
            settings,
            authenticators,
            stacks,
            name,
            registry: Arc::default(),
            others,
            handoffs,
        })
    }
}
