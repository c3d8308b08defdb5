//! The endpoints that are open in a session, by topic.

mod notices;
mod receive;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use slab::Slab;
use tokio::task::{AbortHandle, JoinSet};

use super::{
    endpoints::{Command, Endpoint, EndpointId, Endpoints, VirtualPeer},
    grant::Grant,
    inform,
    window::EndpointWindow,
};
use crate::{
    DisconnectReason, Draining, Metadata, SendError, Status,
    connection::{ConnectionShared, Terms},
    options::NO_OPTIONS,
    raw::Handle,
    service::{Inbox, PeerWindow},
};

/// What is open in one session.
pub(super) struct Table {
    endpoints: Endpoints,
    connection: Arc<ConnectionShared>,
    terms: Terms,
    /// The session has, or had, a connection.
    has_begun: bool,
    begun: BTreeSet<EndpointId>,
    open: Slab<Open>,
    by_topic: HashMap<Bytes, usize>,
    /// What came last likely comes again.
    last: Option<(Bytes, usize)>,
    /// What runs for the endpoints, and what tells the broker something that had to wait.
    tasks: JoinSet<()>,
    /// What runs still for services that were removed.
    leaving: BTreeMap<EndpointId, Vec<Handlers>>,
    draining: Draining,
    is_draining: bool,
}

/// What has an inbox of its own, and a window.
struct Open {
    id: EndpointId,
    handlers: Handlers,
    window: Arc<EndpointWindow>,
    peer: Option<OpenPeer>,
}

/// What handles what comes to an inbox.
struct Handlers {
    inbox: Arc<Inbox>,
    task: AbortHandle,
}

/// A client of a service.
struct OpenPeer {
    /// `T/$in/<peer>`.
    key: Bytes,
    peer: Arc<dyn VirtualPeer>,
    sender: Option<Arc<Metadata>>,
}

impl Table {
    pub(super) fn new(
        endpoints: Endpoints,
        connection: &Arc<ConnectionShared>,
        terms: &Terms,
    ) -> Self {
        Self {
            endpoints,
            draining: connection.draining(),
            connection: Arc::clone(connection),
            terms: terms.clone(),
            has_begun: false,
            begun: BTreeSet::new(),
            open: Slab::new(),
            by_topic: HashMap::new(),
            last: None,
            tasks: JoinSet::new(),
            leaving: BTreeMap::new(),
            is_draining: false,
        }
    }

    /// Does what the endpoints ask for.
    pub(super) fn poll(&mut self, task: &mut Context<'_>) {
        for command in self.endpoints.take(task.waker()) {
            self.run(command);
        }
        while let Poll::Ready(Some(_)) = self.tasks.poll_join_next(task) {}
        if !self.is_draining && Pin::new(&mut self.draining).poll(task).is_ready() {
            self.is_draining = true;
            for (_, open) in &self.open {
                if let Some(peer) = &open.peer {
                    peer.peer.drain();
                }
            }
        }
    }

    fn run(&mut self, command: Command) {
        match command {
            Command::Added(id) if self.has_begun => {
                if let Some(Endpoint::Client(_)) = self.endpoints.get(id) {
                    self.begin_clients();
                }
            }
            Command::Added(_) => {}
            Command::Removed(id) => self.remove(id),
            Command::Aborted(id) => {
                for handlers in self.leaving.remove(&id).unwrap_or_default() {
                    handlers.task.abort();
                }
            }
            Command::Grant(grant) => self.grant(&grant),
            Command::Disconnect {
                topic,
                peer,
                status,
            } => self.disconnect(&topic, &peer, &status),
        }
    }

    /// The session has a connection: its first, or another one.
    pub(super) fn connected(&mut self, terms: &Terms) {
        self.terms = terms.clone();
        for (_, open) in &self.open {
            open.window.resumed(terms.connection);
            match &open.peer {
                Some(peer) => {
                    // Its client is the same, and nothing has happened to it.
                    let sender = peer.sender.clone();
                    open.handlers.inbox.resumed(Terms {
                        sender,
                        ..terms.clone()
                    });
                }
                None => open.handlers.inbox.connected(terms.clone()),
            }
        }
        self.has_begun = true;
        self.begin_clients();
    }

    /// The connection was lost; the session goes on.
    pub(super) fn disconnected(&self, reason: &DisconnectReason) {
        for (_, open) in &self.open {
            if open.peer.is_none() {
                open.handlers.inbox.disconnected(reason.clone());
            }
        }
    }

    /// Begins the clients of topics that are new in this session.
    fn begin_clients(&mut self) {
        for (id, endpoint) in self.endpoints.all() {
            let Endpoint::Client(client) = endpoint else {
                continue;
            };
            if !self.begun.insert(id) {
                continue;
            }
            // What it hears itself: of nobody in particular.
            let window = self.window(&Arc::from(client.topic()), &Arc::from(""));
            let inbox = Arc::new(Inbox::with_window(
                Arc::clone(&window) as Arc<dyn PeerWindow>
            ));
            inbox.connected(self.terms.clone());
            let task = self.tasks.spawn(client.begin(&self.connection, &inbox));
            let topic = Bytes::copy_from_slice(client.topic().as_bytes());
            let key = self.open.insert(Open {
                id,
                handlers: Handlers { inbox, task },
                window,
                peer: None,
            });
            self.by_topic.insert(topic, key);
        }
    }

    /// The session has ended: waits until the handlers have taken what is there.
    pub(super) async fn finish(&mut self) {
        for open in self.open.drain() {
            if let Some(peer) = open.peer {
                peer.peer.gone(DisconnectReason::ClosedByUs);
            }
            open.handlers.inbox.close();
        }
        for handlers in std::mem::take(&mut self.leaving).into_values().flatten() {
            handlers.inbox.close();
        }
        self.by_topic.clear();
        self.last = None;
        while self.tasks.join_next().await.is_some() {}
    }

    fn window(&self, topic: &Arc<str>, peer: &Arc<str>) -> Arc<EndpointWindow> {
        Arc::new(EndpointWindow::new(
            Arc::clone(topic),
            Arc::clone(peer),
            self.terms.connection,
            self.endpoints.clone(),
        ))
    }

    /// Nothing more comes of one: what is there is handled still.
    fn end(&mut self, key: usize, reason: DisconnectReason) {
        let Some(open) = self.open.try_remove(key) else {
            return;
        };
        match &open.peer {
            Some(peer) => {
                self.by_topic.remove(&peer.key);
                peer.peer.gone(reason);
            }
            None => self.by_topic.retain(|_, other| *other != key),
        }
        self.last = None;
        open.handlers.inbox.end();
    }

    /// An endpoint is not there any more. Clients of a service may be sent something until their handlers have ended.
    fn remove(&mut self, id: EndpointId) {
        let open = self.open.iter();
        let of_it: Vec<usize> = open
            .filter(|(_, open)| open.id == id)
            .map(|(key, _)| key)
            .collect();
        for key in of_it {
            let is_of_service = self.open.get(key).is_some_and(|open| open.peer.is_some());
            match is_of_service {
                true => self.leave(key),
                false => self.end(key, DisconnectReason::ClosedByUs),
            }
        }
    }

    /// Nothing more comes of a client, since its service leaves: what is there is handled, and open calls are answered.
    fn leave(&mut self, key: usize) {
        let Some(open) = self.open.try_remove(key) else {
            return;
        };
        if let Some(peer) = open.peer {
            self.by_topic.remove(&peer.key);
            peer.peer.drain();
        }
        self.last = None;
        open.handlers.inbox.finish();
        self.leaving.entry(open.id).or_default().push(open.handlers);
    }

    /// Tells the broker that it may forward more of a client.
    fn grant(&mut self, grant: &Grant) {
        // A window begins anew with each connection.
        if grant.connection != self.terms.connection {
            return;
        }
        let Ok(message) = inform::peer_credit(grant) else {
            return;
        };
        if let Err(SendError::Full | SendError::LoginPending) =
            self.connection.try_send(&message, &NO_OPTIONS)
        {
            let connection = Arc::clone(&self.connection);
            self.tasks.spawn(async move {
                if let Err(error) = connection.send(&message, &NO_OPTIONS).await {
                    tracing::debug!(%error, "the broker was not granted more of a client");
                }
            });
        }
    }

    /// Asks the broker to end the session of a client.
    fn disconnect(&mut self, topic: &str, peer: &str, status: &Status) {
        let Ok(request) = inform::disconnect(topic, peer, status) else {
            return;
        };
        let broker = Handle::new(&self.connection);
        let peer = peer.to_owned();
        self.tasks.spawn(async move {
            if let Err(error) = broker.call(&request, &NO_OPTIONS).await {
                tracing::warn!(peer, %error, "the broker has not disconnected a client");
            }
        });
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("open", &self.open.len())
            .finish_non_exhaustive()
    }
}
