//! Calls: a whole exchange is handed to one service.

use std::{any::Any, fmt};

use bytes::Bytes;

use super::{ClientAt, OpenCall, Refused, SessionKey};

/// A call that waits for a service: the message, whoever waits for its answer, and its requests. The router does not look
/// into it, and the service's connection takes it apart ([`Assigned::into_parts`]).
pub trait Exchange: Any + Send + fmt::Debug {
    /// How much memory it keeps.
    fn pinned(&self) -> usize;

    /// Whose it is, if that is known: instances that hear each client apart are given no other.
    fn caller(&self) -> Option<SessionKey> {
        None
    }

    /// What decides to which instance it goes, where its sender says so.
    fn sticky_key(&self) -> Option<&str> {
        None
    }

    /// Answers it, since no service can have it.
    fn refuse(self: Box<Self>, why: Refused);
}

/// A call to be routed.
#[derive(Debug)]
pub struct Request {
    /// The topic: `T` or `T/$in`.
    pub topic: Bytes,
    /// The call.
    pub exchange: Box<dyn Exchange>,
    /// The instances that have had it already, and are not given it again.
    pub tried: Vec<SessionKey>,
}

/// A call that was given to this session, and counts as open there until it is dropped.
#[derive(Debug)]
pub struct Assigned {
    pub(super) request: Request,
    pub(super) instance: SessionKey,
    pub(super) open: OpenCall,
    pub(super) client: Option<ClientAt>,
}

impl Assigned {
    /// The client, where this instance hears each client apart: the call goes to `T/$in/<peer>`.
    pub fn client(&self) -> Option<&ClientAt> {
        self.client.as_ref()
    }

    /// Who has it. Where it goes on to another, this one is among those tried.
    pub fn instance(&self) -> SessionKey {
        self.instance
    }

    /// The call, and what counts it: to be kept until the call has ended.
    pub fn into_parts(self) -> (Request, OpenCall) {
        (self.request, self.open)
    }
}
