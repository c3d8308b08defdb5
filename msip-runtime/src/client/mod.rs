//! The client: one connection, which is kept alive.

mod backoff;
mod broker_connection;
mod builder;
mod channels;
mod client_side;
mod connect_with;
mod connection;
mod credential;
mod endpoint;
mod establish;
mod login;
mod login_hook;
mod multiplexed;
mod outbound;
mod parent;
#[cfg(feature = "testing")]
mod stub;
mod subscription;
mod supervisor;
mod token;
mod topic;
mod topic_client;
mod topic_clients;
#[cfg(feature = "datagram")]
mod udp_channel;
mod untyped;

use std::{future::Future, marker::PhantomData, sync::Arc, time::Duration};

use tokio::sync::watch;

pub use backoff::Reconnect;
pub use broker_connection::{BrokerConnection, ToBroker};
pub use builder::ClientBuilder;
pub use connect_with::ConnectWith;
pub use connection::{ConnectionInfo, ConnectionState};
pub use credential::{Credential, IntoCredential};
pub(crate) use multiplexed::MultiplexedConnection;
#[cfg(feature = "testing")]
pub(crate) use stub::StubOutbound;
pub use untyped::{Ignore, UntypedClient, UntypedService};

use crate::{
    CallError, CallOptions, CloseReason, Code, ConnectError, Protocol, Sender, Status,
    call::{Call, Serving},
    connection::ConnectionShared,
    middleware::Stack,
    outbound::SendHandle,
    with::With,
};
use client_side::ClientSide;
use connection::SharedInfo;
use parent::ParentConnection;
use topic::ClientTopic;

/// A client of the protocol `P`. What a client may say are methods of the generated trait `SendClientToServer`.
///
/// It is a cheap handle: clones share one connection, which a task keeps alive. When the connection is lost the client
/// reconnects, with exponential backoff, for ever or as the handler's `on_connect_failure` decides, and resumes its
/// session: unanswered deliveries are sent again, and open calls get their answers or a definite error. Meanwhile new
/// sends and calls fail at once with [`SendError::Disconnected`](crate::SendError::Disconnected), unless the setting
/// `buffer_disconnected` allows them to be buffered. Where the server no longer knows the session,
/// [`lost_sessions`](ConnectionInfo::lost_sessions) of [`connection`](Self::connection) reports what is lost. When the
/// last handle is dropped the connection is closed as by [`close`](Self::close), but in the background. The `&Client`
/// that a handler is given does not keep the connection open.
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
/// use greet::{Greet, HelloReq, SendClientToServer as _};
/// use msip_runtime::prelude::*;
/// # use greet::{HandleClientToServer, HelloRsp};
///
/// # struct Greeter;
/// # impl HandleClientToServer for Greeter {
/// #     async fn on_hello_req(&self, _: &Peer<Greet>, request: HelloReq) -> Result<HelloRsp, Status> {
/// #         Ok(HelloRsp { greeting: format!("hello, {}", request.name) })
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::<Greet>::bind("mem://client").await?;
/// # let url = server.local_url().to_string();
/// # tokio::spawn(server.serve(Greeter));
/// let client = Client::<Greet>::connect(&url).await?;
/// let answer = client.hello_req(HelloReq { name: "ada".into() }).await?;
/// assert_eq!(answer.greeting, "hello, ada");
///
/// // Another deadline, for this call alone.
/// let options = CallOptions::new().timeout(Duration::from_secs(2));
/// match client.with(options).hello_req(HelloReq { name: "bob".into() }).await {
///     Ok(answer) => println!("{}", answer.greeting),
///     Err(CallError::DeadlineExceeded { .. }) => println!("the server took too long"),
///     Err(error) => return Err(error.into()),
/// }
/// client.close().await;
/// # Ok(())
/// # }
/// ```
///
/// # Protocol
///
/// docs/protocol.md, "Handshake" and "Liveness".
pub struct Client<P: Protocol> {
    shared: Arc<ClientShared>,
    /// Closes the connection when the last handle goes. Handlers have none.
    keep: Option<Arc<KeepOpen>>,
    serving: Serving,
    /// What `on_connected` and the clones of its handle send with; nothing in any other.
    login: Option<Arc<CallOptions>>,
    protocol: PhantomData<fn() -> P>,
}

/// What the handles and the supervisor task share.
#[derive(Debug)]
struct ClientShared {
    connection: Arc<ConnectionShared>,
    /// The topic of a broker that it speaks at; `None` on a direct connection.
    topic: Option<ClientTopic>,
    /// Where the connection is that of others too.
    parent: Option<ParentConnection>,
    outgoing: Stack,
    state: watch::Sender<ConnectionState>,
    /// Set once the client is to be closed.
    stop: watch::Sender<bool>,
    /// How far the login is.
    login: watch::Sender<Login>,
    info: SharedInfo,
}

/// How far the login of a connection is, for the handlers of what came by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Login {
    /// `on_connected` has not returned.
    Pending,
    /// It has, or no handler has to wait for it any longer.
    Done,
}

/// Asks the connection to close when it is dropped.
#[derive(Debug)]
struct KeepOpen(Arc<ClientShared>);

impl Drop for KeepOpen {
    fn drop(&mut self) {
        self.0.request_stop();
    }
}

impl ClientShared {
    fn request_stop(&self) {
        if self.parent.is_some() {
            return self.end_at_topic(CloseReason::ClosedByUs);
        }
        self.stop.send_replace(true);
        let status = Status::new(Code::Cancelled, "the client closes the connection");
        self.connection.close_channels(&status);
        self.connection.begin_close(&status);
    }

    /// Closes a client that shares its connection, for this reason: nothing more is sent by it, and its task ends it.
    fn end_at_topic(&self, reason: CloseReason) {
        if let Some(parent) = &self.parent {
            parent.closed.close(reason);
        }
        self.stop.send_replace(true);
    }

    /// What is sent by.
    #[inline]
    fn sending(&self) -> &Arc<ConnectionShared> {
        match &self.parent {
            None => &self.connection,
            Some(parent) => parent.connection(),
        }
    }
}

impl<P: Protocol> Client<P> {
    /// Connects to a server, without a handler: messages of the server are ignored, and its calls are answered with
    /// `UNIMPLEMENTED`.
    ///
    /// The address is `tcp://host:port`, several of them as in `tcp://a:7400,b:7400`, or `mem://name`, followed by
    /// settings after a `?`, named as in the builder: `tcp://host:port?ping_interval=5s`. Must be called within a tokio
    /// runtime.
    ///
    /// A path is a topic of a broker, at which the client speaks with a service in the same way: it
    /// is subscribed to the topic before `on_connected` is called, in each new session again, and all that it sends goes to the
    /// services of the topic.
    ///
    /// ```no_run
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
    /// # }
    /// # use greet::{Greet, HelloReq, SendClientToServer as _};
    /// # use msip_runtime::Client;
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Client::<Greet>::connect("tcp://broker.example.org:9000/room1").await?;
    /// let answer = client.hello_req(HelloReq { name: "ada".into() }).await?;
    /// # let _ = answer;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// This first attempt failed. Once it has succeeded, the client reconnects by itself.
    ///
    /// [`ConnectError::TopicRefused`] where the broker refuses the topic, [`ConnectError::NoBroker`] where the server of a URL with
    /// a topic is none, and [`ConnectError::NoTopic`] where it is one and the URL has no topic.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the attempt.
    ///
    /// # Protocol
    ///
    /// docs/protocol.md, "Handshake" and "Typed traffic".
    pub fn connect(url: impl AsRef<str>) -> impl Future<Output = Result<Self, ConnectError>> + Send
    where
        P: ConnectWith<()>,
    {
        Self::builder(url).connect()
    }

    /// Connects with a handler, or with other settings than the defaults.
    pub fn builder(url: impl AsRef<str>) -> ClientBuilder<P, ()> {
        ClientBuilder::new(url.as_ref(), ())
    }

    /// A view of this client that sends with options, such as a deadline, headers or a request for acknowledgment.
    ///
    /// `client.with(peer.call())` propagates what remains of the deadline of the call that is being handled, its
    /// correlation id and its trace context.
    pub fn with(&self, options: impl Into<CallOptions>) -> With<'_, Self> {
        let options = options.into();
        With {
            target: self,
            options: match &self.login {
                None => options,
                Some(login) => options.of_login(login.login()),
            },
        }
    }

    /// An exclusive sender of one-way messages, for many small ones: it has a buffer of its own and the methods of the
    /// generated trait `PushClientToServer`. It keeps the connection open as this handle does.
    pub fn sender(&self) -> Sender<Self> {
        let sender = Sender::new(
            self.shared(),
            self.clone(),
            self.shared.outgoing.installed().is_some(),
            SendHandle::topic(self),
            self.login.as_ref().map_or(0, |login| login.login()),
        );
        match &self.shared.parent {
            None => sender,
            Some(parent) => sender.closed_with(&parent.closed),
        }
    }

    /// The exchange that the handler is handling; outside of a handler, an empty one.
    pub fn call(&self) -> Call<'_> {
        Call::new(&self.serving, &self.shared.connection)
    }

    /// Information about the connection, and its state.
    pub fn connection(&self) -> ConnectionInfo<'_> {
        ConnectionInfo::new(&self.shared)
    }

    /// Sends `len` bytes to the server and back, and returns the round-trip time. No handler is involved.
    ///
    /// # Errors
    ///
    /// [`CallError::DeadlineExceeded`] after `timeout`; [`CallError::NotSent`] where there is no connection, or
    /// where `len` is over 64 KiB; [`CallError::ConnectionLost`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the ping; its answer is ignored.
    pub async fn ping(&self, len: usize, timeout: Duration) -> Result<Duration, CallError> {
        self.shared().ping(len, timeout).await
    }

    /// Closes the connection gracefully: the server is notified, nothing new is sent, and open calls may finish within
    /// `drain_timeout`. Returns when the connection and its task have ended. All handles are closed with it.
    ///
    /// In a handler of this client it returns at once, since the connection waits for the handler.
    ///
    /// A client of a [`BrokerConnection`] ends its subscription instead, and its sends fail with
    /// [`SendError::Closed`](crate::SendError::Closed) from here on; calls that are open are answered still. The connection stays
    /// for the others.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the connection closing.
    pub async fn close(&self) {
        self.shared.request_stop();
        if self.keep.is_some() {
            let mut state = self.shared.state.subscribe();
            // The sender is in `shared`, which we hold: it cannot be dropped.
            let _ = state
                .wait_for(|state| matches!(state, ConnectionState::Closed))
                .await;
        }
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Arc<ConnectionShared> {
        self.shared.sending()
    }

    /// The handle for the handler of this exchange.
    fn serving(&self, serving: Serving) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            keep: self.keep.clone(),
            serving,
            login: self.login.clone(),
            protocol: PhantomData,
        }
    }

    /// The handle for handlers, which does not keep the connection open.
    fn weak(shared: &Arc<ClientShared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            keep: None,
            serving: Serving::default(),
            login: None,
            protocol: PhantomData,
        }
    }

    /// The handle that sends while others wait for the login of this number.
    fn logging_in(&self, login: u64) -> Self {
        Self {
            login: Some(Arc::new(CallOptions::new().of_login(login))),
            ..self.clone()
        }
    }
}

impl<P: Protocol> Clone for Client<P> {
    fn clone(&self) -> Self {
        self.serving(self.serving.clone())
    }
}

impl<P: Protocol> std::fmt::Debug for Client<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("protocol", &P::NAME)
            .field("state", &*self.shared.state.borrow())
            .finish_non_exhaustive()
    }
}
