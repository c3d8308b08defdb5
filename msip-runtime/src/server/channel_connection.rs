//! The connection of a channel, on the server: its messages are handed over as those of the session that it belongs to.

use std::sync::Arc;

use super::{
    channels::BoundChannel,
    expiry::{expired, expiry},
    permits::ConnectionPermit,
    shared::ServerShared,
};
use crate::{
    CloseReason, Status,
    connection::{ConnectionShared, Raised},
    driver::{Driver, HandlerTask, drain},
    error::WithCauses,
    service::Inbox,
    transport::{PeerAddress, Stream},
};
use msip_session::wire::Decoder;

/// A channel whose handshake is done.
pub(super) struct BegunChannel {
    pub(super) bound: BoundChannel,
    pub(super) connection: Arc<ConnectionShared>,
    pub(super) stream: Stream,
    pub(super) decoder: Decoder,
    pub(super) permit: ConnectionPermit,
    pub(super) address: PeerAddress,
    pub(super) inbox: Arc<Inbox>,
    pub(super) handlers: HandlerTask,
}

/// Runs a channel until it is lost, or its session ends. Returns how many exchanges were cut off.
pub(super) async fn serve(begun: Box<BegunChannel>, shared: Arc<ServerShared>) -> usize {
    let BegunChannel {
        bound,
        connection,
        stream,
        decoder,
        permit,
        address,
        inbox,
        mut handlers,
    } = *begun;
    let settings = &shared.settings;
    let may_log = || shared.log_limiter.may_log_served(&address);
    let driver = Driver::new(stream, decoder, Arc::clone(&connection), Arc::clone(&inbox));
    let mut driver = Box::new(driver.sharing(&shared.turn_queue));
    inbox.connected(connection.terms());
    let up = Up::new(&bound, &connection);
    if may_log() {
        tracing::info!(peer = %bound.host.id, "channel opened");
    }
    let mut over = Some(Raised::of(&bound.host.over));
    let mut expiry = expiry(&connection);
    let ending = loop {
        tokio::select! {
            biased;
            ending = driver.run(&mut handlers) => break ending,
            () = raised(&mut over) => {
                over = None;
                connection.begin_close(&Status::unavailable("the session has ended"));
            }
            () = expired(&mut expiry) => {
                expiry = None;
                connection.begin_close(&Status::unauthenticated("the identity has expired"));
            }
        }
    };
    let ended = driver.end(ending);
    drop(up);
    if may_log() {
        tracing::info!(peer = %bound.host.id, reason = %WithCauses(&ended.reason), "channel lost");
    }
    inbox.close();
    ended.graceful_close.finish().await;
    drain(handlers, settings.drain_timeout).await;
    drop(permit);
    // The session waits for this.
    drop(bound);
    ended.cut_off
}

/// Waits for a signal; never ready without one.
async fn raised(signal: &mut Option<Raised>) {
    match signal {
        Some(signal) => signal.await,
        None => std::future::pending().await,
    }
}

/// A channel that is there as long as this lives.
struct Up<'a> {
    bound: &'a BoundChannel,
    connection: Arc<ConnectionShared>,
}

impl<'a> Up<'a> {
    fn new(bound: &'a BoundChannel, connection: &Arc<ConnectionShared>) -> Self {
        bound.host.main.channel_up(bound.index, connection);
        Self {
            bound,
            connection: Arc::clone(connection),
        }
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        // Whoever waits to send by it finds that it has ended.
        self.connection.close(CloseReason::ClosedByUs);
        self.connection.abandon();
        self.bound.host.main.channel_ended(&self.connection);
    }
}
