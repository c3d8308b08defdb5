//! The channels of a client's session: a task for each, which opens it, runs it, and opens it again.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tracing::Instrument as _;

use super::{
    ClientShared, Login,
    backoff::{Backoff, random},
    endpoint::Endpoint,
    establish::{Established, Target, establish},
};
use crate::{
    Code, ConnectError, Status,
    channel::{ChannelClaims, ChannelKey},
    connection::ConnectionShared,
    driver::{Driver, drain},
    error::WithCauses,
    instruments, negotiation,
    service::Inbox,
    transport::Addresses,
};
use msip_session::wire::SessionId;

/// The channels of one session. Dropping it breaks their connections.
pub(super) struct SessionChannels {
    shared: Arc<ClientShared>,
    tasks: JoinSet<()>,
    /// Set once none is opened any more.
    over: watch::Sender<bool>,
}

impl SessionChannels {
    /// Opens the channels of a session whose Welcome gives this key; none without one.
    ///
    /// By itself, or the task that it spawns would be a part of the stack frame of every poll of the client's own.
    #[inline(never)]
    pub(super) fn open<E: Endpoint>(
        target: &Arc<Target>,
        endpoint: &Arc<E>,
        shared: &Arc<ClientShared>,
        session: SessionId,
        key: Option<ChannelKey>,
    ) -> Self {
        let over = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        if let Some(key) = key {
            let plans = target.channels.iter().filter(|plan| plan.is_session());
            for (index, plan) in plans.enumerate() {
                // A kind has one channel at most, and there are five.
                let number = u8::try_from(index).unwrap_or(u8::MAX);
                let claims = ChannelClaims::new(key.clone(), session, number);
                let Some(target) = target.of_channel(index, claims) else {
                    continue;
                };
                let span =
                    tracing::info_span!("channel", kinds = %plan.kinds, url = %plan.url.address());
                let channel = ClientChannel {
                    index,
                    target,
                    endpoint: Arc::clone(endpoint),
                    shared: Arc::clone(shared),
                    over: over.subscribe(),
                };
                tasks.spawn(channel.run().instrument(span));
            }
        }
        Self {
            shared: Arc::clone(shared),
            tasks,
            over,
        }
    }

    /// The session is over: closes the channels gracefully, within this time.
    pub(super) async fn finish(mut self, limit: Duration) {
        self.over.send_replace(true);
        let status = Status::new(Code::Cancelled, "the session has ended");
        self.shared.connection.close_channels(&status);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(limit, all).await.is_err() {
            tracing::warn!(?limit, "channels did not end in time, and were broken");
        }
        self.tasks.shutdown().await;
    }
}

impl Target {
    /// Where a channel connects to: as the client itself, but for what the channel says otherwise.
    fn of_channel(&self, index: usize, claims: ChannelClaims) -> Option<Self> {
        let mut sessions = self.channels.iter().filter(|plan| plan.is_session());
        let plan = sessions.nth(index)?;
        Some(Self {
            protocol: self.protocol.clone(),
            topic: None,
            url: plan.url.clone(),
            connector: plan.connector()?.clone(),
            dialect: None,
            settings: plan.settings.clone(),
            stacks: self.stacks.clone(),
            name: self.name.clone(),
            translations: Arc::clone(&self.translations),
            schemas: None,
            credential: self.credential.clone(),
            channels: Vec::new(),
            claims: Some(claims),
            #[cfg(feature = "datagram")]
            udp: None,
        })
    }
}

/// One channel of a session.
struct ClientChannel<E> {
    index: usize,
    target: Target,
    endpoint: Arc<E>,
    shared: Arc<ClientShared>,
    over: watch::Receiver<bool>,
}

impl<E: Endpoint> ClientChannel<E> {
    /// Opens the channel, and opens it again each time that it is lost, until the session is over.
    async fn run(self) {
        let mut over = self.over.clone();
        let mut login = self.shared.login.subscribe();
        let mut backoff = Backoff::new(&self.target.settings);
        let order = self.target.settings.address_order;
        let mut addresses = Addresses::new(&self.target.url, order, || random().unwrap_or(0));
        loop {
            let connection = Arc::new(ConnectionShared::new(&self.target.settings));
            self.shared.connection.has_channel(&connection);
            let established = tokio::select! {
                biased;
                // What owns this task has the sender, and aborts it otherwise.
                _ = over.wait_for(|over| *over) => return,
                established = async {
                    let _ = login.wait_for(|login| *login == Login::Done).await;
                    establish(&self.target, &mut addresses, &connection, None).await
                } => established,
            };
            match established {
                Ok(established) => {
                    let since = Instant::now();
                    self.run_connection(connection, established).await;
                    backoff.connected_for(since.elapsed());
                }
                Err(error) => self.failed(&error),
            }
            let wait = backoff.next(random().unwrap_or(u32::MAX));
            tokio::select! {
                biased;
                _ = over.wait_for(|over| *over) => return,
                () = sleep(wait) => {}
            }
        }
    }

    fn failed(&self, error: &ConnectError) {
        self.shared.connection.channel_failed(self.index);
        instruments::connect_failed();
        tracing::warn!(error = %WithCauses(error), "cannot open the channel");
    }

    /// Runs the channel until its connection ends.
    async fn run_connection(&self, connection: Arc<ConnectionShared>, established: Established) {
        let Established {
            stream,
            decoder,
            mut session,
            encoding,
            welcome,
            ..
        } = established;
        let welcome = &welcome.welcome;
        let reads_error_metadata = negotiation::reads_error_metadata(&welcome.extensions);
        negotiation::agree(&mut session, reads_error_metadata, &encoding);
        if self.target.protocol.fingerprint == welcome.fingerprint {
            session.expect_readable();
        }
        connection.attach(session, encoding);
        let inbox = Arc::new(Inbox::default());
        let mut handlers = self.endpoint.begin(&connection, &inbox);
        inbox.connected(connection.terms());
        let settings = &self.target.settings;
        let mut driver = Driver::new(stream, decoder, Arc::clone(&connection), Arc::clone(&inbox));
        let up = Up::new(&self.shared, self.index, &connection);
        tracing::info!("channel opened");
        if *self.over.borrow() {
            // It was not there yet when all were closed.
            connection.begin_close(&Status::new(Code::Cancelled, "the session has ended"));
        }
        let ending = driver.run(&mut handlers).await;
        let ended = driver.end(ending);
        drop(up);
        tracing::info!(reason = %WithCauses(&ended.reason), "channel lost");
        inbox.close();
        ended.graceful_close.finish().await;
        drain(handlers, settings.drain_timeout).await;
    }
}

/// A channel that is there as long as this lives.
struct Up<'a> {
    shared: &'a ClientShared,
    connection: Arc<ConnectionShared>,
}

impl<'a> Up<'a> {
    fn new(shared: &'a ClientShared, index: usize, connection: &Arc<ConnectionShared>) -> Self {
        shared.connection.channel_up(index, connection);
        shared.channels_changed();
        Self {
            shared,
            connection: Arc::clone(connection),
        }
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        // Whoever waits to send by it finds that it has ended.
        self.connection.close(crate::CloseReason::ClosedByUs);
        self.connection.abandon();
        self.shared.connection.channel_ended(&self.connection);
        self.shared.channels_changed();
    }
}
