//! Requests: those that a client has made, and those that a service has been given and has not answered.

use std::{collections::HashMap, future::Future, pin::Pin, time::Duration};

use msip_runtime::{CallError, CallOptions, Metadata, Status, untyped::UntypedMessage};
use msip_session::wire::Code;

use super::{
    message::{Header, Message, Sender, write},
    replies::ReplyTo,
    session::shown,
    translate, uid_of,
};
use crate::{
    msip::{ForeignCall, MsipCall},
    router::{OpenCall, SessionHandle},
};

/// A REQ that waits for its answer.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) caller: SessionHandle,
    pub(super) cid: String,
    pub(super) uid: String,
    pub(super) headers: Vec<Header>,
    pub(super) body: String,
    pub(super) reply: ReplyTo,
}

/// What a request counts besides its text.
const COST: usize = 1024;

impl Call {
    pub(super) fn key(&self) -> &str {
        &self.reply.key
    }

    fn sender(&self) -> Sender<'_> {
        Sender {
            cid: &self.cid,
            uid: &self.uid,
        }
    }

    /// The request as its service gets it, with the number that stands for it there.
    pub(super) fn text(&self, rid: u64) -> String {
        let rid = rid.to_string();
        let headers = self.headers.iter().filter(|header| header.name != "Rid");
        let headers = headers.map(|header| (&*header.name, &*header.value));
        let headers = headers.chain([("Rid", &*rid)]);
        write("REQ", self.key(), headers, self.sender(), &self.body)
    }

    /// What the caller knows its request by: its own `rid`, and its id for it in the spelling in which it looks for that.
    fn own_headers(&self) -> Vec<(&str, &str)> {
        let of = |name: &str| self.headers.iter().find(|header| header.name == name);
        let mut own = Vec::new();
        if let Some(rid) = of("Rid") {
            own.push(("Rid", &*rid.value));
        }
        if let Some(id) = of("Reqid") {
            own.push(("Reqid", &*id.value));
            if id.spelling != id.name {
                own.push((&*id.spelling, &*id.value));
            }
        }
        own
    }

    /// Gives the caller the answer of a service of MiddleMan. `false` where the caller has gone.
    pub(super) fn respond(self, answer: &Message<'_>, service: Sender<'_>) -> bool {
        let own = self.own_headers();
        let headers = answer.headers.iter();
        let headers = headers.map(|header| (&*header.name, &*header.value));
        let headers = headers.filter(|(name, _)| {
            // The number is the service's.
            *name != "Rid" && !own.iter().any(|(other, _)| other == name)
        });
        let headers = headers.chain(own.iter().copied());
        let text = write("RES", answer.key, headers, service, answer.body);
        self.reply.answer(text)
    }
}

impl ForeignCall for Call {
    fn pinned(&self) -> usize {
        let headers = self.headers.iter();
        let headers: usize = headers
            .map(|one| one.value.len() + 2 * one.name.len())
            .sum();
        self.body.len() + headers + COST
    }

    fn caller(&self) -> &SessionHandle {
        &self.caller
    }

    fn to_untyped(&self) -> (UntypedMessage, CallOptions) {
        translate::request(&self.headers, self.sender(), &self.body)
    }

    fn given_up(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.reply.gone())
    }

    fn answer(
        self: Box<Self>,
        service: &SessionHandle,
        answer: Result<UntypedMessage, Status>,
        metadata: Option<&Metadata>,
    ) {
        let body = answer.and_then(|answer| {
            let body = answer.body();
            body.map_err(|error| Status::internal(error.to_string()))
        });
        let text = body.and_then(|body| {
            let sender = Sender {
                cid: service.peer(),
                uid: uid_of(service.principal()),
            };
            let own = self.own_headers();
            translate::text("RES", self.key(), metadata, &own, sender, &body).map_err(Status::from)
        });
        match text {
            Ok(text) => {
                self.reply.answer(text);
            }
            Err(status) => {
                let key = shown(self.key());
                // A line of its own would end the message.
                let why = status.message().replace(char::is_control, " ");
                let what = format!("{}: {why} REQ {key}", status.code().name());
                self.reply.fail(&what);
            }
        }
    }

    fn refuse(self: Box<Self>, why: &Status) {
        let key = shown(self.key());
        let what = match why.code() {
            Code::PermissionDenied => format!("Not trusted REQ {key}"),
            _ => format!("No responder for REQ {key}"),
        };
        self.reply.fail(&what);
    }
}

/// A request that a service has been given.
#[derive(Debug)]
pub(super) enum Request {
    MiddleMan(Box<Call>),
    Msip(Box<MsipCall>),
}

impl Request {
    /// Whether nobody waits for the answer any longer.
    fn is_given_up(&self) -> bool {
        match self {
            Self::MiddleMan(call) => call.reply.has_gone(),
            Self::Msip(call) => call.responder.cancellation().is_cancelled(),
        }
    }
}

/// How many requests a service may hold.
const MAX_HELD: usize = 4096;

/// How often it is looked which of them are given up.
const SWEEP: Duration = Duration::from_secs(1);

/// The requests that a service holds, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Held {
    open: HashMap<u64, (Request, OpenCall)>,
    sweep_at: Duration,
}

impl Held {
    pub(super) fn is_full(&self) -> bool {
        self.open.len() >= MAX_HELD
    }

    pub(super) fn insert(&mut self, rid: u64, request: Request, open: OpenCall, now: Duration) {
        if self.open.is_empty() {
            self.sweep_at = now.saturating_add(SWEEP);
        }
        self.open.insert(rid, (request, open));
    }

    /// Takes out the one that is answered.
    pub(super) fn answered(&mut self, rid: u64) -> Option<Request> {
        let (request, open) = self.open.remove(&rid)?;
        open.answered();
        Some(request)
    }

    /// When to [`sweep`](Self::sweep).
    pub(super) fn sweep_at(&self) -> Option<Duration> {
        (!self.open.is_empty()).then_some(self.sweep_at)
    }

    /// Forgets those for whose answers nobody waits.
    pub(super) fn sweep(&mut self, now: Duration) {
        if now < self.sweep_at {
            return;
        }
        self.sweep_at = now.saturating_add(SWEEP);
        self.open.retain(|_, (request, open)| {
            let is_given_up = request.is_given_up();
            if is_given_up {
                open.unanswered(now);
            }
            !is_given_up
        });
    }

    /// The service has gone: whoever waits is told at once.
    pub(super) fn end(&mut self) {
        for (_, (request, _)) in self.open.drain() {
            match request {
                // It says so itself.
                Request::MiddleMan(call) => drop(call),
                // It may have run.
                Request::Msip(call) => {
                    call.responder.fail(&CallError::ConnectionLost.into());
                }
            }
        }
    }
}
