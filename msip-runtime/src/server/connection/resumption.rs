//! From one connection of a session to the next: the wait for it, its place, and how the session goes on.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::KeptSession;
use crate::{
    Status,
    driver::{Driver, GracefulClose, refuse_at_once, run_suspended},
    server::{
        begin::welcome,
        resumed::Resumed,
        shared::ServerShared,
        suspended::{Closing, Idle, SuspendedStep, suspended_step},
    },
};
use msip_session::{PeerTerms, wire::Welcome};

/// What a session without a connection takes besides what it keeps for its client, in bytes: its task, its tables and those of
/// its handlers. A test measures it.
const SUSPENDED_LEN: usize = 6 * 1024 + 512;

/// How long a session without a connection waits until it looks again whether it can be parked; doubled with each look.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// What has become of a session without a connection.
pub(super) enum Waited {
    Arrival(Box<KeptSession>, Box<Resumed>),
    /// It ends: none came, or none can come any more.
    Over(Box<KeptSession>),
    /// The table of sessions has it.
    Parked,
}

impl KeptSession {
    /// Waits for the next connection. Once the session owes its client nothing, and nobody else has a handle of it, it is
    /// parked, and this task ends.
    pub(super) async fn await_arrival(mut self: Box<Self>) -> Waited {
        self.detach();
        // When to look next whether it can be parked: nothing tells when the last handle of it is dropped.
        let mut look = None;
        let mut wait = FIRST_LOOK;
        loop {
            let may_park = look.is_none_or(|look| look <= Instant::now());
            let idle = Idle {
                connection: &self.held.connection,
                inbox: self.has_handlers.then_some(&*self.inbox),
            };
            let step = suspended_step(
                (&mut self.resumed, &mut self.closing),
                may_park.then_some(idle),
            );
            let step = async {
                match look.filter(|_| !may_park) {
                    Some(look) => timeout_at(look, step).await.ok(),
                    None => Some(step.await),
                }
            };
            let Some(step) = run_suspended(&self.held.connection, &mut self.handlers, step).await
            else {
                return Waited::Over(self);
            };
            match step {
                Some(SuspendedStep::Arrival(Some(arrival))) => {
                    if let Some(mut arrival) = self.unless_behind(arrival) {
                        if self.find_place(&mut arrival) {
                            return Waited::Arrival(self, arrival);
                        }
                        refuse_resumed(arrival, &self.shared.permits.refusal());
                    }
                }
                Some(SuspendedStep::Arrival(None)) => return Waited::Over(self),
                Some(SuspendedStep::Idle) => {
                    self.drop_handlers();
                    self = match self.park() {
                        Ok(()) => return Waited::Parked,
                        Err(session) => session,
                    };
                    look = Instant::now().checked_add(wait);
                    wait = wait.saturating_mul(2);
                }
                None => {}
            }
        }
    }

    /// The session has no connection from here on, and is kept for some time.
    fn detach(&self) {
        let Some(registration) = &self.registration else {
            return;
        };
        let settings = &self.shared.settings;
        // A client that has not had the answer to its HELLO has nothing in the session, and comes back at once or never.
        let kept = if self.is_confirmed {
            settings.session_expiry
        } else {
            settings.session_expiry.min(settings.handshake_timeout)
        };
        registration.detached(self.is_confirmed, kept);
        let ending = registration.ending();
        let suspended_len = SUSPENDED_LEN + self.about.name.len() + self.held.peer.suspended_len();
        self.held.connection.release_suspended();
        self.held
            .connection
            .with_session(|session| session.allow_eviction(ending, suspended_len));
    }

    /// Closes the connection that was taken over: gracefully where both have a place, else at once, and the new one has its
    /// place. At most one of a session is being closed.
    pub(super) fn make_room(&mut self, arrival: &mut Resumed, graceful_close: GracefulClose) {
        let Some(permit) = self.permit.take() else {
            return;
        };
        if !self.shared.permits.make_regular(&mut arrival.permit) {
            graceful_close.finish_at_once();
            arrival.permit = permit;
        } else if graceful_close.is_due() {
            self.closing = Some(Box::new(Closing {
                closed: Box::pin(graceful_close.finish()),
                permit,
            }));
        }
    }

    /// Finds a place for a connection that was accepted without one: a free one, or that of the connection before it.
    fn find_place(&mut self, arrival: &mut Resumed) -> bool {
        if self.shared.permits.make_regular(&mut arrival.permit) {
            return true;
        }
        let Some(closing) = self.closing.take() else {
            return false;
        };
        let Closing { closed, permit } = *closing;
        drop(closed);
        arrival.permit = permit;
        true
    }

    /// Refuses a connection while too much of what came by earlier ones is not handled.
    pub(super) fn unless_behind(&mut self, arrival: Box<Resumed>) -> Option<Box<Resumed>> {
        let is_behind = self
            .held
            .connection
            .with_session(|session| session.is_behind())
            .unwrap_or(false);
        if !is_behind {
            return Some(arrival);
        }
        let text = "messages of earlier connections of this session are not handled yet";
        refuse_resumed(arrival, &Status::resource_exhausted(text));
        None
    }

    /// Resumes with another connection.
    pub(super) fn resume(&mut self, arrival: Box<Resumed>) -> Box<Driver> {
        let Resumed {
            stream,
            decoder,
            hello_id,
            hello,
            remote,
            identity,
            permit,
            ..
        } = *arrival;
        self.held
            .connection
            .set_sender(identity.map(|identity| identity.of_peer(self.about.id)));
        if let Some(registration) = &self.registration {
            registration.attached();
        }
        self.about.address = remote.address.clone();
        self.about.resumed = true;
        let mut welcome = Welcome {
            resumed: true,
            awaited: self.held.connection.awaited(),
            broker: self.about.routes_topics,
            ..welcome(
                self.about.id,
                (self.about.fingerprint, self.about.describes),
                &self.shared.name,
                &self.shared.settings,
                &self.held.connection.terms().encoding,
            )
        };
        let ServerShared {
            lanes, settings, ..
        } = &*self.shared;
        let stream = lanes.open(hello.lane_kinds, &remote, settings, &mut welcome, stream);
        self.held.peer.has_resumed(remote);
        if let Some(channels) = &self.channels {
            channels.tell(&mut welcome);
        }
        let agreed = PeerTerms {
            peer_max_body: hello.max_body,
            max_calls: 0,
            awaited: &hello.awaited,
        };
        self.held
            .connection
            .welcome_back(hello_id, self.id, &welcome, &agreed);
        if !self.has_handlers {
            self.handlers = self.held.peer.handlers(&self.inbox);
            self.has_handlers = true;
        }
        self.permit = Some(permit);
        self.driver(stream, decoder)
    }
}

/// Refuses a connection that its session does not take. It has read nothing after its HELLO: the client gets the text.
fn refuse_resumed(arrival: Box<Resumed>, status: &Status) {
    let Resumed {
        mut stream,
        mut session,
        permit,
        ..
    } = *arrival;
    session.refuse(status.code(), status.message());
    refuse_at_once(&mut stream, &mut session);
    drop(stream);
    drop(permit);
}
