//! Calls: who gets them, and what becomes of those that fail.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use msip_session::{MsgKind, wire::Code};

use super::{
    Checked, Link, World,
    limits::SIZE,
    message::{Message, numbers_of, text},
    settling::Sending,
    typed::{OpenedCall, typed_key},
};
use crate::{
    access::Uses,
    router::{Exchange, Failed, Refused, Request, SessionKey, Target, WakeList},
};

/// What becomes of calls.
pub(super) type Outcomes = Arc<Mutex<Vec<(u64, Code)>>>;

#[derive(Debug)]
pub(super) struct Call {
    pub(super) number: u64,
    caller: SessionKey,
    sticky: Option<&'static str>,
    outcomes: Outcomes,
}

impl Exchange for Call {
    fn pinned(&self) -> usize {
        SIZE
    }

    fn caller(&self) -> Option<SessionKey> {
        Some(self.caller)
    }

    fn sticky_key(&self) -> Option<&str> {
        self.sticky
    }

    fn refuse(self: Box<Self>, why: Refused) {
        let mut outcomes = self.outcomes.lock().expect("outcomes");
        outcomes.push((self.number, why.code));
    }
}

/// The number of a call.
pub(in crate::router) fn number_of(exchange: &dyn Exchange) -> u64 {
    let exchange: &dyn std::any::Any = exchange;
    exchange.downcast_ref::<Call>().expect("a call").number
}

impl World {
    /// A receiver answers with an error.
    pub(super) fn fail(&mut self, at: usize) -> Checked {
        if !self.is_connected(at) || self.sims[at].taken.is_empty() {
            return Ok(());
        }
        let chosen = self.random.below(self.sims[at].taken.len());
        let delivery = self.sims[at].taken.remove(chosen);
        let frames: Vec<_> = delivery.publication.iter().collect();
        let frame = self.random.one_of(&frames).clone();
        let number = numbers_of(&frame, &delivery.publication.topic)[0];
        let failed = Failed {
            delivery: &delivery,
            frame,
            why: Refused::new(Code::Internal, "it broke"),
        };
        let handle = self.sims[at].handle.clone();
        self.router
            .failed(&handle, failed, self.now, &mut WakeList::new());
        self.say(|| format!("{at} fails at {number} of {:?}", delivery.target));
        let tried = delivery.tried.iter().chain([&handle.0.key]);
        let tried =
            tried.filter_map(|key| self.sims.iter().position(|sim| sim.handle.key() == *key));
        let publication = &delivery.publication;
        let message = Message {
            numbers: vec![number],
            topic: text(&publication.topic),
            target: delivery.target.clone(),
            kind: publication.kind,
            is_call: false,
            acked: publication.wants_ack,
            urgent: publication.urgent,
            idempotent: publication.is_idempotent,
            expires: publication.expires_at,
            key: publication.state.as_ref().map(|state| text(&state.key)),
            sticky: publication.sticky_key.as_deref().map(typed_key),
            from: self.sim_of(publication.from).unwrap_or(0),
            client: delivery
                .client
                .as_ref()
                .and_then(|it| self.sim_of(it.client.key)),
            tried: tried.collect(),
            is_new: false,
        };
        let is_for_one = message.target != Target::Everyone;
        let is_work = is_for_one || message.topic.ends_with("/$in");
        if !is_work || message.topic.starts_with('$') {
            return Ok(());
        }
        if !is_for_one || !message.idempotent || message.tried.len() > 3 {
            return self.bury(vec![message]);
        }
        let mut sending = Sending::default();
        self.place(&mut sending, message)?;
        self.finish(&mut sending)?;
        self.bury(sending.unplaced)
    }

    pub(super) fn call(&mut self, at: usize) -> Checked {
        let topic = self.random.one_of(&["a", "a/b", "a/$in", "b"]).to_string();
        let number = self.next;
        self.next += 1;
        let sticky = *self
            .random
            .one_of(&[None, None, None, None, Some("1"), Some("2")]);
        let request = Request {
            topic: Bytes::copy_from_slice(topic.as_bytes()),
            exchange: Box::new(Call {
                number,
                caller: self.sims[at].handle.key(),
                sticky,
                outcomes: self.refused_calls.clone(),
            }),
            tried: Vec::new(),
        };
        let now = self.now;
        let requested = self.sims[at]
            .publisher
            .request(request, now, &mut WakeList::new());
        let code = requested.map(|_| ()).map_err(|(refused, _)| refused.code);
        self.say(|| format!("{at} calls {topic} with {number}: {code:?}"));
        let message = Message {
            numbers: vec![number],
            topic: topic.clone(),
            target: Target::Service,
            kind: MsgKind::Command,
            is_call: true,
            acked: false,
            urgent: false,
            idempotent: false,
            expires: None,
            key: None,
            sticky,
            from: at,
            client: None,
            tried: Vec::new(),
            is_new: true,
        };
        let said = code;
        let expect = |expected: Result<(), Code>| match said == expected {
            true => Ok(()),
            false => Err(format!("{at} calls {topic}: {said:?}, not {expected:?}")),
        };
        if let Link::Ended(_) = self.sims[at].link {
            return expect(Err(Code::Unavailable));
        }
        if let Err(code) = self.may_send(at, Uses::Request, &topic) {
            return expect(Err(code));
        }
        let mut sending = Sending::from(at);
        let placed = self.place_call(&mut sending, message)?;
        self.finish(&mut sending)?;
        self.bury(sending.unplaced)?;
        expect(placed)
    }

    pub(super) fn finish_call(&mut self, at: usize) -> Checked {
        let Some(OpenedCall { number, open, .. }) = self.sims[at].calls.pop() else {
            return Ok(());
        };
        let how = *self
            .random
            .one_of(&["answered", "unanswered", "unanswered", "given back"]);
        let sim = &mut self.sims[at];
        match how {
            "answered" => {
                open.answered();
                sim.unanswered.0 = 0;
            }
            "unanswered" => {
                open.unanswered(self.now);
                sim.unanswered = (sim.unanswered.0 + 1, self.now);
            }
            _ => {}
        }
        self.say(|| format!("{at} ends the call {number}: {how}"));
        Ok(())
    }
}
