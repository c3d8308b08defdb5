//! Services by a connection that others share.

use std::{fmt, marker::PhantomData, sync::Arc};

use super::{
    AttachError, AttachedServer,
    begin::{Begin, Ownership, begin},
    server::filter,
};
use crate::{
    BrokerConnection, Protocol, ServeWith,
    middleware::{Middleware, Stacks},
};

/// Configures a service by a connection that others share, from [`BrokerConnection::attach_builder`].
///
/// # Examples
///
/// ```
/// use msip_runtime::{AttachError, AttachedServer, BrokerConnection, ServeWith, middleware::Timeout};
/// use std::time::Duration;
///
/// async fn serve<P, H>(broker: &BrokerConnection, handler: H) -> Result<AttachedServer<P>, AttachError>
/// where
///     P: ServeWith<H>,
///     H: Send + Sync + 'static,
/// {
///     broker
///         .attach_builder("devices/+")
///         .strict_schema()
///         .incoming(Timeout::new(Duration::from_secs(2)))
///         .attach(handler)
///         .await
/// }
/// ```
#[must_use = "nothing is served before `attach`"]
pub struct AttachBuilder<P> {
    connection: BrokerConnection,
    topic: String,
    stacks: Stacks,
    is_strict: bool,
    protocol: PhantomData<fn() -> P>,
}

impl BrokerConnection {
    /// Serves a topic of the protocol `P` by this connection, with the default settings: `room1`, or a filter for many, such as
    /// `devices/+`, where [`Peer::topic`](crate::Peer::topic) tells at which one a client speaks. Returns when the broker has
    /// accepted it; while the connection is lost it waits for the next one.
    ///
    /// A connection has any number of services and clients, of any protocols; a service and a client at the same topic too. Each
    /// client of each service has an inbox of its own, so that none holds up another. Dropping the [`AttachedServer`] or
    /// [shutting it down](AttachedServer::shutdown) ends this service alone.
    ///
    /// # Errors
    ///
    /// [`AttachError::Overlaps`] where a service of this connection has some of the topics, [`AttachError::Refused`] where the broker
    /// refuses them; see [`AttachError`] for the others.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives it up; the subscription is ended in the background.
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
    /// use msip_runtime::{BrokerConnection, prelude::*};
    ///
    /// struct Greeter(&'static str);
    ///
    /// impl HandleClientToServer for Greeter {
    ///     async fn on_hello_req(&self, peer: &Peer<Greet>, request: HelloReq) -> Result<HelloRsp, Status> {
    ///         let room = peer.topic().unwrap_or_default();
    ///         Ok(HelloRsp { greeting: format!("{}, {}, in {room}", self.0, request.name) })
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = BrokerConnection::connect("tcp://localhost:9000").await?;
    /// let rooms = broker.attach::<Greet, _>("rooms/+", Greeter("hello")).await?;
    /// let hall = broker.attach::<Greet, _>("hall", Greeter("welcome")).await?;
    /// rooms.shutdown().await;
    /// hall.closed().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn attach<P, H>(
        &self,
        topic: &str,
        handler: H,
    ) -> Result<AttachedServer<P>, AttachError>
    where
        P: ServeWith<H>,
        H: Send + Sync + 'static,
    {
        self.attach_builder(topic).attach(handler).await
    }

    /// Configures a service by this connection. The settings of the connection, and its middleware, hold for all of its services
    /// and clients.
    pub fn attach_builder<P: Protocol>(&self, topic: &str) -> AttachBuilder<P> {
        AttachBuilder {
            connection: self.clone(),
            topic: topic.to_owned(),
            stacks: self.stacks().clone(),
            is_strict: false,
            protocol: PhantomData,
        }
    }
}

impl<P: Protocol> AttachBuilder<P> {
    /// Only the schema of the topic's first service is accepted at it, if this is the first: `schema=strict` of a server that
    /// listens. Clients with another one that came before it are disconnected. Default: others of the same protocol are accepted,
    /// and the difference is logged.
    pub fn strict_schema(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// Adds middleware around the handlers of what the service's clients send, inside of what was added before, and of that of the
    /// connection.
    pub fn incoming(mut self, middleware: impl Middleware) -> Self {
        self.stacks.incoming.push(middleware);
        self
    }

    /// Adds middleware around what is sent to the service's clients, inside of what was added before, and of that of the
    /// connection.
    pub fn outgoing(mut self, middleware: impl Middleware) -> Self {
        self.stacks.outgoing.push(middleware);
        self
    }

    /// Serves.
    ///
    /// # Errors
    ///
    /// See [`BrokerConnection::attach`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives it up; the subscription is ended in the background.
    pub async fn attach<H>(self, handler: H) -> Result<AttachedServer<P>, AttachError>
    where
        P: ServeWith<H>,
        H: Send + Sync + 'static,
    {
        let begun = begin(Begin {
            mux: Arc::clone(self.connection.mux()),
            ownership: Ownership::Shared,
            filter: filter(&self.topic)?,
            is_strict: self.is_strict,
            handler,
            stacks: self.stacks,
        });
        begun.await.map(AttachedServer::new)
    }
}

impl<P: Protocol> fmt::Debug for AttachBuilder<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachBuilder")
            .field("protocol", &P::NAME)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}
