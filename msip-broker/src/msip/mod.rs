//! MSIP peers: the untyped service of the broker, which ties each session to the router (docs/broker.md).
//!
//! A session is served by two loops in one task. The reader publishes what comes, subscribes and hands calls to services;
//! the writer sends what the session's outbox has. Neither waits for the other: a peer that reads nothing is still read
//! from, until it is too slow.

mod call;
mod deliveries;
mod delivery_queue;
#[cfg(feature = "middleman")]
mod foreign;
#[cfg(feature = "middleman")]
mod foreign_pass;
mod heard_at;
mod link;
mod open_work;
mod outgoing;
mod presence;
mod publications;
mod reader;
mod requests;
mod writer;

use std::{
    collections::HashMap,
    fmt,
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use msip_runtime::{
    Status,
    untyped::{IdleInbound, Inbound, Service, UntypedPeer},
};

use crate::{
    access::{Principal, Rights, SharedRights},
    connections::Connections,
    router::{
        About, Dialect, EndReason, OutboxItem, Refused, Router, SessionHandle, SessionKey, WakeList,
    },
};
#[cfg(feature = "middleman")]
pub(crate) use call::{MsipCall, MsipRequest};
#[cfg(feature = "middleman")]
pub(crate) use foreign::{Foreign, ForeignCall};
use link::Link;
use outgoing::Outgoing;
use reader::{Lasting, Read, Reader};
use writer::Writer;

/// Who a peer is, and what it may do; `None` where it is nobody any longer.
type Authorize = dyn Fn(&UntypedPeer) -> Option<(Principal, Arc<Rights>)> + Send + Sync;

/// Serves the MSIP sessions of a broker; for [`UntypedServer`](msip_runtime::untyped::UntypedServer), with a protocol that was
/// given [topics](msip_runtime::untyped::UntypedProtocol::with_topics). Cheap to clone.
///
/// ```
/// use std::{sync::Arc, time::Instant};
///
/// use msip_broker::{access::{Principal, Rights}, msip::BrokerService, router::{Limits, Router}};
/// use msip_runtime::untyped::{UntypedProtocol, UntypedServer};
///
/// # async fn run() -> Result<(), msip_runtime::BindError> {
/// let (router, start) = (Router::new(Limits::default()), Instant::now());
/// let everyone = Arc::new(Rights::all());
/// let service = BrokerService::new(router, move || start.elapsed(), move |_| {
///     Some((Principal::new("anonymous"), Arc::clone(&everyone)))
/// });
/// let server = UntypedServer::builder("tcp://127.0.0.1:9000")
///     .untyped(UntypedProtocol::any().with_topics(), service)
///     .bind()
///     .await?;
/// server.serve().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct BrokerService(Arc<Shared>);

/// What all sessions have in common.
struct Shared {
    router: Router,
    now: Box<dyn Fn() -> Duration + Send + Sync>,
    authorize: Box<Authorize>,
    rights: SharedRights,
    connections: Connections,
    /// The clients that have a session: for a service that wants one disconnected, and when rights change.
    peers: Mutex<HashMap<SessionKey, UntypedPeer>>,
}

impl BrokerService {
    /// Ties sessions to this router. `now` is the time that it is told everywhere, and `authorize` says who a peer is and what it
    /// may do, when it connects and when it connects again. Where that is nothing, since its key is gone, its session ends.
    pub fn new(
        router: Router,
        now: impl Fn() -> Duration + Send + Sync + 'static,
        authorize: impl Fn(&UntypedPeer) -> Option<(Principal, Arc<Rights>)> + Send + Sync + 'static,
    ) -> Self {
        Self::with_connections(router, now, authorize, Connections::default())
    }

    /// The same, whose connections register in this table, for people who look at the broker.
    pub fn with_connections(
        router: Router,
        now: impl Fn() -> Duration + Send + Sync + 'static,
        authorize: impl Fn(&UntypedPeer) -> Option<(Principal, Arc<Rights>)> + Send + Sync + 'static,
        connections: Connections,
    ) -> Self {
        Self(Arc::new(Shared {
            router,
            now: Box::new(now),
            authorize: Box::new(authorize),
            rights: SharedRights::default(),
            connections,
            peers: Mutex::default(),
        }))
    }

    /// What peers may do has changed. The rights of those who are connected are looked up again, and hold at once: what they do
    /// not cover any longer ends, and its peer is told. Sessions without a connection are looked at when they resume. Those of
    /// peers that are nobody any longer end.
    pub fn reauthorize(&self) {
        let shared = &self.0;
        let known: Vec<_> = shared
            .peers()
            .iter()
            .map(|(key, peer)| (*key, peer.clone()))
            .collect();
        for (key, peer) in known {
            if let Some(session) = shared.router.session(key) {
                shared.reauthorize(&session, &peer);
            }
        }
    }
}

impl fmt::Debug for BrokerService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerService")
            .field("router", &self.0.router)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    fn now(&self) -> Duration {
        (self.now)()
    }

    /// Who a peer is, and what it may do; `None` where it is nobody any longer.
    fn authorize(&self, peer: &UntypedPeer) -> Option<(Principal, Arc<Rights>)> {
        let (principal, rights) = (self.authorize)(peer)?;
        Some((principal, self.rights.share(rights)))
    }

    /// Looks up again what a peer may do that has this session, which ends where the peer is nobody any longer.
    fn reauthorize(&self, session: &SessionHandle, peer: &UntypedPeer) {
        let (router, now) = (&self.router, self.now());
        match self.authorize(peer) {
            Some((_, rights)) => {
                router.reauthorize(session, rights, now);
            }
            None => {
                let mut wakes = WakeList::new();
                router.end(session, EndReason::Revoked, now, &mut wakes);
            }
        }
    }

    /// A session of the router for a peer.
    fn connect(&self, peer: &UntypedPeer) -> Option<SessionHandle> {
        let (principal, rights) = self.authorize(peer)?;
        let name = peer.id().map(|id| id.to_string());
        let known = name.as_deref().map(|name| (name, about(peer)));
        let router = &self.router;
        Some(router.connect_as(principal, rights, Dialect::Msip, known))
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<SessionKey, UntypedPeer>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service for BrokerService {
    /// Not an `async fn`, whose future would hold what it is given twice: there are many silent peers.
    fn serve(&self, peer: UntypedPeer, mut inbound: Inbound) -> impl Future<Output = ()> + Send {
        let shared = &self.0;
        inbound.tell_idle();
        let mut inbound = Box::new(inbound);
        async move {
            // The keys may have been read again since it has shown one.
            let Some(session) = shared.connect(&peer) else {
                let (code, text) = EndReason::Revoked.told();
                peer.disconnect(Status::new(code, text));
                return;
            };
            let open = OpenSession::new(shared, &session, &peer);
            // From here on it is found when rights change: what has changed in between is looked up.
            shared.reauthorize(&session, &peer);
            let (link, mut lasting) = (Link::default(), Lasting::default());
            let mut taken = Vec::new();
            loop {
                // In a box, which is there as long as anything comes or goes: it is large, and most of its life a peer is silent.
                let awake = awake(&open, &peer, &link, &mut lasting, &mut inbound, taken);
                if Box::pin(awake).await == Read::Ended {
                    return;
                }
                taken = Vec::new();
                // In little memory, until the peer has sent something or is to be sent something.
                let mut idle = match inbound.rest() {
                    Ok(idle) => idle,
                    Err(awake) => {
                        inbound = awake;
                        continue;
                    }
                };
                poll_fn(|task| poll_something(&open, &link, &mut idle, &mut taken, task)).await;
                // The box of before was given back when the peer fell silent.
                let awake = Box::new(idle.wake());
                inbound = awake;
            }
        }
    }
}

/// Reads and writes, first what was `taken` already, until the peer is silent or its session has ended.
async fn awake(
    open: &OpenSession<'_>,
    peer: &UntypedPeer,
    link: &Link,
    lasting: &mut Lasting,
    inbound: &mut Inbound,
    taken: Vec<OutboxItem>,
) -> Read {
    let OpenSession { shared, session } = open;
    let mut reader = Reader::new(shared, session, peer, link, lasting);
    let out = Outgoing::new(shared, session, link, peer.handle().clone());
    let mut writer = Writer::new(&out, peer, taken);
    let mut reading = pin!(reader.run(inbound, &out));
    let ended = tokio::select! {
        biased;
        read = &mut reading => match read {
            Read::Silent => return read,
            Read::Ended => None,
        },
        reason = writer.run() => Some(reason),
    };
    if let Some(reason) = ended {
        // The router has ended the session, or the peer takes nothing.
        open.end(reason, writer.take_unsent());
        let (code, text) = reason.told();
        peer.disconnect(Status::new(code, text));
        // Until its connection is closed it may answer what it has.
        Box::pin(writer.pass_on_until(reading)).await;
    }
    // Whoever waits for an answer of this session hears that there is none.
    Box::pin(writer.finish()).await;
    let reason = match link.is_connected() {
        true => EndReason::Closed,
        false => EndReason::Expired,
    };
    open.end(reason, writer.take_unsent());
    Read::Ended
}

/// Ready when a silent peer has sent something, or is to be sent what was `taken`.
fn poll_something(
    open: &OpenSession<'_>,
    link: &Link,
    inbound: &mut IdleInbound,
    taken: &mut Vec<OutboxItem>,
    task: &mut Context<'_>,
) -> Poll<()> {
    if inbound.poll_ready(task).is_ready() {
        return Poll::Ready(());
    }
    if !link.is_connected() {
        return Poll::Pending;
    }
    let now = open.shared.now();
    let took = open.session.poll_take(now, writer::TAKE, taken, task);
    // That the session has ended is found again by whoever writes.
    took.map(|_| ())
}

/// A session of the router, which ends with this.
struct OpenSession<'a> {
    shared: &'a Arc<Shared>,
    session: &'a SessionHandle,
}

impl<'a> OpenSession<'a> {
    fn new(shared: &'a Arc<Shared>, session: &'a SessionHandle, peer: &UntypedPeer) -> Self {
        shared.peers().insert(session.key(), peer.clone());
        Self { shared, session }
    }

    /// Ends it; the first reason stays. What it has taken and not sent goes to others.
    fn end(&self, reason: EndReason, unsent: Vec<OutboxItem>) {
        let mut wakes = WakeList::new();
        let now = self.shared.now();
        self.shared
            .router
            .end_with(self.session, unsent, reason, now, &mut wakes);
    }
}

impl Drop for OpenSession<'_> {
    fn drop(&mut self) {
        self.shared.peers().remove(&self.session.key());
        // The server was dropped, if it has not ended before.
        self.end(EndReason::Shutdown, Vec::new());
    }
}

/// What instances of typed services are told of a peer.
fn about(peer: &UntypedPeer) -> About {
    let identity = peer.identity();
    let identity = identity.as_deref();
    About {
        user: identity.map_or_else(String::new, |identity| identity.user.clone()),
        service: identity.map_or_else(String::new, |identity| identity.service.clone()),
        roles: identity.map_or_else(Vec::new, |identity| identity.roles.clone()),
        address: peer.address().map(ToString::to_string).unwrap_or_default(),
        name: peer.name().to_owned(),
        protocol: peer.protocol().to_owned(),
        fingerprint: peer.fingerprint(),
    }
}

/// What a peer is told of a refusal.
fn status(refused: &Refused) -> Status {
    Status::new(refused.code, refused.text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what a function returns.
    fn returned_len<T, R>(_: impl Fn(T) -> R) -> usize {
        size_of::<R>()
    }

    #[test]
    fn what_every_idle_session_holds_is_small() {
        let serve = |(service, peer, inbound): (&'static BrokerService, UntypedPeer, Inbound)| {
            service.serve(peer, inbound)
        };
        let future = returned_len(serve);
        let parts = [
            ("what it receives", size_of::<Inbound>()),
            ("what its reader keeps", size_of::<Lasting>()),
        ];
        assert!(future <= 272, "{future} bytes, of which are {parts:?}");
    }
}
