//! The clients at topics of one connection, and what the connection tells them.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::task::JoinSet;

use super::Reconnect;
use crate::{ConnectError, DisconnectReason, Status};

pub(super) type Hook<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a client at a topic is told of the connection that it shares.
pub(super) trait TopicHooks: Send + Sync {
    /// It has connected, by the login of this number and in the session of this one.
    fn log_in(self: Arc<Self>, login: u64, session: u64) -> Hook<'static, ()>;

    /// It was lost.
    fn disconnected(self: Arc<Self>, reason: DisconnectReason) -> Hook<'static, ()>;

    /// The broker has closed the session with this status: come back?
    fn closed_by_server<'a>(&'a self, status: &'a Status) -> Hook<'a, Reconnect>;

    /// An attempt to connect has failed.
    fn connect_failure<'a>(&'a self, error: &'a ConnectError, attempt: u32) -> Hook<'a, ()>;
}

/// Which session a connection has, and which connection of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Moment {
    pub(super) session: u64,
    connection: u64,
}

/// The clients of a connection, one for each topic.
#[derive(Clone, Default)]
pub(super) struct TopicClients(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    now: Moment,
    clients: BTreeMap<String, Entry>,
}

struct Entry {
    hooks: Arc<dyn TopicHooks>,
    /// It is told of the connection from here on.
    has_joined: bool,
}

impl TopicClients {
    /// Takes the topic for a client. `false` where another one has it.
    pub(super) fn reserve(&self, topic: &str, hooks: Arc<dyn TopicHooks>) -> bool {
        let mut state = self.lock();
        if state.clients.contains_key(topic) {
            return false;
        }
        let has_joined = false;
        let entry = Entry { hooks, has_joined };
        state.clients.insert(topic.to_owned(), entry);
        true
    }

    /// The client is told of what follows, if nothing has happened since.
    pub(super) fn join(&self, topic: &str, since: Moment) -> bool {
        let mut state = self.lock();
        if state.now != since {
            return false;
        }
        if let Some(entry) = state.clients.get_mut(topic) {
            entry.has_joined = true;
        }
        true
    }

    pub(super) fn remove(&self, topic: &str) {
        self.lock().clients.remove(topic);
    }

    pub(super) fn now(&self) -> Moment {
        self.lock().now
    }

    pub(super) fn begin_session(&self) {
        self.lock().now.session += 1;
    }

    /// Logs all of them in, at once.
    pub(super) async fn connected(&self, login: u64) {
        let (clients, session) = {
            let mut state = self.lock();
            state.now.connection += 1;
            (joined(&state), state.now.session)
        };
        let logins = clients
            .into_iter()
            .map(|client| client.log_in(login, session));
        all(logins).await;
    }

    /// Tells all of them, at once.
    pub(super) async fn disconnected(&self, reason: &DisconnectReason) {
        let clients = self.joined();
        all(clients
            .into_iter()
            .map(|client| client.disconnected(reason.clone())))
        .await;
    }

    pub(super) fn joined(&self) -> Vec<Arc<dyn TopicHooks>> {
        joined(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn joined(state: &State) -> Vec<Arc<dyn TopicHooks>> {
    let joined = state.clients.values().filter(|entry| entry.has_joined);
    joined.map(|entry| Arc::clone(&entry.hooks)).collect()
}

async fn all(hooks: impl Iterator<Item = Hook<'static, ()>>) {
    let mut tasks = JoinSet::new();
    for hook in hooks {
        tasks.spawn(hook);
    }
    while tasks.join_next().await.is_some() {}
}

impl std::fmt::Debug for TopicClients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TopicClients")
            .field("topics", &self.lock().clients.len())
            .finish_non_exhaustive()
    }
}
