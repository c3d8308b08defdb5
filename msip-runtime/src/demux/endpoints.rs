//! The endpoints of a connection, and what they ask of it.

use std::{
    collections::BTreeMap,
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
};

use tokio::sync::Notify;

use super::grant::Grant;
use crate::{
    DisconnectReason, Metadata, Status, connection::ConnectionShared, describe::OwnSchema,
    driver::HandlerTask, service::Inbox,
};
use msip_session::wire::broker::{PresenceInd, TopicInd};

/// A client of a protocol at a topic.
pub(crate) trait ClientEndpoint: Send + Sync {
    /// The topic; what comes to `T/$to/<peer>` is its too.
    fn topic(&self) -> &str;

    /// Begins a session: what handles what comes at the topic.
    fn begin(&self, connection: &Arc<ConnectionShared>, inbox: &Arc<Inbox>) -> HandlerTask;

    /// The broker tells what is spoken at the topic, since its first service has come.
    fn told(&self, topic: &TopicInd) {
        let _ = topic;
    }

    /// The broker has ended the subscription to the topic.
    fn ended(&self);

    /// What a service is told that asks for the schema of the client.
    fn schema(&self) -> &Arc<OwnSchema>;
}

/// A service of a protocol at a topic, or at all that a filter names.
pub(crate) trait ServiceEndpoint: Send + Sync {
    /// Whether clients of this topic are its.
    fn serves(&self, topic: &str) -> bool;

    /// Begins to serve a client: its handle, and what handles what comes from it, until its inbox has ended. `None` where
    /// nothing could be sent to it.
    fn open(
        &self,
        introduced: Introduced<'_>,
        connection: &Arc<ConnectionShared>,
        inbox: &Arc<Inbox>,
    ) -> Option<(Arc<dyn VirtualPeer>, HandlerTask)>;

    /// The subscription to this topic or filter has ended, by the broker.
    fn refused(&self, topic: &str, status: &Status) {
        let _ = (topic, status);
    }
}

/// A client that the broker introduces to a service.
pub(crate) struct Introduced<'a> {
    pub(crate) topic: &'a Arc<str>,
    pub(crate) peer: &'a Arc<str>,
    pub(crate) about: &'a PresenceInd,
    /// The metadata of a message without any: who sends it, where the broker knows.
    pub(crate) sender: Option<Arc<Metadata>>,
    pub(crate) endpoints: &'a Endpoints,
}

/// A client of a service, as what serves it knows it.
pub(crate) trait VirtualPeer: Send + Sync {
    /// This instance looks after it: the handler is told of its coming, and of its going. `false` where it did already.
    fn look_after(&self) -> bool;

    /// Nothing follows: its session has gone, or that with the broker has. What was received of it is handled still.
    fn gone(&self, reason: DisconnectReason);

    /// The connection to the broker drains.
    fn drain(&self);
}

/// One of the endpoints of a connection.
#[derive(Clone)]
pub(super) enum Endpoint {
    Client(Arc<dyn ClientEndpoint>),
    Service(Arc<dyn ServiceEndpoint>),
}

/// Which of the endpoints of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EndpointId(u64);

/// What an endpoint asks of the task of the connection.
#[derive(Debug)]
pub(super) enum Command {
    Added(EndpointId),
    Removed(EndpointId),
    /// More of a client may be forwarded.
    Grant(Grant),
    /// A client is to be disconnected.
    Disconnect {
        topic: Arc<str>,
        peer: Arc<str>,
        status: Status,
    },
}

/// The endpoints of a connection. What they ask for waits until its task runs: a few commands for each endpoint, and one grant
/// for each half of a client's window.
#[derive(Clone, Default)]
pub(crate) struct Endpoints(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    waiting: Waiting,
}

/// How many one-way messages of the clients of services wait for their handlers, or are being handled.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    count: AtomicU64,
    is_watched: AtomicBool,
    changed: Notify,
}

impl Waiting {
    pub(super) fn add(&self, count: u32) {
        self.count.fetch_add(u64::from(count), Ordering::Relaxed);
    }

    pub(super) fn sub(&self, count: u32) {
        let count = u64::from(count);
        let before = self.count.fetch_sub(count, Ordering::SeqCst);
        if before == count && self.is_watched.load(Ordering::SeqCst) {
            self.changed.notify_waiters();
        }
    }

    /// Waits until there is none.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn none(&self) {
        self.is_watched.store(true, Ordering::SeqCst);
        loop {
            let mut changed = pin!(self.changed.notified());
            // It hears from here on.
            changed.as_mut().enable();
            if self.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            changed.await;
        }
    }
}

#[derive(Default)]
struct State {
    last_id: u64,
    endpoints: BTreeMap<EndpointId, Endpoint>,
    commands: Vec<Command>,
    waker: Option<Waker>,
}

impl Endpoints {
    pub(crate) fn add_client(&self, client: Arc<dyn ClientEndpoint>) -> EndpointId {
        self.add(Endpoint::Client(client))
    }

    pub(crate) fn add_service(&self, service: Arc<dyn ServiceEndpoint>) -> EndpointId {
        self.add(Endpoint::Service(service))
    }

    fn add(&self, endpoint: Endpoint) -> EndpointId {
        let id = {
            let mut state = self.lock();
            state.last_id += 1;
            let id = EndpointId(state.last_id);
            state.endpoints.insert(id, endpoint);
            id
        };
        self.push(Command::Added(id));
        id
    }

    /// Nothing is sorted for it any more; its handlers end when they have taken what is there.
    pub(crate) fn remove(&self, id: EndpointId) {
        if self.lock().endpoints.remove(&id).is_some() {
            self.push(Command::Removed(id));
        }
    }

    /// Asks the broker to end the session of a client.
    pub(crate) fn disconnect(&self, topic: &Arc<str>, peer: &Arc<str>, status: Status) {
        self.push(Command::Disconnect {
            topic: Arc::clone(topic),
            peer: Arc::clone(peer),
            status,
        });
    }

    /// What waits for handlers.
    pub(crate) fn waiting(&self) -> &Waiting {
        &self.0.waiting
    }

    pub(super) fn push(&self, command: Command) {
        let waker = {
            let mut state = self.lock();
            state.commands.push(command);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What was asked for. The next command wakes the task.
    pub(super) fn take(&self, waker: &Waker) -> Vec<Command> {
        let mut state = self.lock();
        match &mut state.waker {
            Some(known) => known.clone_from(waker),
            unknown => *unknown = Some(waker.clone()),
        }
        std::mem::take(&mut state.commands)
    }

    pub(super) fn get(&self, id: EndpointId) -> Option<Endpoint> {
        self.lock().endpoints.get(&id).cloned()
    }

    pub(super) fn all(&self) -> Vec<(EndpointId, Endpoint)> {
        let state = self.lock();
        let endpoints = state.endpoints.iter();
        endpoints
            .map(|(id, endpoint)| (*id, endpoint.clone()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints")
            .field("count", &self.lock().endpoints.len())
            .finish_non_exhaustive()
    }
}
