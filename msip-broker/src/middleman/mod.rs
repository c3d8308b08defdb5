//! Clients of MiddleMan: its published services and pages, unchanged (docs/dialects.md, "MiddleMan").
//!
//! A listener at `mm://` has all of its connections handed off here. Each is a WebSocket of texts, served by a task of its own:
//! `session` reads what a text asks for, `client` does it at the router, and `translate` makes what others understand of it.

mod client;
mod connection;
mod dots;
mod ending;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod id;
mod keys;
mod members;
mod message;
mod metered;
mod reader;
mod replies;
mod requests;
mod session;
mod socket;
#[cfg(test)]
mod tests;
mod topics;
mod translate;
mod upgrade;
mod writer;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize},
    },
    time::Duration,
};

use msip_runtime::{
    transport::PeerAddress,
    untyped::{HandedOff, Handoff},
};
use tokio::time::Instant;

use crate::{
    access::{Principal, Rights, Role, SharedRights},
    connections::{Connected, Connections},
    router::{EndReason, Router, WakeList},
    topic::TopicFilter,
};

pub(crate) use keys::KeySet;
use members::{Member, Members};
use message::MAX_HEAD_LEN;
pub(crate) use upgrade::Origins;

/// What clients of MiddleMan may use.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The largest body of a message, in bytes.
    pub(crate) max_body: usize,
    /// How long a client may take nothing of what is written to it.
    pub(crate) write_timeout: Duration,
    /// Over how long the connections are closed when the broker stops, at most.
    pub(crate) drain_spread: Duration,
    /// How many bytes of messages that have not come whole all connections may hold together.
    pub(crate) max_memory: usize,
    /// Where connections register, for people who look at the broker.
    pub(crate) connections: Connections,
}

impl Settings {
    /// The largest message, in bytes.
    const fn max_message(&self) -> usize {
        self.max_body + MAX_HEAD_LEN
    }
}

/// A listener for clients of MiddleMan: who may connect to it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listener {
    /// The keys of services, and those of everyone else.
    pub(crate) trusted: KeySet,
    pub(crate) public: KeySet,
    /// The origins of web pages that may connect.
    pub(crate) origins: Origins,
}

/// Who a client is, and what it may do.
pub(crate) struct Admission {
    principal: Principal,
    rights: Arc<Rights>,
    /// Whether it is a service.
    is_trusted: bool,
    renew: Renew,
}

/// What a client may do as things are now; `None` where its key is gone.
type Renew = Box<dyn Fn() -> Option<Arc<Rights>> + Send + Sync>;

impl Admission {
    /// Who a client is, as `look_up` says now and later. Besides, every client may hear the messages that are for itself alone,
    /// and a service send such messages.
    pub(crate) fn new(
        is_trusted: bool,
        look_up: impl Fn() -> Option<(Principal, Rights)> + Send + Sync + 'static,
    ) -> Option<Self> {
        let with_messages = move |mut rights: Rights| {
            let messages = TopicFilter::new(topics::MESSAGES).ok();
            rights.subscribe.allow.extend(messages.clone());
            if is_trusted {
                rights.role = Role::Service;
                rights.serve.allow.extend(messages);
            }
            Arc::new(rights)
        };
        let (principal, rights) = look_up()?;
        Some(Self {
            principal,
            rights: with_messages(rights),
            is_trusted,
            renew: Box::new(move || Some(with_messages(look_up()?.1))),
        })
    }
}

pub(crate) type Admitting = Pin<Box<dyn Future<Output = Option<Admission>> + Send>>;

/// Who shows this key, at this listener and the address where it is; `None` where it is the key of nobody.
type Admit = dyn Fn(&Listener, &PeerAddress, &str) -> Admitting + Send + Sync;

/// The listener at an address, where it is one for clients of MiddleMan.
type FindListener = dyn Fn(&PeerAddress) -> Option<Arc<Listener>> + Send + Sync;

/// Serves clients of MiddleMan at the listeners of a server. Clones are one.
#[derive(Clone)]
pub(crate) struct MiddleManPeers(Arc<Inner>);

struct Inner {
    router: Router,
    settings: Settings,
    began: Instant,
    find_listener: Box<FindListener>,
    admit: Box<Admit>,
    rights: SharedRights,
    members: Members,
    /// The number of the next request.
    next_rid: AtomicU64,
    /// What connections hold of messages that have not come whole.
    partial: AtomicUsize,
    connected: Connected,
}

impl MiddleManPeers {
    /// Clients of a router, whose times count from `began`.
    pub(crate) fn new(
        router: Router,
        began: Instant,
        settings: Settings,
        find_listener: impl Fn(&PeerAddress) -> Option<Arc<Listener>> + Send + Sync + 'static,
        admit: impl Fn(&Listener, &PeerAddress, &str) -> Admitting + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            router,
            settings,
            began,
            find_listener: Box::new(find_listener),
            admit: Box::new(admit),
            rights: SharedRights::default(),
            members: Members::default(),
            next_rid: AtomicU64::new(1),
            partial: AtomicUsize::new(0),
            connected: Connected::default(),
        }))
    }
}

impl MiddleManPeers {
    /// Looks the rights of those who are connected up again. Those whose key is gone end.
    pub(crate) fn reauthorize(&self) {
        for member in self.0.members.all() {
            self.0.reauthorize(&member);
        }
    }
}

impl Inner {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Looks up again what a client may do, which ends where its key is gone.
    fn reauthorize(&self, member: &Member) {
        let (session, now) = (&member.session, self.now());
        match (member.renew)() {
            Some(rights) => {
                let rights = self.rights.share(rights);
                self.router.reauthorize(session, rights, now);
            }
            None => {
                let mut wakes = WakeList::new();
                let reason = EndReason::Revoked;
                self.router.end(session, reason, now, &mut wakes);
            }
        }
    }
}

impl fmt::Debug for MiddleManPeers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MiddleManPeers")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

impl Handoff for MiddleManPeers {
    /// It is not the first bytes that show who connects, but the listener.
    fn recognizes(&self, _: &[u8]) -> bool {
        false
    }

    fn claims(&self, local: &PeerAddress) -> bool {
        (self.0.find_listener)(local).is_some()
    }

    async fn serve(&self, peer: HandedOff) {
        if let Some(listener) = (self.0.find_listener)(&peer.connection.local) {
            connection::serve(&self.0, &listener, peer).await;
        }
    }
}

/// The user of a principal of another dialect, as clients of MiddleMan are told.
fn uid_of(principal: &Principal) -> &str {
    match principal.name() {
        "anonymous" => "",
        name => name,
    }
}
