//! Calls of peers that speak another dialect.

use std::{any::Any, fmt, future::Future, pin::Pin};

use msip_runtime::{CallOptions, Metadata, Status, untyped::UntypedMessage};

use super::status;
use crate::router::{Exchange, Refused, SessionHandle, SessionKey};

/// A call of a peer that speaks another dialect.
pub(crate) trait ForeignCall: Any + Send + fmt::Debug {
    /// How much memory it keeps.
    fn pinned(&self) -> usize;

    /// Whose it is.
    fn caller(&self) -> &SessionHandle;

    /// What a service of MSIP gets: its message without a topic, and what goes with it.
    fn to_untyped(&self) -> (UntypedMessage, CallOptions);

    /// Ready once nobody waits for the answer any longer.
    fn given_up(&self) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// What a service of MSIP has answered.
    fn answer(
        self: Box<Self>,
        service: &SessionHandle,
        answer: Result<UntypedMessage, Status>,
        metadata: Option<&Metadata>,
    );

    /// No service can have it.
    fn refuse(self: Box<Self>, why: &Status);
}

/// Such a call, as the router hands it over.
#[derive(Debug)]
pub(crate) struct Foreign(pub(crate) Box<dyn ForeignCall>);

impl Exchange for Foreign {
    fn pinned(&self) -> usize {
        self.0.pinned()
    }

    fn caller(&self) -> Option<SessionKey> {
        Some(self.0.caller().key())
    }

    fn refuse(self: Box<Self>, why: Refused) {
        self.0.refuse(&status(&why));
    }
}
