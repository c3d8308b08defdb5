//! A message on its way into the session.

use std::{sync::Arc, time::Duration};

use prost::Message as _;

use super::{
    ConnectionInner, ConnectionShared, Waiter,
    capacity::Attempt,
    recv_buffer::RecvBuffer,
    reply_slot::{OpenedExchange, ReplySlot},
};
use crate::{
    CallOptions, Envelope, MsgKind, SendError,
    body::{Encoding, Prepared, key_of},
    protocol::{Variant, variant_of},
};
use msip_session::{
    Blocked, RequestHead, Shape, Slot, StateKey, StreamSide, Token, is_droppable, wire,
};

/// A message that is ready to be sent, but for its id.
pub(super) struct OutgoingMessage<'a, E> {
    /// `None` opens a request stream, whose items follow.
    message: Option<&'a E>,
    pub(super) variant: &'static Variant,
    pub(super) head: RequestHead<'static>,
    /// What goes beside it, encoded; empty for nothing.
    metadata: Vec<u8>,
    /// How long the body is, in protobuf.
    pub(super) len: usize,
    /// The body, made before the lock is taken, and for which encoding; none for a message that is written in
    /// protobuf, as it is.
    prepared: Option<(Encoding, Prepared)>,
}

impl<'a, E: Envelope> OutgoingMessage<'a, E> {
    /// The opening of a request stream of this variant.
    pub(super) fn stream(
        connection: &ConnectionShared,
        number: u16,
        options: &CallOptions,
    ) -> Result<Self, SendError> {
        // Generated code asks for a variant of its own.
        let variant = variant_of::<E>(number).ok_or(SendError::Closed)?;
        let head = head(variant, options);
        Ok(Self {
            message: None,
            variant,
            head,
            metadata: connection.metadata(options)?,
            len: 0,
            prepared: None,
        })
    }

    pub(super) fn new(
        connection: &ConnectionShared,
        message: &'a E,
        options: &CallOptions,
    ) -> Result<Self, SendError> {
        let variant = E::VARIANTS.get(message.index()).ok_or(SendError::Closed)?;
        let encoding = connection.encoding();
        let prepared = encoding
            .prepare(message, variant)
            .map_err(SendError::Unwritable)?;
        Ok(Self {
            message: Some(message),
            variant,
            head: head(variant, options),
            metadata: connection.metadata(options)?,
            len: message.encoded_len(),
            prepared: prepared.map(|prepared| (encoding, prepared)),
        })
    }

    pub(super) fn send(&self, state: &mut ConnectionInner) -> Attempt<()> {
        self.attempt(state, None, |session, head, encode| {
            session.send(head, encode)
        })
    }

    fn deliver(&self, state: &mut ConnectionInner, deadline: Deadline) -> Attempt<OpenedExchange> {
        let token = state.waiters.vacant_key();
        let Deadline { at: deadline, told } = deadline;
        let attempt = self.attempt(state, told, |session, head, encode| {
            session.deliver(head, token, deadline, encode)
        });
        state.wait(attempt)
    }

    pub(super) fn send_or_enqueue(&self, state: &mut ConnectionInner) -> Attempt<()> {
        match self.send(state) {
            Attempt::NoRoom if is_droppable(self.head.kind) => self.enqueue_droppable(state),
            attempt => attempt,
        }
    }

    /// Takes the message without capacity, by its kind.
    pub(super) fn enqueue_droppable(&self, state: &mut ConnectionInner) -> Attempt<()> {
        let attempt = self.attempt(state, None, |session, head, encode| {
            let key = self.key();
            session
                .enqueue_droppable(head, key, None, encode)
                .map(|_| ())
        });
        state.send_droppable();
        attempt
    }

    pub(super) fn deliver_or_enqueue(
        &self,
        state: &mut ConnectionInner,
        deadline: Deadline,
    ) -> Attempt<OpenedExchange> {
        let is_droppable = is_droppable(self.head.kind);
        if !is_droppable || state.message_room.is_empty() {
            match self.deliver(state, deadline) {
                Attempt::NoRoom if is_droppable => {}
                attempt => return attempt,
            }
        }
        let token = state.waiters.vacant_key();
        let Deadline { at: deadline, told } = deadline;
        let attempt = self.attempt(state, told, |session, head, encode| {
            let key = self.key();
            let slot = session.enqueue_droppable(head, key, Some((token, deadline)), encode)?;
            // There is one for whoever waits.
            slot.ok_or(Blocked::NoRoom)
        });
        let attempt = state.wait(attempt);
        state.send_droppable();
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
    pub(super) fn call(
        &self,
        state: &mut ConnectionInner,
        deadline: Deadline,
    ) -> Attempt<OpenedExchange> {
        let attempt = self.open(state, deadline, false);
        state.wait(attempt)
    }

    /// Opens a call; `recv_buffer` is where the items of its answer go.
    pub(super) fn call_streaming(
        &self,
        state: &mut ConnectionInner,
        deadline: Deadline,
        recv_buffer: &Arc<RecvBuffer>,
    ) -> Attempt<Token> {
        match self.open(state, deadline, true) {
            Attempt::Done(slot) => {
                recv_buffer.open(StreamSide::Caller(slot));
                let recv_buffer = Arc::clone(recv_buffer);
                Attempt::Done(
                    state
                        .waiters
                        .insert(Waiter::Streaming { slot, recv_buffer }),
                )
            }
            Attempt::NoRoom => Attempt::NoRoom,
            Attempt::Failed(error) => Attempt::Failed(error),
        }
    }

    /// Opens a call under the next free token.
    fn open(
        &self,
        state: &mut ConnectionInner,
        deadline: Deadline,
        response_stream: bool,
    ) -> Attempt<Slot> {
        let Deadline { at: deadline, told } = deadline;
        let token = state.waiters.vacant_key();
        let shape = Shape {
            request_stream: self.message.is_none(),
            response_stream,
        };
        self.attempt(state, told, |session, head, encode| {
            session.call(head, shape, token, deadline, encode)
        })
    }

    fn attempt<T>(
        &self,
        state: &mut ConnectionInner,
        deadline_ms: Option<u32>,
        push: impl FnOnce(
            &mut msip_session::Session,
            &RequestHead<'_>,
            &mut dyn FnMut(&mut Vec<u8>),
        ) -> Result<T, Blocked>,
    ) -> Attempt<T> {
        let no_session = state.no_session();
        let late;
        let prepared = match (&self.prepared, self.message) {
            (_, None) => None,
            (Some((encoding, prepared)), _) if state.encoding.is_same(encoding) => Some(prepared),
            (None, _) if state.encoding.is_identity() => None,
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
        let head = RequestHead {
            compressed: prepared.is_some_and(|prepared| prepared.compressed),
            deadline_ms,
            metadata: &self.metadata,
            ..self.head
        };
        match push(session, &head, &mut |buffer| match prepared {
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

fn head(variant: &Variant, options: &CallOptions) -> RequestHead<'static> {
    RequestHead {
        urgent: options.urgent.unwrap_or(variant.urgent),
        ..variant.head()
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

impl ConnectionInner {
    /// Makes somebody wait for the exchange that was just opened under the next free token.
    pub(super) fn wait(&mut self, attempt: Attempt<Slot>) -> Attempt<OpenedExchange> {
        match attempt {
            Attempt::Done(slot) => Attempt::Done(self.register(slot, ReplySlot::new(None))),
            Attempt::NoRoom => Attempt::NoRoom,
            Attempt::Failed(error) => Attempt::Failed(error),
        }
    }
}
