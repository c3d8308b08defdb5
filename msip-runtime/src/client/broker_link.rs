//! A connection to a broker, for endpoints at topics.

use std::{future::Future, sync::Arc, time::Duration};

use super::{
    ClientBuilder, ConnectionInfo, ConnectionState, KeepOpen, Reconnect, Shared,
    endpoint::Endpoint, establish::ProtocolId, supervisor,
};
use crate::{
    ConnectError, DisconnectReason, LostExchange, Status,
    connection::ConnectionShared,
    demux::{Demux, Endpoints},
    driver::HandlerTask,
    middleware::Stacks,
    negotiation::Translations,
    service::{self, Inbox},
    transport::ServiceUrl,
};
use msip_session::Lost;

/// The protocol that HELLO names where many may be spoken, each at its topics.
const BROKER_PROTOCOL: &str = "msip.broker.v1";

/// A connection to a broker, whose endpoints are at topics. It is closed when it is dropped.
#[derive(Debug)]
pub(crate) struct BrokerLink {
    keep: KeepOpen,
    endpoints: Endpoints,
    drain_timeout: Duration,
}

/// What a builder has for endpoints besides the settings of the connection.
pub(crate) struct LinkParts<H> {
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
    ) -> Result<(BrokerLink, LinkParts<H>), ConnectError> {
        self.url = self.service_url()?.without_topic().to_string();
        let (handler, parts) = self.finish()?;
        parts.refuse_channels()?;
        let stacks = parts.stacks.clone();
        let drain_timeout = parts.settings.drain_timeout;
        let protocol = ProtocolId {
            name: BROKER_PROTOCOL.into(),
            fingerprint: 0,
        };
        let target = parts.target(protocol, Translations::none(), None);
        let endpoints = Endpoints::default();
        let endpoint = |_: &Arc<Shared>| LinkEndpoint(endpoints.clone());
        let keep = supervisor::start(target, endpoint).await?;
        let link = BrokerLink {
            keep,
            endpoints,
            drain_timeout,
        };
        Ok((link, LinkParts { handler, stacks }))
    }
}

impl BrokerLink {
    pub(crate) fn connection(&self) -> &Arc<ConnectionShared> {
        &self.keep.0.connection
    }

    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
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
        self.drain_timeout
    }

    pub(crate) fn is_confidential(&self) -> bool {
        self.info().is_confidential()
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

    /// Closes it: open calls may finish within `drain_timeout`. Returns when its task has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it closing.
    pub(crate) async fn close(&self) {
        self.keep.0.request_stop();
        self.closed().await;
    }
}

/// What sorts what the sessions of a connection receive.
struct LinkEndpoint(Endpoints);

impl Endpoint for LinkEndpoint {
    fn begin(&self, connection: &Arc<ConnectionShared>, inbox: &Arc<Inbox>) -> HandlerTask {
        Box::pin(service::run(
            Arc::new(Demux(self.0.clone())),
            (),
            Arc::clone(connection),
            Arc::clone(inbox),
        ))
    }

    async fn connected(&self, _: u64) -> Result<(), Status> {
        Ok(())
    }

    async fn closed_by_server(&self, _: &Status) -> Reconnect {
        Reconnect::Stop
    }

    async fn disconnected(&self, _: DisconnectReason) {}

    fn connect_failure(&self, _: &ConnectError, _: u32) -> impl Future<Output = Reconnect> + Send {
        std::future::ready(Reconnect::Backoff)
    }

    /// Each caller has received its error; the variants are of many protocols.
    fn lost(&self, _: &[Lost]) -> Vec<LostExchange> {
        Vec::new()
    }
}
