//! One connection to a broker, for many clients and services.

use std::{fmt, marker::PhantomData, sync::Arc};

use tokio::sync::watch;

use super::{
    Client, ClientBuilder, ClientShared, ClientSide, ConnectWith, ConnectionInfo, ConnectionState,
    KeepOpen, Login, MultiplexedConnection,
    connection::SharedInfo,
    establish::ProtocolId,
    parent::ParentConnection,
    subscription::Spoken,
    topic::ClientTopic,
    topic_client::{self, TopicClient},
};
use crate::{
    ConnectError,
    call::Serving,
    compatibility::PeerSchemas,
    describe::OwnSchema,
    middleware::{Middleware, Stacks},
    raw::Untyped,
};

/// What the builder of a [`BrokerConnection`] holds.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct ToBroker {}

/// One connection to a broker, by which many clients speak: each its protocol, at its topic. A [`Client`] of it is one like any
/// other, with the handler, the calls and the streams of its protocol.
///
/// It is a cheap handle. The connection is closed when the last clone of it and the last of its clients are gone, or by
/// [`close`](Self::close). When it is lost it is made again, and its session resumed, as that of a client of its own; in a new
/// session each client is subscribed to its topic again before its `on_connected` is called. Until all of them have logged in,
/// within `login_timeout`, the sends of all wait. A client whose topic the broker refuses then, or whose `on_connected` fails, is closed: its
/// `on_connect_failure` hears of it, [`closed`](ConnectionInfo::closed) has the error, and the others go on.
///
/// Each client has a window of its own for one-way messages: one whose handler is slow holds up no other. Where more waits for it
/// than the broker keeps for a slow session, it is closed, and the others go on.
///
/// What differs from a client with a connection of its own is in docs/broker.md, "Many topics in one connection".
///
/// # Examples
///
/// Not run, as it needs a broker: `cargo run -p msip-broker`.
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
/// # mod probe {
/// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
/// #     #[derive(Debug, ClientToServer)]
/// #     #[msip(protocol = "probe")]
/// #     pub enum ClientToServer {
/// #         #[msip(tag = 1)]
/// #         SampleInd(SampleInd),
/// #     }
/// #     #[derive(Debug, ServerToClient)]
/// #     pub enum ServerToClient {
/// #         #[msip(tag = 1)]
/// #         StopInd(StopInd),
/// #     }
/// #     #[derive(Debug, Message)]
/// #     pub struct SampleInd {
/// #         #[msip(tag = 1)]
/// #         pub value: f64,
/// #     }
/// #     #[derive(Debug, Message)]
/// #     pub struct StopInd {}
/// # }
/// use greet::{Greet, HelloReq, SendClientToServer as _};
/// use msip_runtime::BrokerConnection;
/// use probe::{Probe, SampleInd, SendClientToServer as _};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = BrokerConnection::connect("tcp://localhost:9000").await?;
/// let greeter = broker.client::<Greet>("rooms/1").await?;
/// let probe = broker.client::<Probe>("probes/7").await?;
/// let answer = greeter.hello_req(HelloReq { name: "ada".into() }).await?;
/// println!("{}", answer.greeting);
/// probe.sample_ind(SampleInd { value: 0.5 }).await?;
/// broker.close().await;
/// # Ok(())
/// # }
/// ```
///
/// # Protocol
///
/// docs/protocol.md, "Typed traffic".
#[derive(Clone)]
pub struct BrokerConnection {
    mux: Arc<MultiplexedConnection>,
    stacks: Stacks,
}

impl BrokerConnection {
    /// Connects to a broker, with the default settings: `tcp://host:9000`. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// This first attempt failed; see [`ConnectError`]. A URL with a topic is refused: the clients name their topics.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the attempt.
    pub async fn connect(url: impl AsRef<str>) -> Result<Self, ConnectError> {
        Self::builder(url).connect().await
    }

    /// Connects with other settings than the defaults. They are those of a client; channels are refused.
    pub fn builder(url: impl AsRef<str>) -> ClientBuilder<Untyped, ToBroker> {
        ClientBuilder::new(url.as_ref(), ToBroker::default())
    }

    /// A client of the protocol `P` at a topic, without a handler: messages of its services are ignored, and their calls are
    /// answered with `UNIMPLEMENTED`. See [`client_with`](Self::client_with).
    ///
    /// # Errors
    ///
    /// As [`client_with`](Self::client_with).
    ///
    /// # Cancel safety
    ///
    /// As [`client_with`](Self::client_with).
    pub async fn client<P>(&self, topic: &str) -> Result<Client<P>, ConnectError>
    where
        P: ConnectWith<()>,
    {
        self.client_with(topic, ()).await
    }

    /// A client of the protocol `P` at a topic, whose services `handler` hears. Returns once it is subscribed and the handler's
    /// `on_connected` has returned; while the connection is lost it waits for the next one.
    ///
    /// # Errors
    ///
    /// [`ConnectError::TopicInUse`] where a client of this connection is at the topic, [`ConnectError::TopicRefused`] where the
    /// broker refuses it, [`ConnectError::NoBroker`] where the server is none, [`ConnectError::Login`] where `on_connected` fails,
    /// and [`ConnectError::Closed`] where the connection is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives it up; the subscription is ended in the background.
    pub async fn client_with<P, H>(
        &self,
        topic: &str,
        handler: H,
    ) -> Result<Client<P>, ConnectError>
    where
        P: ConnectWith<H>,
        H: Send + Sync + 'static,
    {
        let at = ClientTopic::new(topic)?;
        let mux = &self.mux;
        if !mux.is_broker() {
            let address = mux.info().address();
            return Err(ConnectError::NoBroker {
                url: address.map_or_else(String::new, |address| address.to_string()),
                topic: topic.to_owned(),
            });
        }
        let side = Arc::new(ClientSide::<P, H> {
            handler: Arc::new(handler),
            incoming: self.stacks.incoming.clone(),
            protocol: PhantomData,
        });
        let spoken = Spoken {
            protocol: ProtocolId {
                name: P::NAME.into(),
                fingerprint: P::fingerprint(),
            },
            schemas: PeerSchemas::of_servers(OwnSchema::of::<P>()),
            limit: mux.timeouts().handshake,
        };
        let shared = Arc::new(ClientShared {
            connection: Arc::clone(mux.connection()),
            topic: Some(at),
            parent: Some(ParentConnection::new(mux.shared())),
            outgoing: self.stacks.outgoing.clone(),
            state: watch::Sender::new(ConnectionState::Connected),
            stop: watch::Sender::new(false),
            login: watch::Sender::new(Login::Pending),
            info: SharedInfo::default(),
        });
        let login_timeout = mux.timeouts().login;
        let endpoint = TopicClient::new(side, &shared, spoken, login_timeout, topic);
        let endpoint = Arc::new(endpoint);
        if !mux.clients().reserve(topic, Arc::clone(&endpoint) as _) {
            return Err(ConnectError::TopicInUse {
                topic: topic.to_owned(),
            });
        }
        let id = mux.endpoints().add_client(Arc::clone(&endpoint) as _);
        let keeping = topic_client::keep(Arc::clone(&endpoint), Arc::clone(mux), id);
        // Nobody could own it: it outlives the handles, of which the last may be dropped, to end the subscription. It ends within
        // twice `drain_timeout` after that, or after the end of the connection, and the client's `close` waits for it.
        tokio::spawn(keeping);
        let client = Client {
            keep: Some(Arc::new(KeepOpen(Arc::clone(&shared)))),
            shared,
            serving: Serving::default(),
            login: None,
            protocol: PhantomData,
        };
        if let Err(error) = endpoint.join(mux).await {
            client.close().await;
            return Err(error);
        }
        client.shared.login.send_replace(Login::Done);
        Ok(client)
    }

    /// The connection, for services.
    pub(crate) fn mux(&self) -> &Arc<MultiplexedConnection> {
        &self.mux
    }

    /// What surrounds the exchanges of all endpoints.
    pub(crate) fn stacks(&self) -> &Stacks {
        &self.stacks
    }

    /// What is known of the connection, and its state to be watched.
    #[must_use]
    pub fn connection(&self) -> ConnectionInfo<'_> {
        self.mux.info()
    }

    /// Closes the connection, and all of its clients with it: open calls may finish within `drain_timeout`. Returns when its task
    /// has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it closing.
    pub async fn close(&self) {
        self.mux.close().await;
    }
}

impl ClientBuilder<Untyped, ToBroker> {
    /// Adds middleware around the handlers of incoming exchanges of all clients, inside of what was added before.
    #[must_use]
    pub fn incoming(mut self, middleware: impl Middleware) -> Self {
        self.stacks.incoming.push(middleware);
        self
    }

    /// Adds middleware around outgoing exchanges of all clients, inside of what was added before.
    #[must_use]
    pub fn outgoing(mut self, middleware: impl Middleware) -> Self {
        self.stacks.outgoing.push(middleware);
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
    pub async fn connect(self) -> Result<BrokerConnection, ConnectError> {
        self.service_url()?.check_direct()?;
        let (mux, parts) = self.connect_broker().await?;
        Ok(BrokerConnection {
            mux: Arc::new(mux),
            stacks: parts.stacks,
        })
    }
}

impl fmt::Debug for BrokerConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerConnection")
            .field("mux", &self.mux)
            .finish_non_exhaustive()
    }
}
