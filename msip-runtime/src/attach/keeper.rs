//! The task of a service: it ends it, when it is to be ended.

use std::sync::Arc;

use tokio::{sync::watch, time::timeout};

use crate::{
    ConnectionState, Draining, Status,
    client::MultiplexedConnection,
    connection::{Signal, SubscribeAsk},
    demux::{EndpointId, Running, RunningGuard},
};

/// A service that a task keeps. Dropped, it ends the service in the background.
#[derive(Debug)]
pub(super) struct Attachment {
    stop: watch::Sender<bool>,
    ended: watch::Receiver<bool>,
    refused: watch::Sender<Option<Status>>,
    draining: Arc<Signal>,
}

/// What the task has.
struct Keeper {
    mux: Arc<MultiplexedConnection>,
    id: EndpointId,
    running: Running,
    ask: SubscribeAsk,
    stop: watch::Receiver<bool>,
    refused: watch::Receiver<Option<Status>>,
    draining: Arc<Signal>,
    /// Dropped when it has ended.
    _ended: Ended,
}

struct Ended {
    told: watch::Sender<bool>,
    /// The connection may be closed then.
    _serving: RunningGuard,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.told.send_replace(true);
    }
}

/// Why a service ends.
enum Reason {
    /// It is told to, and the broker gives it nothing new.
    Stopped,
    /// The broker has ended it, or the connection is closed.
    Lost,
}

impl Attachment {
    pub(super) fn begin(
        mux: Arc<MultiplexedConnection>,
        id: EndpointId,
        running: Running,
        ask: SubscribeAsk,
        refused: watch::Sender<Option<Status>>,
    ) -> Self {
        let (stop, ended) = (watch::Sender::new(false), watch::Sender::new(false));
        let draining = Arc::<Signal>::default();
        let (is_closing, serving) = mux.begin_service();
        let keeper = Keeper {
            mux,
            id,
            running,
            ask,
            stop: stop.subscribe(),
            refused: refused.subscribe(),
            draining: Arc::clone(&draining),
            _ended: Ended {
                told: ended.clone(),
                _serving: serving,
            },
        };
        // It outlives the service, which may be dropped, to tell the broker so: the connection owns it, whose `close` waits for it
        // (`RunningGuard`), as `shutdown` does. It ends within twice `drain_timeout` after either.
        tokio::spawn(keeper.keep(is_closing));
        Self {
            stop,
            ended: ended.subscribe(),
            refused,
            draining,
        }
    }

    pub(super) fn draining(&self) -> Draining {
        Draining::of(&self.draining)
    }

    pub(super) fn refused(&self) -> Option<Status> {
        self.refused.borrow().clone()
    }

    /// Waits until the service has ended.
    pub(super) async fn ended(&self) {
        // The sender is gone where its task was dropped: it has ended too.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Ends the service, and waits for that.
    pub(super) async fn end(&self) {
        self.stop.send_replace(true);
        self.ended().await;
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

impl Keeper {
    async fn keep(mut self, is_closing: watch::Receiver<bool>) {
        let reason = self.wait(is_closing).await;
        self.draining.raise();
        let (mux, limit) = (&self.mux, self.mux.drain_timeout());
        let topic = self.ask.topic.as_str();
        if matches!(reason, Reason::Stopped) {
            let ask = SubscribeAsk {
                is_unsubscribe: true,
                ..self.ask.clone()
            };
            if timeout(limit, mux.unsubscribe(&ask)).await.is_err() {
                tracing::warn!(
                    topic,
                    "the broker was not told in time that a service stops (drain_timeout)"
                );
            }
        }
        mux.endpoints().remove(self.id);
        if timeout(limit, self.running.none()).await.is_err() {
            tracing::warn!(
                topic,
                ?limit,
                "what came to a service was not handled in time (drain_timeout)"
            );
        }
        mux.endpoints().abort(self.id);
    }

    /// Waits until the service is to end.
    async fn wait(&mut self, mut is_closing: watch::Receiver<bool>) -> Reason {
        let mut state = self.mux.watch();
        let mut draining = self.mux.connection().draining();
        let mut is_draining = false;
        loop {
            tokio::select! {
                biased;
                // The senders are in what is held here, or by the service, which sends before it goes.
                _ = self.stop.wait_for(|stop| *stop) => return Reason::Stopped,
                _ = is_closing.wait_for(|is_closing| *is_closing) => return Reason::Stopped,
                _ = self.refused.wait_for(Option::is_some) => return Reason::Lost,
                _ = state.wait_for(|state| *state == ConnectionState::Closed) => return Reason::Lost,
                () = &mut draining, if !is_draining => {
                    is_draining = true;
                    self.draining.raise();
                }
            }
        }
    }
}
