//! A server that is attached to a broker.

use std::{fmt, future::Future, sync::Arc};

use super::{
    AttachError,
    begin::{Begin, Begun, Ownership, begin},
};
use crate::{
    Broadcast, Client, ClientBuilder, ConnectionInfo, Draining, Peer, Protocol, ServeWith, Server,
    Status, demux::TopicFilter,
};

/// What the builder of an attached server holds, from [`Server::attach_builder`].
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct AsService {
    is_strict: bool,
}

/// A server of the protocol `P` that is attached to a broker, from [`Server::attach`], or
/// [`BrokerConnection::attach`](crate::BrokerConnection::attach) where others share its connection. It serves until it is
/// [shut down](Self::shutdown); dropping it does the same in the background.
///
/// Each client that the broker introduces to this instance is a [`Peer`], as on a direct connection; what differs is in
/// docs/broker.md, "Typed services". Several instances of a topic share its clients' messages; each knows the clients that have
/// spoken to it.
///
/// [`Server::attach`] has an example.
pub struct AttachedServer<P: Protocol>(Begun<P>);

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
    /// listens. Clients with another one that came before it are disconnected. Default: others of the same protocol are accepted,
    /// and the difference is logged.
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
        let filter = filter(topic)?;
        let (mux, parts) = self.connect_broker().await?;
        let AsService { is_strict } = parts.handler;
        let begun = begin(Begin {
            mux: Arc::new(mux),
            ownership: Ownership::Alone,
            filter,
            is_strict,
            handler,
            stacks: parts.stacks,
        });
        begun.await.map(AttachedServer::new)
    }
}

/// The filter of this name.
pub(super) fn filter(topic: &str) -> Result<TopicFilter, AttachError> {
    TopicFilter::new(topic).map_err(|error| AttachError::topic(topic, &error))
}

impl<P: Protocol> AttachedServer<P> {
    pub(super) fn new(begun: Begun<P>) -> Self {
        Self(begun)
    }

    /// The topic that it serves, or the filter of topics.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.0.filter.as_str()
    }

    /// What is known of the connection to the broker, and its state to be watched.
    #[must_use]
    pub fn connection(&self) -> ConnectionInfo<'_> {
        self.0.mux.info()
    }

    /// The clients that this instance knows, at all of its topics.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer<P>> {
        self.0.clients.peers()
    }

    /// A broadcast to all clients of the topic: of all instances, and in one message. `None` where it serves many topics by a
    /// filter: see [`broadcast_at`](Self::broadcast_at).
    #[must_use]
    pub fn broadcast(&self) -> Option<Broadcast<P>> {
        let is_one = self.0.filter.is_literal();
        is_one.then(|| self.broadcast_at(self.topic()))?
    }

    /// A broadcast to all clients of one of its topics; `None` where it does not serve that. Get it anew for a topic whose clients
    /// have all left.
    #[must_use]
    pub fn broadcast_at(&self, topic: &str) -> Option<Broadcast<P>> {
        if !self.0.filter.matches(topic) {
            return None;
        }
        self.0.clients.broadcast(topic, self.0.mux.connection())
    }

    /// A future that is ready once it stops serving: it is shut down, or the connection to the broker drains. See [`Draining`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub fn draining(&self) -> Draining {
        self.0.attachment.draining()
    }

    /// Waits until it has stopped serving for good: the connection to the broker is closed, or the broker has ended the service
    /// and does not accept it again, which [`refused`](Self::refused) tells. While the broker is only out of reach, it waits.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn closed(&self) {
        self.0.attachment.ended().await;
    }

    /// Why the broker has ended the service: its right to the topic was withdrawn, or in a new session another protocol is spoken
    /// there. `None` as long as it has not.
    #[must_use]
    pub fn refused(&self) -> Option<Status> {
        self.0.attachment.refused()
    }

    /// Serves until `shutdown` is ready, or it is [closed](Self::closed), and then [shuts down](Self::shutdown).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the service in the background.
    pub async fn serve_until(self, shutdown: impl Future<Output = ()> + Send) {
        tokio::select! {
            () = shutdown => {}
            () = self.closed() => {}
        }
        self.shutdown().await;
    }

    /// Stops serving without losing a call: the broker gives this instance nothing new, which goes to others, and what it has been
    /// given is handled and answered, within `drain_timeout`. Then its connection is closed, if nobody shares it. Returns when all
    /// tasks have ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it stopping, in the background.
    pub async fn shutdown(self) {
        self.0.end().await;
    }
}

impl<P: Protocol> fmt::Debug for AttachedServer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachedServer")
            .field("protocol", &P::NAME)
            .field("topic", &self.0.filter.as_str())
            .finish_non_exhaustive()
    }
}
