//! The inbound side of a session that is silent.

use std::task::{Context, Poll};

use super::Inbound;
use crate::{raw::Readiness, service::IdleReceiver};

/// What is kept of an [`Inbound`] while nothing comes; from [`Inbound::rest`].
#[derive(Debug)]
pub struct IdleInbound {
    receiver: IdleReceiver,
    readiness: Option<Readiness>,
    /// It goes on as an [`Inbound`].
    is_over: bool,
}

impl Inbound {
    /// Goes on in little memory, after [`Event::Idle`](super::Event::Idle) and until something comes.
    ///
    /// # Errors
    ///
    /// Itself, where something of it was not handled yet.
    pub fn rest(mut self: Box<Self>) -> Result<IdleInbound, Box<Self>> {
        if self.taken.items > 0 || self.waiting.is_some() {
            return Err(self);
        }
        let Some(receiver) = self.receiver.to_idle() else {
            return Err(self);
        };
        self.is_over = true;
        Ok(IdleInbound {
            receiver,
            readiness: self.readiness.take(),
            is_over: false,
        })
    }
}

impl IdleInbound {
    /// Ready when [`Inbound::next`] has something to look at. Nothing is taken.
    pub fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<()> {
        self.receiver.poll_ready(task)
    }

    /// What comes next, to be taken. It [tells](Inbound::tell_idle) again when the session is silent.
    #[must_use]
    pub fn wake(mut self) -> Inbound {
        self.is_over = true;
        let mut inbound = Inbound::new(self.receiver.wake(), self.readiness.take());
        inbound.tell_idle();
        inbound
    }
}

/// As with an [`Inbound`], callers of what has come and was not taken get an error.
impl Drop for IdleInbound {
    fn drop(&mut self) {
        if !self.is_over {
            drop(Inbound::new(self.receiver.wake(), None));
        }
    }
}
