//! The endpoints of a connection, and what they ask of it.

use std::{collections::BTreeMap, fmt, sync::Arc, task::Waker};

use super::{grant::Grant, running::Running, topic_filter::TopicFilter};
use crate::{
    DisconnectReason, Metadata, Status,
    connection::{ConnectionShared, FaultInjection},
    describe::OwnSchema,
    driver::HandlerTask,
    service::Inbox,
    sync::{Mutex, MutexGuard, lock},
};
use msip_session::wire::broker::{PresenceInd, TopicInd};

/// A client of a protocol at a topic.
pub(crate) trait ClientEndpoint: Send + Sync {
    /// The topic; what comes to `T/$to/<peer>` is its too.
    fn topic(&self) -> &str;

    /// Begins a session: what handles what comes at the topic.
    fn begin(&self, connection: &Arc<ConnectionShared>, inbox: &Arc<Inbox>) -> HandlerTask;

    /// The broker tells what is spoken at the topic, since its first service has come.
    fn topic_spoken(&self, topic: &TopicInd) {
        let _ = topic;
    }

    /// The broker has ended the subscription to the topic.
    fn ended(&self, why: Status);

    /// What a service is told that asks for the schema of the client.
    fn schema(&self) -> &Arc<OwnSchema>;
}

/// A service of a protocol at a topic, or at all that a filter names.
pub(crate) trait ServiceEndpoint: Send + Sync {
    /// The topics whose clients are its.
    fn filter(&self) -> &TopicFilter;

    /// What a client is told that asks for its schema.
    fn schema(&self) -> &Arc<OwnSchema>;

    /// Begins to serve a client: its handle, and what handles what comes from it, until its inbox has ended. `None` where
    /// it is not served.
    fn open(
        &self,
        introduced: Introduced<'_>,
        connection: &Arc<ConnectionShared>,
        inbox: &Arc<Inbox>,
    ) -> Option<(Arc<dyn VirtualPeer>, HandlerTask)>;

    /// The broker has ended its subscription, or does not make it again.
    fn refused(&self, status: &Status);
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
    Service(Arc<dyn ServiceEndpoint>, Running),
}

/// Which of the endpoints of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EndpointId(u64);

/// What an endpoint asks of the task of the connection.
#[derive(Debug)]
pub(super) enum Command {
    Added(EndpointId),
    Removed(EndpointId),
    /// What runs still for one that was removed is not waited for.
    Aborted(EndpointId),
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
pub(crate) struct Endpoints(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    last_id: u64,
    endpoints: BTreeMap<EndpointId, Endpoint>,
    commands: Vec<Command>,
    waker: Option<Waker>,
}

impl State {
    fn add(&mut self, endpoint: Endpoint) -> EndpointId {
        self.last_id += 1;
        let id = EndpointId(self.last_id);
        self.endpoints.insert(id, endpoint);
        id
    }
}

impl Endpoints {
    pub(crate) fn add_client(&self, client: Arc<dyn ClientEndpoint>) -> EndpointId {
        self.add(Endpoint::Client(client))
    }

    /// Adds a service, and counts those of its clients whose handlers run.
    ///
    /// # Errors
    ///
    /// Another one has some of its topics: a session hears a message once, so that only one of them could have it. Returns what
    /// that one serves.
    pub(crate) fn add_service(
        &self,
        service: Arc<dyn ServiceEndpoint>,
    ) -> Result<(EndpointId, Running), TopicFilter> {
        let running = Running::default();
        let mut state = self.lock();
        let others = state.endpoints.values();
        let mut others = others.filter_map(|endpoint| match endpoint {
            Endpoint::Service(other, _) => Some(other.filter()),
            Endpoint::Client(_) => None,
        });
        if let Some(other) = others.find(|other| other.overlaps(service.filter())) {
            return Err(other.clone());
        }
        let id = state.add(Endpoint::Service(service, running.clone()));
        drop(state);
        self.push(Command::Added(id));
        Ok((id, running))
    }

    fn add(&self, endpoint: Endpoint) -> EndpointId {
        let id = self.lock().add(endpoint);
        self.push(Command::Added(id));
        id
    }

    /// Nothing is sorted for it any more. Its handlers end when they have taken what is there, those of a service when its open
    /// calls are answered too.
    pub(crate) fn remove(&self, id: EndpointId) {
        if self.lock().endpoints.remove(&id).is_some() {
            self.push(Command::Removed(id));
        }
    }

    /// What runs still for a service that was removed ends.
    pub(crate) fn abort(&self, id: EndpointId) {
        self.push(Command::Aborted(id));
    }

    /// Asks the broker to end the session of a client.
    pub(crate) fn disconnect(&self, topic: &Arc<str>, peer: &Arc<str>, status: Status) {
        self.push(Command::Disconnect {
            topic: Arc::clone(topic),
            peer: Arc::clone(peer),
            status,
        });
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
        let commands = std::mem::take(&mut state.commands);
        if FaultInjection::StoreTaskLate.is_on() {
            drop(state);
            state = self.lock();
        }
        match &mut state.waker {
            Some(known) => known.clone_from(waker),
            unknown => *unknown = Some(waker.clone()),
        }
        commands
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
        lock(&self.0)
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints")
            .field("count", &self.lock().endpoints.len())
            .finish_non_exhaustive()
    }
}
