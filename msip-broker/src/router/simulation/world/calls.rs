//! Calls: who gets them, and what becomes of those that fail.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use msip_session::{MsgKind, wire::Code};

use super::{
    Checked, Link, World,
    limits::SIZE,
    message::{Message, numbers_of, text},
};
use crate::{
    access::Uses,
    router::{Exchange, Failed, Refused, Request, Target, WakeList, outbox::Status},
};

/// What becomes of calls.
pub(super) type Outcomes = Arc<Mutex<Vec<(u64, Code)>>>;

#[derive(Debug)]
pub(super) struct Call(pub(super) u64, pub(super) Outcomes);

impl Exchange for Call {
    fn pinned(&self) -> usize {
        SIZE
    }

    fn refuse(self: Box<Self>, why: Refused) {
        self.1.lock().expect("outcomes").push((self.0, why.code));
    }
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
            tried: tried.collect(),
        };
        let is_for_one = message.target != Target::Everyone;
        let is_work = is_for_one || message.topic.ends_with("/$in");
        if !is_work || message.topic.starts_with('$') {
            return Ok(());
        }
        if is_for_one && message.idempotent && message.tried.len() <= 3 {
            return self.settle(vec![message], false);
        }
        let homeless = match message.acked {
            true => self.bury(message),
            false => Vec::new(),
        };
        self.settle(homeless, false)
    }

    pub(super) fn call(&mut self, at: usize) -> Checked {
        let topic = self.random.one_of(&["a", "a/b", "a/$in", "b"]).to_string();
        let number = self.next;
        self.next += 1;
        let request = Request {
            topic: Bytes::copy_from_slice(topic.as_bytes()),
            exchange: Box::new(Call(number, self.refused_calls.clone())),
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
            tried: Vec::new(),
        };
        let eligible = self.eligible(&message);
        let expected = match self.sims[at].link {
            Link::Ended(_) => Err(Code::Unavailable),
            _ => match self.may_send(at, Uses::Request, &topic) {
                Ok(()) if eligible.is_empty() => Err(Code::Unavailable),
                other => other,
            },
        };
        let is_over = eligible
            .iter()
            .any(|one| matches!(self.status(*one), Status::Ended(_)));
        if code != expected && !is_over {
            return Err(format!("{at} calls {topic}: {code:?}, not {expected:?}"));
        }
        if expected.is_err() {
            return Ok(());
        }
        if !is_over {
            let open = |at: &usize| self.sims[*at].handle.open_calls();
            let queued = |at: &usize| self.actual(*at)[1].iter().any(|one| one.0 == [number]);
            let Some(chosen) = eligible.iter().find(|one| queued(one)) else {
                return Err(format!("nobody has the call {number}"));
            };
            if let Some(less) = eligible.iter().find(|one| open(one) + 1 < open(chosen)) {
                return Err(format!("{less} has fewer calls than {chosen}"));
            }
        } else if code.is_err() {
            self.refused_calls
                .lock()
                .expect("outcomes")
                .push((number, Code::Unavailable));
        }
        self.settle(vec![message], true)
    }

    pub(super) fn finish_call(&mut self, at: usize) -> Checked {
        self.sims[at].calls.pop();
        Ok(())
    }
}
