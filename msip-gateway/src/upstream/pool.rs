//! The sessions of a gateway with one server: found by principal, limited, and ended when they are idle.

use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::http::{HeaderValue, StatusCode, header};
use msip_runtime::{Code, transport::ServiceUrl};
use tokio::sync::OnceCell;

use super::{
    principal::{Principal, SessionKey},
    refusals::Refusals,
    session::{Session, Target},
};
use crate::{GatewayError, ProtocolModel};

/// For how long a principal that was refused is refused again without asking.
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// How many sessions a gateway keeps with a server, and for how long.
///
/// ```
/// use std::time::Duration;
/// use msip_gateway::UpstreamLimits;
///
/// let limits = UpstreamLimits::default().max_sessions(100).idle(Duration::from_secs(10));
/// # let _ = limits;
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct UpstreamLimits {
    max_sessions: usize,
    max_sessions_per_principal: usize,
    idle: Duration,
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self {
            max_sessions: 1024,
            max_sessions_per_principal: 64,
            idle: Duration::from_secs(60),
        }
    }
}

impl UpstreamLimits {
    /// How many sessions there may be. Where there is one more, an idle one is ended; where all are in use, the request is refused.
    /// Default 1,024; at least 1.
    pub fn max_sessions(mut self, count: usize) -> Self {
        self.max_sessions = count.max(1);
        self
    }

    /// How many of them one principal may have, by names of its own. Default 64; at least 1.
    pub fn max_sessions_per_principal(mut self, count: usize) -> Self {
        self.max_sessions_per_principal = count.max(1);
        self
    }

    /// How long a session without requests and event streams is kept. Default 60 s.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }
}

/// An MSIP server, or a topic of a broker, and the sessions with it. It is cheap to clone.
#[derive(Clone)]
pub struct Upstream(Arc<Shared>);

struct Shared {
    target: Target,
    model: ProtocolModel,
    limits: UpstreamLimits,
    pool: Mutex<Pool>,
}

#[derive(Default)]
struct Pool {
    slots: HashMap<SessionKey, Arc<Slot>>,
    refusals: Refusals,
}

/// A session, or the attempt to connect, or why it was refused.
struct Slot {
    principal: Principal,
    session: OnceCell<Arc<Session>>,
    users: AtomicUsize,
    state: Mutex<SlotState>,
}

struct SlotState {
    used: Instant,
    refused: Option<(Instant, GatewayError)>,
}

impl Slot {
    fn new(principal: Principal) -> Self {
        let state = SlotState {
            used: Instant::now(),
            refused: None,
        };
        Self {
            principal,
            session: OnceCell::new(),
            users: AtomicUsize::new(0),
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        self.session
            .get()
            .is_some_and(|session| session.is_closed())
    }

    /// How long nobody has used it.
    fn idle(&self) -> Option<Duration> {
        (self.users.load(Ordering::Acquire) == 0).then(|| self.state().used.elapsed())
    }
}

/// A session in use: it is not ended for being idle.
pub(crate) struct Lease {
    session: Arc<Session>,
    _user: User,
}

impl std::ops::Deref for Lease {
    type Target = Arc<Session>;

    fn deref(&self) -> &Arc<Session> {
        &self.session
    }
}

/// Counts who uses a slot.
struct User(Arc<Slot>);

impl User {
    fn of(slot: &Arc<Slot>) -> Self {
        slot.users.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(slot))
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.0.state().used = Instant::now();
        self.0.users.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Upstream {
    /// The server or the broker at this URL, which speaks this protocol. `tcp://host:port/room1` is the topic `room1` of a broker;
    /// `mem://name` a server of this process.
    ///
    /// # Errors
    ///
    /// The URL is malformed.
    pub fn new(
        url: &str,
        model: ProtocolModel,
        limits: UpstreamLimits,
    ) -> Result<Self, msip_runtime::transport::UrlError> {
        let url: ServiceUrl = url.parse()?;
        let target = Target {
            topic: url.topic().map(str::to_owned),
            url: url.without_topic().to_string(),
        };
        Ok(Self(Arc::new(Shared {
            target,
            model,
            limits,
            pool: Mutex::default(),
        })))
    }

    /// What it speaks.
    #[must_use]
    pub fn model(&self) -> &ProtocolModel {
        &self.0.model
    }

    /// The session of this principal, connected if need be; `from` is who asks.
    ///
    /// # Errors
    ///
    /// The server refuses the principal, or cannot be reached; or there are too many sessions.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn session(
        &self,
        principal: &Principal,
        from: IpAddr,
    ) -> Result<Lease, GatewayError> {
        let user = User::of(&self.slot(principal)?);
        let slot = Arc::clone(&user.0);
        let lease = |session: &Arc<Session>, user| Lease {
            session: Arc::clone(session),
            _user: user,
        };
        if let Some(session) = slot.session.get() {
            return Ok(lease(session, user));
        }
        if let Some((until, error)) = slot.state().refused.clone()
            && Instant::now() < until
        {
            return Err(error);
        }
        let has_credential = principal.credential().is_some();
        if has_credential && !self.pool().refusals.may_try(from, Instant::now()) {
            let text = "too many credentials from here were refused lately";
            return Err(GatewayError::new(Code::ResourceExhausted, text)
                .with_header(header::RETRY_AFTER, HeaderValue::from_static("60")));
        }
        let connecting = || async {
            let connected = Session::connect(&self.0.target, &self.0.model, principal).await;
            connected.map(Arc::new)
        };
        match slot.session.get_or_try_init(connecting).await {
            Ok(session) => Ok(lease(session, user)),
            Err(error) => {
                self.refused(&slot, from, &error);
                Err(error)
            }
        }
    }

    fn refused(&self, slot: &Slot, from: IpAddr, error: &GatewayError) {
        if !matches!(error.code(), Code::Unauthenticated | Code::PermissionDenied) {
            return;
        }
        let now = Instant::now();
        slot.state().refused = Some((now + REFUSED_FOR, error.clone()));
        if slot.principal.credential().is_some() {
            self.pool().refusals.count(from, now);
        }
    }

    /// The slot of a principal, in place of one whose session has ended.
    fn slot(&self, principal: &Principal) -> Result<Arc<Slot>, GatewayError> {
        let mut pool = self.pool();
        let key = principal.key();
        if let Some(slot) = pool.slots.get(&key)
            && !slot.is_closed()
        {
            return Ok(Arc::clone(slot));
        }
        pool.slots.remove(&key);
        let limits = &self.0.limits;
        let own = pool.slots.values();
        let own = own
            .filter(|slot| slot.principal.is_same_as(principal))
            .count();
        if own >= limits.max_sessions_per_principal {
            pool.make_room(|slot| slot.principal.is_same_as(principal))?;
        } else if pool.slots.len() >= limits.max_sessions {
            pool.make_room(|_| true)?;
        }
        let slot = Arc::new(Slot::new(principal.clone()));
        pool.slots.insert(key, Arc::clone(&slot));
        Ok(slot)
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.0.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends sessions that nobody has used for long; runs until the future is dropped.
    pub(crate) async fn expire(&self) {
        let idle = self.0.limits.idle;
        let mut ticks = tokio::time::interval((idle / 4).max(Duration::from_millis(10)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // The last handle closes a connection when it is dropped.
            self.pool()
                .slots
                .retain(|_, slot| slot.idle().is_none_or(|unused| unused < idle));
        }
    }

    /// Ends every session, once what is open has ended or the drain of each has passed.
    pub(crate) async fn close(&self) {
        let slots = std::mem::take(&mut self.pool().slots);
        let mut closing = tokio::task::JoinSet::new();
        for slot in slots.into_values() {
            if let Some(session) = slot.session.get().cloned() {
                closing.spawn(async move { session.close().await });
            }
        }
        while closing.join_next().await.is_some() {}
    }
}

impl Pool {
    /// Ends the session that has been idle longest, of those that may go.
    fn make_room(&mut self, may_go: impl Fn(&Slot) -> bool) -> Result<(), GatewayError> {
        let slots = self.slots.iter().filter(|(_, slot)| may_go(slot));
        let idle = slots.filter_map(|(key, slot)| Some((slot.idle()?, *key)));
        let oldest = idle.max_by_key(|(unused, _)| *unused);
        let Some((_, key)) = oldest else {
            let text = "too many sessions are in use";
            return Err(GatewayError::new(Code::ResourceExhausted, text)
                .with_status(StatusCode::SERVICE_UNAVAILABLE));
        };
        self.slots.remove(&key);
        Ok(())
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("target", &self.0.target)
            .field("model", &self.0.model)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}
