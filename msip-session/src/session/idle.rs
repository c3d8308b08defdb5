//! Idle sessions: what is kept of a session with a connection while nothing of it is open.
//!
//! Most sessions are silent most of the time, and a server or a broker has many. All that matters then is what
//! [is kept of a session without a connection](super::ParkedSession), and besides that the credit of both sides and the clocks.

use std::{sync::Arc, time::Duration};

use super::{
    CANCEL_BURST, CANCELS_PER_SECOND, Config, ParkedSession, Phase, Session, UNWANTED_BURST,
    UNWANTED_PER_SECOND,
    compact_time::CompactTime,
    fault_injection::FaultInjection,
    keepalive::IdleKeepalive,
    subscriptions::{SubscribeIntake, SubscribeRate},
    token_bucket::TokenBucket,
    window::{ReceiveWindow, SendWindow},
};
use crate::{Dropped, wire::Side};

/// A session with a connection of which nothing is open, in little memory; from [`Session::rest`].
#[derive(Debug)]
pub struct IdleSession {
    config: Arc<Config>,
    lasting: ParkedSession,
    send_window: SendWindow,
    receive_window: ReceiveWindow,
    keepalive: IdleKeepalive,
    last_credit: CompactTime,
    unwanted: TokenBucket<UNWANTED_BURST, UNWANTED_PER_SECOND>,
    cancels: TokenBucket<CANCEL_BURST, CANCELS_PER_SECOND>,
    subscribe_rate: Option<SubscribeRate>,
    is_kept: bool,
}

impl Session {
    /// Whether it can [rest](Self::rest): it is open, and no frame of either side is under way or expected.
    pub fn can_rest(&self) -> bool {
        self.phase == Phase::Open
            && self.has_nothing_open()
            // What is being written counts too.
            && self.outgoing.cost() == 0
            && self.pong_count == 0
            && self.keepalive.is_answered()
            && self.drain.is_none()
            && self.cancel_pacer.is_none()
            && self.datagrams.is_none()
            && self.send_window.is_open()
            && !self.receive_window.awaits_relief()
            && !self.streams.relief.is_on()
            && self.read_memory == 0
            && !self.is_short_of_memory()
    }

    /// Takes all out of a session that is silent: it is over then, and goes on as the one that [`IdleSession::wake`]
    /// returns. `None` where it [cannot rest](Self::can_rest); nothing has changed.
    pub fn rest(&mut self) -> Option<IdleSession> {
        if !self.can_rest() {
            return None;
        }
        let config = &self.config;
        let window = SendWindow::new(config.window);
        let send_window = std::mem::replace(&mut self.send_window, window);
        let window = ReceiveWindow::growing(config.window, 1);
        let receive_window = std::mem::replace(&mut self.receive_window, window);
        let cancels = TokenBucket::new(Duration::ZERO);
        let unwanted = TokenBucket::new(Duration::ZERO);
        Some(IdleSession {
            config: Arc::clone(config),
            lasting: self.take_lasting(),
            send_window,
            receive_window,
            keepalive: self.keepalive.to_idle(),
            last_credit: self.last_credit.into(),
            unwanted: std::mem::replace(&mut self.unwanted, unwanted),
            cancels: std::mem::replace(&mut self.cancels, cancels),
            subscribe_rate: self.subscribe_intake.take().map(|it| it.into_rate()),
            is_kept: self.is_kept,
        })
    }
}

impl IdleSession {
    /// The session, as it was.
    #[must_use]
    pub fn wake(self) -> Session {
        // The time is that of a handshake, which is over.
        let ping_interval = self.config.ping_interval;
        let mut session = Session::from_lasting(self.config, self.lasting, Duration::ZERO);
        session.phase = Phase::Open;
        session.is_kept = self.is_kept;
        if !FaultInjection::ForgetIdleCredit.is_on() {
            session.send_window = self.send_window;
            session.receive_window = self.receive_window;
        }
        session.keepalive = self.keepalive.wake(ping_interval);
        session.last_credit = self.last_credit.into();
        session.unwanted = self.unwanted;
        session.cancels = self.cancels;
        let rate = self.subscribe_rate;
        session.subscribe_intake = rate.map(|rate| Box::new(SubscribeIntake::with_rate(rate)));
        session.report_memory();
        session
    }

    /// When the session has something to do, at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Duration {
        self.keepalive.poll_timeout()
    }

    /// Which side of the connection it is.
    #[must_use]
    pub fn side(&self) -> Side {
        self.config.side
    }

    /// As [`Session::connection`].
    #[must_use]
    pub fn connection(&self) -> u64 {
        self.lasting.connection()
    }

    /// As [`Session::ignored`].
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.lasting.ignored()
    }

    /// As [`Session::dropped`].
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.lasting.dropped()
    }
}
