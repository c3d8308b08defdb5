//! What the peer asks for, done at the router and for its session.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use msip_session::wire::Code;

use super::{Attached, Connection};
use crate::{
    mip::{
        Admission,
        ending::Ending,
        ids::{Claimed, NotClaimed},
        session::{Hello, Input},
    },
    router::{Publisher, WakeList},
};

impl Connection<'_> {
    /// Returns how many subscriptions it has changed.
    pub(super) fn handle(
        &mut self,
        input: Input,
        now: Duration,
        wakes: &mut WakeList,
    ) -> Result<usize, Ending> {
        let Some(attached) = &mut self.attached else {
            // The session lets nothing else pass before HELLO.
            return match input {
                Input::Hello(hello) => self.attach(&hello, now).map(|()| 0),
                _ => Err(Ending::Closed),
            };
        };
        let mut changed = 0;
        let sessions = &self.peers.sessions;
        match input {
            Input::Publish(publication) => {
                let frames = publication.frames.clone();
                let count = publication.count.into();
                self.peers.received.fetch_add(count, Relaxed);
                match attached.publisher.publish(publication, now, wakes) {
                    Ok(published) => self.is_pushed_back |= published.is_congested,
                    Err(refused) => self.session.refuse(frames, &refused),
                }
            }
            Input::Subscribe(request) => {
                let outcome = sessions.subscribe(&attached.claimed, &request.topic, now);
                changed = *outcome.as_ref().unwrap_or(&1);
                self.session.answer(&request, outcome.as_ref().map(|_| ()));
            }
            Input::Unsubscribe(request) => {
                changed = sessions.unsubscribe(&attached.claimed, &request.topic);
                self.session.answer(&request, Ok(()));
            }
            Input::Hello(hello) => {
                sessions.greeted_again(&attached.claimed, hello.msg_id);
                let Claimed {
                    session, number, ..
                } = &attached.claimed;
                self.session.welcome(&hello, session.key(), *number);
            }
            Input::Close => return Err(Ending::Closed),
        }
        Ok(changed)
    }

    /// Gives the peer the session that it has asked for.
    fn attach(&mut self, hello: &Hello, now: Duration) -> Result<(), Ending> {
        let refused = match self.permit.greeted() {
            Ok(()) => {
                let Admission {
                    principal,
                    rights,
                    may_resume,
                } = &self.admission;
                let sessions = &self.peers.sessions;
                match sessions.claim(hello, principal, rights, *may_resume, now) {
                    Ok(claimed) => {
                        self.attached = Some(self.attached_to(hello, claimed));
                        return Ok(());
                    }
                    Err(NotClaimed::Refused(refused)) => (refused.code, refused.text.into_owned()),
                    Err(NotClaimed::Random(error)) => {
                        (Code::Internal, format!("no random numbers: {error}"))
                    }
                }
            }
            Err(status) => {
                if self.permit.may_log(&self.transport.peer) {
                    tracing::info!(limit = "connections", "a MIP peer was refused");
                }
                (status.code(), status.message().to_owned())
            }
        };
        self.session.refuse_hello(hello, refused.0, &refused.1);
        Err(Ending::Refused)
    }

    fn attached_to(&mut self, hello: &Hello, claimed: Claimed) -> Attached {
        let session = &claimed.session;
        self.session.welcome(hello, session.key(), claimed.number);
        self.peers.connected.begun();
        if self.permit.may_log(&self.transport.peer) {
            let principal = session.principal().name();
            tracing::info!(session = %session.key(), principal, "a MIP peer is here");
        }
        let publisher = Publisher::new(&self.peers.router, session);
        let listed = self.peers.settings.connections.opened_at(
            &self.transport.peer,
            Some(self.transport.local.clone()),
            session,
        );
        // From here on it is found when rights change: what has changed since it was admitted is looked up.
        if let Ok(admission) = (self.peers.admit)(&self.transport) {
            let now = self.peers.now();
            self.peers
                .router
                .reauthorize(session, admission.rights, now);
        }
        Attached {
            claimed,
            publisher,
            listed,
        }
    }
}
