//! A connection to a broker for many endpoints, each at a topic of its own.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::yield_now};

use super::{
    ClientBuilder, ClientShared, ConnectionInfo, ConnectionState, KeepOpen, Reconnect,
    endpoint::Endpoint, establish::ProtocolId, supervisor, topic_clients::TopicClients,
};
use crate::{
    CallError, ConnectError, DisconnectReason, LostExchange, Status,
    connection::{ConnectionShared, SubscribeAsk},
    demux::{Demux, Endpoints, Running, RunningGuard},
    driver::HandlerTask,
    middleware::Stacks,
    negotiation::Translations,
    service::{self, Inbox},
    transport::ServiceUrl,
};
use msip_session::{Lost, wire::broker};

/// A connection to a broker, whose endpoints are at topics. It is closed when it is dropped.
#[derive(Debug)]
pub(crate) struct MultiplexedConnection {
    keep: KeepOpen,
    endpoints: Endpoints,
    clients: TopicClients,
    timeouts: EndpointTimeouts,
    /// Set once its services are to leave, before it is closed.
    is_closing: watch::Sender<bool>,
    /// Its services that have not left.
    services: Running,
}

/// The settings of a connection that are those of its endpoints too.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndpointTimeouts {
    pub(super) drain: Duration,
    pub(super) handshake: Duration,
    pub(super) login: Duration,
}

/// What a builder has for endpoints besides the settings of the connection.
pub(crate) struct EndpointParts<H> {
    pub(crate) handler: H,
    pub(crate) stacks: Stacks,
}

impl<P, H> ClientBuilder<P, H> {
    /// Its URL. A topic is what the URL names behind the authority.
    pub(crate) fn service_url(&self) -> Result<ServiceUrl, ConnectError> {
        Ok(match self.connector {
            Some(_) => ServiceUrl::parse_any(&self.url)?,
            None => ServiceUrl::parse(&self.url)?,
        })
    }

    /// Connects to the broker at the URL, whatever its topic.
    pub(crate) async fn connect_broker(
        mut self,
    ) -> Result<(MultiplexedConnection, EndpointParts<H>), ConnectError> {
        self.url = self.service_url()?.without_topic().to_string();
        let (handler, parts) = self.finish()?;
        parts.refuse_channels()?;
        parts.refuse_dialect()?;
        let stacks = parts.stacks.clone();
        let timeouts = EndpointTimeouts {
            drain: parts.settings.drain_timeout,
            handshake: parts.settings.handshake_timeout,
            // All of them log in within that of the connection.
            login: parts.settings.login_timeout * 7 / 8,
        };
        let protocol = ProtocolId {
            name: broker::PROTOCOL.into(),
            fingerprint: 0,
        };
        let target = parts.target(protocol, Translations::none(), None);
        let endpoints = Endpoints::default();
        let clients = TopicClients::default();
        let endpoint = |_: &Arc<ClientShared>| MultiplexedEndpoint {
            endpoints: endpoints.clone(),
            clients: clients.clone(),
        };
        let keep = supervisor::start(target, endpoint).await?;
        let mux = MultiplexedConnection {
            keep,
            endpoints,
            clients,
            timeouts,
            is_closing: watch::Sender::new(false),
            services: Running::default(),
        };
        Ok((mux, EndpointParts { handler, stacks }))
    }
}

impl MultiplexedConnection {
    pub(crate) fn connection(&self) -> &Arc<ConnectionShared> {
        &self.keep.0.connection
    }

    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The clients at its topics.
    pub(super) fn clients(&self) -> &TopicClients {
        &self.clients
    }

    /// What all of its handles share.
    pub(super) fn shared(&self) -> &Arc<ClientShared> {
        &self.keep.0
    }

    pub(super) fn timeouts(&self) -> EndpointTimeouts {
        self.timeouts
    }

    pub(crate) fn watch(&self) -> watch::Receiver<ConnectionState> {
        self.keep.0.state.subscribe()
    }

    pub(crate) fn info(&self) -> ConnectionInfo<'_> {
        ConnectionInfo::new(&self.keep.0)
    }

    /// Whether the server routes messages by topic.
    pub(crate) fn is_broker(&self) -> bool {
        self.info().is_broker()
    }

    /// How long what is open may take when it closes.
    pub(crate) fn drain_timeout(&self) -> Duration {
        self.timeouts.drain
    }

    pub(crate) fn is_confidential(&self) -> bool {
        self.info().is_confidential()
    }

    /// How long the broker, or who is asked for a schema, may take.
    pub(crate) fn handshake_timeout(&self) -> Duration {
        self.timeouts.handshake
    }

    /// A service begins: it leaves when this says so, and until then the connection is not closed.
    pub(crate) fn begin_service(&self) -> (watch::Receiver<bool>, RunningGuard) {
        (self.is_closing.subscribe(), self.services.begin())
    }

    /// Ends a subscription, in the session that is there. While the connection is lost it waits for the next one.
    pub(crate) async fn unsubscribe(&self, ask: &SubscribeAsk) {
        let connection = self.connection();
        while connection.accepting_session().await {
            match connection.subscribe(ask, None).await {
                Ok(_) => return,
                Err(CallError::ConnectionLost) => {}
                Err(CallError::NotSent(error)) if error.lacks_session() => {}
                Err(error) => {
                    tracing::debug!(%error, "the broker has not ended a subscription");
                    return;
                }
            }
            yield_now().await;
        }
    }

    /// Waits until it is closed, and its task has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn closed(&self) {
        let mut state = self.keep.0.state.subscribe();
        // The sender is in what we hold: it cannot be gone.
        let _ = state
            .wait_for(|state| matches!(state, ConnectionState::Closed))
            .await;
    }

    /// Closes it, once its services have left: open calls may finish within `drain_timeout`. Returns when its task has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it closing.
    pub(crate) async fn close(&self) {
        self.is_closing.send_replace(true);
        let closing = CloseOnDrop(&self.keep.0);
        self.services.none().await;
        drop(closing);
        self.closed().await;
    }
}

/// Closes the connection, also where its services are not waited for.
struct CloseOnDrop<'a>(&'a Arc<ClientShared>);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.request_stop();
    }
}

/// What sorts what the sessions of a connection receive.
struct MultiplexedEndpoint {
    endpoints: Endpoints,
    clients: TopicClients,
}

impl Endpoint for MultiplexedEndpoint {
    fn begin(&self, connection: &Arc<ConnectionShared>, inbox: &Arc<Inbox>) -> HandlerTask {
        self.clients.begin_session();
        Box::pin(service::run(
            Arc::new(Demux(self.endpoints.clone())),
            (),
            Arc::clone(connection),
            Arc::clone(inbox),
        ))
    }

    /// What it sorts for does: a service is told of clients that have gone in any case.
    fn awaits_login(&self) -> bool {
        false
    }

    /// A client that cannot log in is closed, and the others go on.
    async fn connected(&self, login: u64) -> Result<(), Status> {
        self.clients.connected(login).await;
        Ok(())
    }

    /// It comes back if one of them wants to.
    async fn closed_by_server(&self, status: &Status) -> Reconnect {
        let mut next = Reconnect::Stop;
        for client in self.clients.joined() {
            let wanted = client.closed_by_server(status).await;
            if next == Reconnect::Stop {
                next = wanted;
            }
        }
        next
    }

    async fn disconnected(&self, reason: DisconnectReason) {
        self.clients.disconnected(&reason).await;
    }

    async fn connect_failure(&self, error: &ConnectError, attempt: u32) -> Reconnect {
        for client in self.clients.joined() {
            client.connect_failure(error, attempt).await;
        }
        Reconnect::Backoff
    }

    /// Each caller has received its error; the variants are of many protocols.
    fn lost(&self, _: &[Lost]) -> Vec<LostExchange> {
        Vec::new()
    }
}
