//! Where a connection has its session: in little memory while it is silent.

use msip_session::{IdleSession, Session, wire::Side};

use crate::Dropped;

/// The session of a connection, if there is one. In a box, so that a silent one takes less.
#[derive(Debug, Default)]
pub(super) enum SessionSlot {
    #[default]
    Empty,
    Awake(Box<Session>),
    /// Nothing of it is open. It is woken by whoever does anything to it.
    Idle(Box<IdleSession>),
}

impl SessionSlot {
    /// The session. It wakes up.
    #[inline]
    pub(super) fn as_mut(&mut self) -> Option<&mut Session> {
        match self {
            Self::Awake(session) => Some(session),
            Self::Empty => None,
            Self::Idle(_) => self.wake(),
        }
    }

    #[cold]
    #[inline(never)]
    fn wake(&mut self) -> Option<&mut Session> {
        if let Self::Idle(idle) = std::mem::take(self) {
            *self = Self::Awake(Box::new(idle.wake()));
        }
        self.awake_mut()
    }

    /// The session, where it is awake: an idle one has nothing open, queued or owed.
    #[inline]
    pub(super) fn awake(&self) -> Option<&Session> {
        match self {
            Self::Awake(session) => Some(session),
            Self::Empty | Self::Idle(_) => None,
        }
    }

    /// The same, to be changed.
    #[inline]
    pub(super) fn awake_mut(&mut self) -> Option<&mut Session> {
        match self {
            Self::Awake(session) => Some(session),
            Self::Empty | Self::Idle(_) => None,
        }
    }

    /// A session that is silent takes little memory from here on.
    pub(super) fn rest(&mut self) {
        let idle = self.awake_mut().and_then(Session::rest);
        if let Some(idle) = idle {
            *self = Self::Idle(Box::new(idle));
        }
    }

    /// Takes the session out.
    pub(super) fn take(&mut self) -> Option<Box<Session>> {
        self.as_mut()?;
        match std::mem::take(self) {
            Self::Awake(session) => Some(session),
            Self::Empty | Self::Idle(_) => None,
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Whether messages can be sent to the peer now.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Empty => false,
            Self::Awake(session) => session.is_open(),
            Self::Idle(_) => true,
        }
    }

    pub(super) fn side(&self) -> Option<Side> {
        match self {
            Self::Empty => None,
            Self::Awake(session) => Some(session.side()),
            Self::Idle(session) => Some(session.side()),
        }
    }

    /// The number of the session's current connection.
    pub(super) fn connection(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Awake(session) => session.connection(),
            Self::Idle(session) => session.connection(),
        }
    }

    /// How many frames were ignored.
    pub(super) fn ignored(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Awake(session) => session.ignored(),
            Self::Idle(session) => session.ignored(),
        }
    }

    /// How many messages were dropped.
    pub(super) fn dropped(&self) -> Dropped {
        match self {
            Self::Empty => Dropped::default(),
            Self::Awake(session) => session.dropped(),
            Self::Idle(session) => session.dropped(),
        }
    }
}
