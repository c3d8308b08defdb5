//! A message on its way into the session.

use std::{sync::Arc, time::Duration};

use prost::Message as _;

use super::{
    Link, State, Waiter,
    inflow::Inflow,
    landing::{Landing, Opened},
    room::Attempt,
};
use crate::{
    CallOptions, Envelope, MsgKind, SendError,
    body::{Encoding, Prepared, key_of},
    protocol::{Variant, variant_of},
    session::{Blocked, End, Opener, Shape, Slot, StateKey, Token, may_be_shelved},
    wire,
};

/// A message that is ready to be sent, but for its id.
pub(super) struct Outgoing<'a, E> {
    /// `None` opens a request stream, whose items follow.
    message: Option<&'a E>,
    pub(super) variant: &'static Variant,
    pub(super) opener: Opener<'static>,
    /// What goes beside it, encoded; empty for nothing.
    metadata: Vec<u8>,
    /// How long the body is, in protobuf.
    pub(super) len: usize,
    /// The body, made before the lock is taken, and for which encoding; none for a message that is written in
    /// protobuf, as it is.
    prepared: Option<(Encoding, Prepared)>,
}

impl<'a, E: Envelope> Outgoing<'a, E> {
    /// The opening of a request stream of this variant.
    pub(super) fn stream(
        link: &Link,
        number: u16,
        options: &CallOptions,
    ) -> Result<Self, SendError> {
        // Generated code asks for a variant of its own.
        let variant = variant_of::<E>(number).ok_or(SendError::Closed)?;
        let opener = opener(variant, options);
        Ok(Self {
            message: None,
            variant,
            opener,
            metadata: link.metadata(options)?,
            len: 0,
            prepared: None,
        })
    }

    pub(super) fn new(
        link: &Link,
        message: &'a E,
        options: &CallOptions,
    ) -> Result<Self, SendError> {
        let variant = E::VARIANTS.get(message.index()).ok_or(SendError::Closed)?;
        let encoding = link.encoding();
        let prepared = encoding
            .prepare(message, variant)
            .map_err(SendError::Unwritable)?;
        Ok(Self {
            message: Some(message),
            variant,
            opener: opener(variant, options),
            metadata: link.metadata(options)?,
            len: message.encoded_len(),
            prepared: prepared.map(|prepared| (encoding, prepared)),
        })
    }

    pub(super) fn send(&self, state: &mut State) -> Attempt<()> {
        self.attempt(state, None, |session, opener, encode| {
            session.send(opener, encode)
        })
    }

    fn deliver(&self, state: &mut State, deadline: Deadline) -> Attempt<Opened> {
        let token = state.waiters.vacant_key();
        let Deadline { at: deadline, told } = deadline;
        let attempt = self.attempt(state, told, |session, opener, encode| {
            session.deliver(opener, token, deadline, encode)
        });
        state.wait(attempt)
    }

    pub(super) fn send_or_shelve(&self, state: &mut State) -> Attempt<()> {
        match self.send(state) {
            Attempt::NoRoom if may_be_shelved(self.opener.kind) => self.shelve(state),
            attempt => attempt,
        }
    }

    /// Takes the message without room, by its kind.
    pub(super) fn shelve(&self, state: &mut State) -> Attempt<()> {
        let attempt = self.attempt(state, None, |session, opener, encode| {
            let key = self.key();
            session.shelve(opener, key, None, encode).map(|_| ())
        });
        state.unshelve();
        attempt
    }

    pub(super) fn deliver_or_shelve(
        &self,
        state: &mut State,
        deadline: Deadline,
    ) -> Attempt<Opened> {
        let may_be_shelved = may_be_shelved(self.opener.kind);
        if !may_be_shelved || state.message_room.is_empty() {
            match self.deliver(state, deadline) {
                Attempt::NoRoom if may_be_shelved => {}
                attempt => return attempt,
            }
        }
        let token = state.waiters.vacant_key();
        let Deadline { at: deadline, told } = deadline;
        let attempt = self.attempt(state, told, |session, opener, encode| {
            let key = self.key();
            let slot = session.shelve(opener, key, Some((token, deadline)), encode)?;
            // There is one for whoever waits.
            slot.ok_or(Blocked::NoRoom)
        });
        let attempt = state.wait(attempt);
        state.unshelve();
        attempt
    }

    /// The key of a STATE.
    fn key(&self) -> Option<StateKey> {
        let message = self.message?;
        state_key(self.variant, || {
            // The sender's own word comes before the schema's.
            match wire::Metadata::decode(self.metadata.as_slice()) {
                Ok(metadata) if !metadata.key.is_empty() => metadata.key.into_bytes(),
                _ => key_of(message, self.variant),
            }
        })
    }

    /// Opens a call with one answer.
    pub(super) fn call(&self, state: &mut State, deadline: Deadline) -> Attempt<Opened> {
        let attempt = self.open(state, deadline, false);
        state.wait(attempt)
    }

    /// Opens a call; `inflow` is where the items of its answer go.
    pub(super) fn call_streaming(
        &self,
        state: &mut State,
        deadline: Deadline,
        inflow: &Arc<Inflow>,
    ) -> Attempt<Token> {
        match self.open(state, deadline, true) {
            Attempt::Done(slot) => {
                inflow.open(End::Caller(slot));
                let inflow = Arc::clone(inflow);
                Attempt::Done(state.waiters.insert(Waiter::Streaming { slot, inflow }))
            }
            Attempt::NoRoom => Attempt::NoRoom,
            Attempt::Failed(error) => Attempt::Failed(error),
        }
    }

    /// Opens a call under the next free token.
    fn open(&self, state: &mut State, deadline: Deadline, response_stream: bool) -> Attempt<Slot> {
        let Deadline { at: deadline, told } = deadline;
        let token = state.waiters.vacant_key();
        let shape = Shape {
            request_stream: self.message.is_none(),
            response_stream,
        };
        self.attempt(state, told, |session, opener, encode| {
            session.call(opener, shape, token, deadline, encode)
        })
    }

    fn attempt<T>(
        &self,
        state: &mut State,
        deadline_ms: Option<u32>,
        push: impl FnOnce(
            &mut crate::session::Session,
            &Opener<'_>,
            &mut dyn FnMut(&mut Vec<u8>),
        ) -> Result<T, Blocked>,
    ) -> Attempt<T> {
        let no_session = state.no_session();
        let late;
        let prepared = match (&self.prepared, self.message) {
            (_, None) => None,
            (Some((encoding, prepared)), _) if state.encoding.is_same(encoding) => Some(prepared),
            (None, _) if state.encoding.is_plain() => None,
            // Where the connection is another than before; or for a small message that would be compressed if it
            // were large, which costs nothing.
            (_, Some(message)) => match state.encoding.prepare(message, self.variant) {
                Ok(prepared) => {
                    late = prepared;
                    late.as_ref()
                }
                Err(error) => return Attempt::Failed(SendError::Unwritable(error)),
            },
        };
        let Some(session) = state.session.as_mut() else {
            return Attempt::Failed(no_session);
        };
        let max = session.peer_max_body();
        let len = prepared.map_or(self.len, |prepared| prepared.len);
        if len > max {
            return Attempt::Failed(SendError::TooLarge { len, max });
        }
        let opener = Opener {
            compressed: prepared.is_some_and(|prepared| prepared.compressed),
            deadline_ms,
            metadata: &self.metadata,
            ..self.opener
        };
        match push(session, &opener, &mut |buffer| match prepared {
            Some(prepared) => buffer.extend_from_slice(&prepared.bytes),
            None => {
                if let Some(message) = self.message {
                    message.encode(buffer);
                }
            }
        }) {
            Ok(value) => Attempt::Done(value),
            Err(blocked) => Attempt::blocked(blocked, no_session),
        }
    }
}

/// What tells a STATE from others; none for any other kind.
pub(super) fn state_key(variant: &Variant, key: impl FnOnce() -> Vec<u8>) -> Option<StateKey> {
    (variant.kind == MsgKind::State).then(|| StateKey {
        variant: variant.number,
        key: key(),
    })
}

fn opener(variant: &Variant, options: &CallOptions) -> Opener<'static> {
    Opener {
        urgent: options.urgent.unwrap_or(variant.urgent),
        ..Opener::plain(variant)
    }
}

/// When an exchange runs out of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    /// As sessions count time; `Duration::MAX` is never.
    pub(super) at: Duration,
    /// What the other side is told of it, in milliseconds, where it could not know.
    pub(super) told: Option<u32>,
}

impl Deadline {
    /// The same for what is sent later than it was to be: what remains is told.
    pub(super) fn late(self, now: Duration) -> Self {
        if self.at == Duration::MAX {
            return self;
        }
        let remaining = self.at.saturating_sub(now).as_millis();
        let told = Some(u32::try_from(remaining).unwrap_or(u32::MAX));
        Self { told, ..self }
    }
}

impl State {
    /// Makes somebody wait for the exchange that was just opened under the next free token.
    pub(super) fn wait(&mut self, attempt: Attempt<Slot>) -> Attempt<Opened> {
        match attempt {
            Attempt::Done(slot) => Attempt::Done(self.opened(slot, Landing::new(None))),
            Attempt::NoRoom => Attempt::NoRoom,
            Attempt::Failed(error) => Attempt::Failed(error),
        }
    }
}
