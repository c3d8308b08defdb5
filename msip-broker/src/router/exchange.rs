//! Calls: a whole exchange is handed to one service.

use std::{any::Any, fmt};

use bytes::Bytes;

use super::{OpenCall, Refused, SessionKey};

/// A call that waits for a service: the message, whoever waits for its answer, and its requests. The router does not look
/// into it, and the service's connection takes it apart ([`Assigned::into_parts`]).
pub trait Exchange: Any + Send + fmt::Debug {
    /// How much memory it keeps.
    fn pinned(&self) -> usize;

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
    pub(super) open: OpenCall,
}

impl Assigned {
    /// The call, and what counts it: to be kept until the call has ended. The request has this instance among those tried.
    pub fn into_parts(self) -> (Request, OpenCall) {
        (self.request, self.open)
    }
}
