//! The calls of a draft: which members begin one, and which answer one.

use std::collections::{BTreeMap, BTreeSet};

use super::members::MemberId;
use crate::{Draft, Reply, Span};

/// What a member is for its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Nothing comes back.
    OneWay,
    /// The receiver's handler returns, and the sender learns of it.
    Acknowledged,
    /// The request of a call.
    Call,
    /// The response of a call, which is never sent on its own.
    Answer,
}

/// A request and what answers it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) response: MemberId,
    /// The span of what makes it a call: an option, a method, or the name of the request.
    pub(super) origin: Span,
    /// The service method of the call, if it has one.
    pub(super) method: Option<usize>,
    /// The span of what makes the request a stream.
    pub(super) request_stream: Option<Span>,
    /// The span of what makes the response a stream.
    pub(super) response_stream: Option<Span>,
}

impl Call {
    pub(super) fn new(response: MemberId, origin: Span) -> Self {
        Self {
            response,
            origin,
            method: None,
            request_stream: None,
            response_stream: None,
        }
    }

    /// Whether a stream is part of it.
    pub(super) const fn has_stream(&self) -> bool {
        self.request_stream.is_some() || self.response_stream.is_some()
    }
}

/// Every call of a draft.
#[derive(Debug, Default)]
pub(super) struct Calls {
    by_request: BTreeMap<MemberId, Call>,
    /// Each answer, with the first request that it answers.
    answers: BTreeMap<MemberId, MemberId>,
    /// Members whose part in a call is unclear. That is reported, and nothing else is concluded from it.
    pub(super) doubtful: BTreeSet<MemberId>,
}

impl Calls {
    /// The call that a request begins.
    pub(super) fn call(&self, request: MemberId) -> Option<&Call> {
        self.by_request.get(&request)
    }

    pub(super) fn call_mut(&mut self, request: MemberId) -> Option<&mut Call> {
        self.by_request.get_mut(&request)
    }

    pub(super) fn insert(&mut self, request: MemberId, call: Call) {
        self.answers.entry(call.response).or_insert(request);
        self.by_request.insert(request, call);
    }

    /// All calls, each with its request.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (MemberId, &mut Call)> {
        self.by_request
            .iter_mut()
            .map(|(&request, call)| (request, call))
    }

    /// All answers, each with the first request that it answers.
    pub(super) fn answers(&self) -> impl Iterator<Item = (MemberId, MemberId)> {
        self.answers
            .iter()
            .map(|(&answer, &request)| (answer, request))
    }

    /// The first request that a member answers.
    pub(super) fn answered_by(&self, answer: MemberId) -> Option<MemberId> {
        self.answers.get(&answer).copied()
    }

    pub(super) fn role(&self, draft: &Draft, id: MemberId) -> Role {
        if self.by_request.contains_key(&id) {
            Role::Call
        } else if self.answers.contains_key(&id) {
            Role::Answer
        } else if reply(draft, id) == Some(Reply::Ack) {
            Role::Acknowledged
        } else {
            Role::OneWay
        }
    }
}

fn reply(draft: &Draft, id: MemberId) -> Option<Reply> {
    draft.member(id).options.reply.map(|reply| reply.value)
}

/// Whether an option makes a member no call.
pub(super) fn opted_out(draft: &Draft, id: MemberId) -> bool {
    matches!(reply(draft, id), Some(Reply::None | Reply::Ack))
}
