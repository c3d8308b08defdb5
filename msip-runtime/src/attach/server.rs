//! A server that is attached to a broker.

use std::{fmt, future::Future, sync::Arc};

use tokio::time::timeout;

use super::AttachError;
use crate::{
    Broadcast, Client, ClientBuilder, ConnectionInfo, Draining, Peer, Protocol, ServeWith, Server,
    client::BrokerLink,
    connection::SubscribeAsk,
    demux::TopicFilter,
    describe::OwnSchema,
    raw::SubscribeOptions,
    server::{AttachedClients, AttachedService},
};

/// What the builder of an attached server holds, from [`Server::attach_builder`].
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct AsService {
    is_strict: bool,
}

/// A server of the protocol `P` that is attached to a broker, from [`Server::attach`]. It serves until it is
/// [shut down](Self::shutdown) or dropped, which breaks its connection.
///
/// Each client that the broker introduces to this instance is a [`Peer`], as on a direct connection; what differs is in
/// docs/broker.md, "Typed services". Several instances of a topic share its clients' messages; each knows the clients that have
/// spoken to it.
pub struct AttachedServer<P: Protocol> {
    link: BrokerLink,
    filter: TopicFilter,
    ask: SubscribeAsk,
    clients: AttachedClients<P>,
}

impl<P: Protocol> Server<P> {
    /// Serves a topic through a broker, with the default settings: `tcp://host:9000/room1`. A filter serves many:
    /// `tcp://host:9000/devices/+`, where [`Peer::topic`] tells at which one a client speaks. Returns when the broker has accepted it.
    /// Must be called within a tokio runtime.
    ///
    /// The handler is the one of a server that listens. It goes on until the [`AttachedServer`] is shut down or dropped; when the
    /// connection to the broker is lost, it connects again and resumes its session, of which clients see nothing. Where the broker
    /// does not know the session any more all clients have gone, and come again when they speak.
    ///
    /// # Errors
    ///
    /// See [`AttachError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives it up, and closes the connection.
    ///
    /// # Protocol
    ///
    /// docs/protocol.md, "Typed traffic".
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
    /// use greet::{Greet, HandleClientToServer, HelloReq, HelloRsp};
    /// use msip_runtime::prelude::*;
    ///
    /// struct Greeter;
    ///
    /// impl HandleClientToServer for Greeter {
    ///     async fn on_hello_req(&self, peer: &Peer<Greet>, request: HelloReq) -> Result<HelloRsp, Status> {
    ///         let room = peer.topic().unwrap_or_default();
    ///         Ok(HelloRsp { greeting: format!("hello, {}, in {room}", request.name) })
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Server::<Greet>::attach("tcp://localhost:9000/rooms/+", Greeter).await?;
    /// println!("serving {}", server.topic());
    /// server.closed().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn attach<H>(
        url: impl AsRef<str>,
        handler: H,
    ) -> Result<AttachedServer<P>, AttachError>
    where
        P: ServeWith<H>,
        H: Send + Sync + 'static,
    {
        Self::attach_builder(url).attach(handler).await
    }

    /// Configures a server that is attached to a broker. The settings of its connection are those of a client: how it reconnects,
    /// its credential, its limits. Channels are refused.
    pub fn attach_builder(url: impl AsRef<str>) -> ClientBuilder<P, AsService> {
        Client::<P>::builder(url).map_handler(|()| AsService::default())
    }
}

impl<P: Protocol> ClientBuilder<P, AsService> {
    /// Only the schema of the topic's first service is accepted at it, if this is the first: `schema=strict` of a server that
    /// listens. Default: others of the same protocol are accepted, and the difference is logged.
    #[must_use]
    pub fn strict_schema(self) -> Self {
        self.map_handler(|_| AsService { is_strict: true })
    }

    /// Connects to the broker, and serves.
    ///
    /// # Errors
    ///
    /// See [`AttachError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives it up, and closes the connection.
    pub async fn attach<H>(self, handler: H) -> Result<AttachedServer<P>, AttachError>
    where
        P: ServeWith<H>,
        H: Send + Sync + 'static,
    {
        let url = self.service_url()?;
        let topic = url.topic().ok_or_else(|| AttachError::NoTopic {
            url: url.to_string(),
        })?;
        let topic = topic.to_owned();
        let filter =
            TopicFilter::new(&topic).map_err(|error| AttachError::topic(&topic, &error))?;
        let (link, parts) = self.connect_broker().await?;
        let AsService { is_strict } = parts.handler;
        let ask = ask::<P>(&filter, is_strict)?;
        if !link.is_broker() {
            let url = url.without_topic().to_string();
            return Err(AttachError::NoBroker { url, topic });
        }
        let is_confidential = link.is_confidential();
        let service = AttachedService::new(handler, parts.stacks, filter.clone(), is_confidential);
        let clients = service.clients();
        // Clients with another one ask for it, at the topic.
        link.connection().describe(Arc::new(OwnSchema::of::<P>()));
        link.endpoints().add_service(Arc::new(service));
        let subscribed = link.connection().subscribe(&ask, None).await;
        subscribed.map_err(|source| AttachError::Refused {
            topic,
            protocol: P::NAME,
            source,
        })?;
        Ok(AttachedServer {
            link,
            filter,
            ask,
            clients,
        })
    }
}

/// What asks the broker for the clients of a topic.
fn ask<P: Protocol>(filter: &TopicFilter, is_strict: bool) -> Result<SubscribeAsk, AttachError> {
    let options = SubscribeOptions::new()
        .protocol(P::NAME, P::fingerprint())
        .by_peer();
    let options = if is_strict { options.strict() } else { options };
    let asked = options.ask(&format!("{}/$in", filter.as_str()), false);
    asked.map_err(|status| AttachError::Topic {
        topic: filter.as_str().to_owned(),
        why: status.message().to_owned(),
    })
}

impl<P: Protocol> AttachedServer<P> {
    /// The topic that it serves, or the filter of topics.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.filter.as_str()
    }

    /// What is known of the connection to the broker, and its state to be watched.
    #[must_use]
    pub fn connection(&self) -> ConnectionInfo<'_> {
        self.link.info()
    }

    /// The clients that this instance knows, at all of its topics.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer<P>> {
        self.clients.peers()
    }

    /// A broadcast to all clients of the topic: of all instances, and in one message. `None` where it serves many topics by a
    /// filter: see [`broadcast_at`](Self::broadcast_at).
    #[must_use]
    pub fn broadcast(&self) -> Option<Broadcast<P>> {
        let is_one = self.filter.is_literal();
        is_one.then(|| self.broadcast_at(self.topic()))?
    }

    /// A broadcast to all clients of one of its topics; `None` where it does not serve that. Get it anew for a topic whose clients
    /// have all left.
    #[must_use]
    pub fn broadcast_at(&self, topic: &str) -> Option<Broadcast<P>> {
        if !self.filter.matches(topic) {
            return None;
        }
        self.clients.broadcast(topic, self.link.connection())
    }

    /// A future that is ready once the connection to the broker drains: this is shut down, or the broker is. See [`Draining`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub fn draining(&self) -> Draining {
        self.link.connection().draining()
    }

    /// Waits until the connection to the broker is closed for good: the broker has refused this service, or the runtime shuts down.
    /// While the broker is only out of reach, it waits.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn closed(&self) {
        self.link.closed().await;
    }

    /// Serves until `shutdown` is ready, or the connection is closed for good, and then [shuts down](Self::shutdown).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future breaks the connection.
    pub async fn serve_until(self, shutdown: impl Future<Output = ()> + Send) {
        tokio::select! {
            () = shutdown => {}
            () = self.closed() => {}
        }
        self.shutdown().await;
    }

    /// Stops serving without losing a call: the broker gives this instance nothing new, which goes to others, and what it has been
    /// given is handled and answered. Then the connection is closed; open calls may finish within `drain_timeout`, and so may
    /// what waits before that. Returns when all tasks have ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future breaks the connection.
    pub async fn shutdown(self) {
        let Self { link, ask, .. } = self;
        let revoked = SubscribeAsk {
            is_unsubscribe: true,
            ..ask
        };
        let limit = link.drain_timeout();
        let handled = async {
            if let Err(error) = link.connection().subscribe(&revoked, Some(limit)).await {
                tracing::debug!(%error, "the broker was not told that a service stops");
                return;
            }
            link.endpoints().waiting().none().await;
        };
        if timeout(limit, handled).await.is_err() {
            tracing::warn!(?limit, "messages were not handled in time (drain_timeout)");
        }
        link.close().await;
    }
}

impl<P: Protocol> fmt::Debug for AttachedServer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachedServer")
            .field("protocol", &P::NAME)
            .field("topic", &self.filter.as_str())
            .finish_non_exhaustive()
    }
}
