//! The handshakes of a side.

use std::time::Duration;

use super::{Attached, Node};
use crate::{
    session::{
        Config, PeerTerms, Session, is_resumed,
        simulation::{MAX_CALLS, random::Random, rules::Rules},
    },
    wire::{Hello, MsgId, SECRET_LEN, SessionId, Welcome},
};

impl Node {
    /// The client's HELLO: it resumes its session, or begins another.
    pub(in crate::session::simulation) fn begin_handshake(
        &mut self,
        config: Config,
        index: usize,
        now: Duration,
        random: &mut Random,
        rules: &mut Rules,
    ) -> Result<(), String> {
        let mut lost = Vec::new();
        let hello = |awaited| Hello {
            protocol: "sim".to_owned(),
            session_secret: vec![7; SECRET_LEN],
            awaited,
            ..Hello::default()
        };
        let handshake = match (self.session.as_mut(), self.id) {
            (Some(session), Some(id)) => {
                let hello = hello(session.awaited_calls(&mut lost));
                session.reconnecting(id, &hello, now)
            }
            _ => {
                let id = SessionId::new(random.next() | 1).ok_or("no id")?;
                self.id = Some(id);
                Session::connecting(config, id, &hello(Vec::new()), now)
            }
        };
        self.lose(&lost, rules)?;
        self.handshake = Some((handshake, Attached::new(index)));
        Ok(())
    }

    /// The client has its answer.
    pub(in crate::session::simulation) fn handle_welcome(
        &mut self,
        welcome: &Welcome,
        now: Duration,
        rules: &mut Rules,
    ) -> Result<(), String> {
        let Some((mut handshake, attached)) = self.handshake.take() else {
            return Ok(());
        };
        let agreed = PeerTerms {
            peer_max_body: welcome.max_body,
            max_calls: welcome.max_open_calls,
            awaited: &welcome.awaited,
        };
        let is_same = is_resumed(welcome, self.peer_id);
        if let Some(session) = self.session.as_mut().filter(|_| is_same) {
            let cancelled = session.resume(&agreed, now);
            self.cancel(&cancelled);
        } else {
            self.end_session(rules)?;
            self.peer_id = welcome.peer_id;
            handshake.keep_when_lost();
            if welcome.resumed {
                let _ = handshake.resume(&agreed, now);
            }
            self.session = Some(handshake);
            self.lossy_before = 0;
            self.generation += 1;
        }
        self.attached = Some(attached);
        self.handle_decoded(now, rules)
    }

    /// The server has a HELLO, and answers it.
    pub(in crate::session::simulation) fn handle_hello(
        &mut self,
        id: SessionId,
        hello: &Hello,
        now: Duration,
        random: &mut Random,
        rules: &mut Rules,
    ) -> Result<(), String> {
        let Some((mut handshake, attached)) = self.handshake.take() else {
            return Ok(());
        };
        let hello_id: MsgId = handshake.pending_hello().ok_or("no HELLO")?;
        let welcome = Welcome {
            codec: 1,
            max_open_calls: MAX_CALLS,
            session_expiry_ms: 300_000,
            ..Welcome::default()
        };
        if self.id == Some(id) && self.session.is_some() {
            self.detach(rules)?;
            let mut lost = Vec::new();
            let awaited = self
                .session
                .as_mut()
                .map(|session| session.awaited_calls(&mut lost))
                .unwrap_or_default();
            self.lose(&lost, rules)?;
            if let Some(session) = self.session.as_mut() {
                let cancelled = session.welcome_back(
                    hello_id,
                    id,
                    &Welcome {
                        resumed: true,
                        peer_id: self.peer_id,
                        awaited,
                        ..welcome
                    },
                    &PeerTerms {
                        peer_max_body: 0,
                        max_calls: MAX_CALLS,
                        awaited: &hello.awaited,
                    },
                    now,
                );
                self.cancel(&cancelled);
            }
        } else {
            self.attached = None;
            self.end_session(rules)?;
            self.peer_id = random.next();
            handshake.welcome(
                id,
                &Welcome {
                    peer_id: self.peer_id,
                    ..welcome
                },
                0,
            );
            handshake.keep_when_lost();
            handshake.allow_subscribe(now);
            self.session = Some(handshake);
            self.lossy_before = 0;
            self.id = Some(id);
            self.generation += 1;
        }
        self.attached = Some(attached);
        self.handle_decoded(now, rules)
    }
}
