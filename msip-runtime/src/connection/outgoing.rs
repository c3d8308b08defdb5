//! A message that this side sends: its head, its metadata and its body, until the session has written them.

use std::sync::Arc;

use prost::Message as _;

use super::{
    ConnectionInner, ConnectionShared,
    capacity::{NotSent, Queue, no_session},
    deadline::Deadline,
    exchange_table::{ExchangeTable, OpenedExchange},
    message::Outgoing,
    metadata::{add_key, append, encode_metadata},
    recv_buffer::RecvBuffer,
    reply_slot::ReplySlot,
};
use crate::{
    CallOptions, MsgKind, SendError, Status,
    body::{Encoding, Prepared},
    dialect::Feature,
    protocol::{Exchange, Variant},
    sync::Ordering,
};
use msip_session::{
    Blocked, CallShape, RequestHead, Session, StateKey, Token, is_droppable,
    wire::{self, Topic},
};

/// A message that is ready to be sent, but for its id.
pub(super) struct OutgoingMessage<'a, E> {
    /// `None` opens a request stream, whose items follow.
    message: Option<&'a E>,
    pub(super) variant: &'a Variant,
    pub(super) head: RequestHead<'static>,
    /// Its metadata, encoded; empty for none.
    metadata: Vec<u8>,
    topic: Option<&'a Topic>,
    /// The number of the login that sends it; 0 for none.
    pub(super) login: u64,
    /// It does not wait for a connection.
    fail_fast: bool,
    /// It clears a STATE: its body is empty.
    clears: bool,
    /// How long the body is, before it is prepared.
    pub(super) len: usize,
    /// The body, made before the lock is taken, and for which encoding; none for a message that is written in
    /// protobuf, unchanged.
    prepared: Option<(Encoding, Prepared)>,
}

/// What writes a body into the session's queue.
type WriteBody<'a> = &'a mut dyn FnMut(&mut Vec<u8>);

impl<'a, E: Outgoing> OutgoingMessage<'a, E> {
    /// The opening of a request stream of this variant.
    pub(super) fn stream(
        connection: &ConnectionShared,
        variant: &'a Variant,
        topic: Option<&'a Topic>,
        options: &CallOptions,
    ) -> Result<Self, SendError> {
        Ok(Self {
            message: None,
            variant,
            head: head(variant, options),
            metadata: encode_metadata(options, connection.correlation_ids.as_ref())?,
            topic,
            login: options.login(),
            fail_fast: options.is_fail_fast(),
            clears: false,
            len: 0,
            prepared: None,
        })
    }

    pub(super) fn new(
        connection: &ConnectionShared,
        message: &'a E,
        options: &CallOptions,
    ) -> Result<Self, SendError> {
        let variant = message.variant().ok_or(SendError::Closed)?;
        if options.clears {
            return Self::clearing(connection, message, variant, options);
        }
        let encoding = connection.encoding();
        let prepared = message.prepare(&encoding).map_err(SendError::Unwritable)?;
        connection.check_texts(|body| message.encode(body))?;
        Ok(Self {
            message: Some(message),
            variant,
            head: head(variant, options),
            metadata: carried(
                connection,
                metadata_of(connection, message, variant, options)?,
            )?,
            topic: message.topic(),
            login: options.login(),
            fail_fast: options.is_fail_fast(),
            clears: false,
            len: message.encoded_len(),
            prepared: prepared.map(|prepared| (encoding, prepared)),
        })
    }

    /// What clears the STATE that this message would set: an empty body.
    #[cold]
    fn clearing(
        connection: &ConnectionShared,
        message: &'a E,
        variant: &'a Variant,
        options: &CallOptions,
    ) -> Result<Self, SendError> {
        check_clearable(variant)?;
        connection.check_carried(Feature::Clearing)?;
        let mut metadata = metadata_of(connection, message, variant, options)?;
        let which = wire::Metadata {
            cleared: message.key_only(),
            ..wire::Metadata::default()
        };
        append(&mut metadata, &which)?;
        Ok(Self {
            message: Some(message),
            variant,
            head: head(variant, options),
            metadata: carried(connection, metadata)?,
            topic: message.topic(),
            login: options.login(),
            fail_fast: options.is_fail_fast(),
            clears: true,
            len: 0,
            prepared: None,
        })
    }

    /// The same to this topic in place of the message's own, if there is one.
    pub(super) fn at(self, topic: Option<&'a Topic>) -> Self {
        Self {
            topic: topic.or(self.topic),
            ..self
        }
    }

    /// Whether the message may be dropped for others of its kind.
    pub(super) fn is_droppable(&self) -> bool {
        is_droppable(self.head.kind)
    }

    /// Whether the session may queue it by its kind, so that it need not wait behind others.
    pub(super) fn may_be_queued(&self, queue: Queue) -> bool {
        matches!(queue, Queue::Messages) && self.is_droppable()
    }

    /// Sends a one-way message, if there is capacity.
    pub(super) fn send(&self, state: &mut ConnectionInner) -> Result<(), NotSent> {
        self.attempt(state, None, |session, _, head, write| {
            session.send(head, write)
        })
    }

    /// Sends a one-way message, or lets the session queue it where its kind allows that.
    pub(super) fn send_or_enqueue(&self, state: &mut ConnectionInner) -> Result<(), NotSent> {
        match self.send(state) {
            Err(NotSent::NoCapacity) if self.is_droppable() => self.enqueue_droppable(state),
            sent => sent,
        }
    }

    /// Lets the session queue a one-way message for which there is no capacity.
    pub(super) fn enqueue_droppable(&self, state: &mut ConnectionInner) -> Result<(), NotSent> {
        let enqueued = self.attempt(state, None, |session, _, head, write| {
            session
                .enqueue_droppable(head, self.key(), None, write)
                .map(|_| ())
        });
        state.send_droppable();
        enqueued
    }

    /// Sends a delivery, or lets the session queue it where its kind allows that.
    pub(super) fn deliver_or_enqueue(
        &self,
        state: &mut ConnectionInner,
        deadline: Deadline,
    ) -> Result<OpenedExchange, NotSent> {
        let is_droppable = self.is_droppable();
        if !is_droppable || state.message_queue.is_empty() {
            let delivered = self.attempt(
                state,
                deadline.wire_ms,
                |session, exchanges, head, write| {
                    let entry = exchanges.vacant_entry();
                    let slot = session.deliver(head, entry.token(), deadline.at, write)?;
                    let opened = entry.insert_unary(slot, ReplySlot::new(None));
                    exchanges.set_fail_fast(opened.token, self.fail_fast);
                    Ok(opened)
                },
            );
            match delivered {
                Err(NotSent::NoCapacity) if is_droppable => {}
                delivered => return delivered,
            }
        }
        let enqueued = self.attempt(
            state,
            deadline.wire_ms,
            |session, exchanges, head, write| {
                let entry = exchanges.vacant_entry();
                let waiter = Some((entry.token(), deadline.at));
                let slot = session.enqueue_droppable(head, self.key(), waiter, write)?;
                // A message that is waited for has a slot.
                let slot = slot.ok_or(Blocked::NoCapacity)?;
                let opened = entry.insert_unary(slot, ReplySlot::new(None));
                exchanges.set_fail_fast(opened.token, self.fail_fast);
                Ok(opened)
            },
        );
        state.send_droppable();
        enqueued
    }

    /// Opens a call with one answer.
    pub(super) fn call(
        &self,
        state: &mut ConnectionInner,
        deadline: Deadline,
    ) -> Result<OpenedExchange, NotSent> {
        self.attempt(
            state,
            deadline.wire_ms,
            |session, exchanges, head, write| {
                let entry = exchanges.vacant_entry();
                let shape = self.shape(false);
                let slot = session.call(head, shape, entry.token(), deadline.at, write)?;
                let opened = entry.insert_unary(slot, ReplySlot::new(None));
                exchanges.set_fail_fast(opened.token, self.fail_fast);
                Ok(opened)
            },
        )
    }

    /// Opens a call; `recv_buffer` is where the items of its answer go.
    pub(super) fn call_streaming(
        &self,
        state: &mut ConnectionInner,
        deadline: Deadline,
        recv_buffer: &Arc<RecvBuffer>,
    ) -> Result<Token, NotSent> {
        self.attempt(
            state,
            deadline.wire_ms,
            |session, exchanges, head, write| {
                let entry = exchanges.vacant_entry();
                let shape = self.shape(true);
                let slot = session.call(head, shape, entry.token(), deadline.at, write)?;
                Ok(entry.insert_streaming(slot, Arc::clone(recv_buffer)))
            },
        )
    }

    /// Opens a call whose outcome nobody waits for yet, whether that is one answer or a stream. Returns its token, and the number
    /// of the relayed call.
    pub(super) fn call_unattended(
        &self,
        state: &mut ConnectionInner,
        deadline: Deadline,
    ) -> Result<(Token, u64), NotSent> {
        self.attempt(
            state,
            deadline.wire_ms,
            |session, exchanges, head, write| {
                let number = exchanges.next_relayed();
                let entry = exchanges.vacant_entry();
                let token = entry.token();
                let slot = session.call(head, self.shape(true), token, deadline.at, write)?;
                entry.insert_unattended(slot);
                Ok((token, number))
            },
        )
    }

    fn shape(&self, response_stream: bool) -> CallShape {
        CallShape {
            request_stream: self.message.is_none(),
            response_stream,
        }
    }

    /// The key of a STATE.
    fn key(&self) -> Option<StateKey> {
        let message = self.message?;
        state_key(self.variant, self.topic, || {
            // The sender's own word comes before the schema's.
            match wire::Metadata::decode(self.metadata.as_slice()) {
                Ok(metadata) if !metadata.key.is_empty() => metadata.key.into_bytes(),
                _ => message.state_key(),
            }
        })
    }

    /// Hands the message to the session by `push`, which is given what writes its body.
    fn attempt<T>(
        &self,
        state: &mut ConnectionInner,
        deadline_ms: Option<u32>,
        push: impl FnOnce(
            &mut Session,
            &mut ExchangeTable,
            &RequestHead<'_>,
            WriteBody<'_>,
        ) -> Result<T, Blocked>,
    ) -> Result<T, NotSent> {
        if state.is_held(self.login) {
            return Err(if self.fail_fast {
                SendError::LoginPending.into()
            } else {
                NotSent::Held
            });
        }
        let ConnectionInner {
            session,
            exchanges,
            encoding,
            closed,
            ..
        } = state;
        let late;
        let prepared = match (&self.prepared, self.message) {
            (_, None) => None,
            _ if self.clears => None,
            (Some((used, prepared)), _) if encoding.is_same(used) => Some(prepared),
            (None, _) if encoding.is_identity() => None,
            // Where the connection is another than before; or for a small message that would be compressed if it
            // were large, which costs nothing.
            (_, Some(message)) => {
                late = message.prepare(encoding).map_err(SendError::Unwritable)?;
                late.as_ref()
            }
        };
        let session = session
            .as_mut()
            .filter(|session| !self.fail_fast || session.is_open())
            .ok_or_else(|| no_session(closed.as_deref()))?;
        let max = session.peer_max_body();
        let len = prepared.map_or(self.len, |prepared| prepared.len);
        if len > max {
            return Err(SendError::TooLarge { len, max }.into());
        }
        let head = RequestHead {
            compressed: prepared.is_some_and(|prepared| prepared.compressed),
            deadline_ms,
            metadata: &self.metadata,
            topic: self.topic,
            ..self.head
        };
        let pushed = push(session, exchanges, &head, &mut |buffer| {
            if let Some(prepared) = prepared {
                buffer.extend_from_slice(&prepared.bytes);
            } else if let Some(message) = self.message.filter(|_| !self.clears) {
                message.encode(buffer);
            }
        });
        pushed.map_err(|blocked| NotSent::blocked(blocked, closed.as_deref()))
    }
}

impl ConnectionShared {
    /// Whether a message of this variant is sent as most are: in plain protobuf, without metadata, and not urgent. The
    /// fast path takes no other.
    #[inline]
    pub(super) fn is_bare(&self, variant: &Variant, options: &CallOptions) -> bool {
        self.may_be_bare(variant, options) && self.is_plain.load(Ordering::Relaxed)
    }

    /// The same, whatever the encoding.
    #[inline]
    pub(super) fn may_be_bare(&self, variant: &Variant, options: &CallOptions) -> bool {
        options.is_default() && !variant.urgent && self.correlation_ids.is_none()
    }
}

/// Whether messages of this variant set a STATE, which can be cleared.
///
/// # Errors
///
/// [`SendError::Refused`] where they do not.
pub(crate) fn check_clearable(variant: &Variant) -> Result<(), SendError> {
    if variant.kind == MsgKind::State && !matches!(variant.exchange, Exchange::Call { .. }) {
        return Ok(());
    }
    let text = format!("`{}` is no STATE: it cannot be cleared", variant.name);
    Err(SendError::Refused(Status::invalid_argument(text)))
}

/// The encoded metadata of a message, with what a topic adds to it.
fn metadata_of<E: Outgoing>(
    connection: &ConnectionShared,
    message: &E,
    variant: &Variant,
    options: &CallOptions,
) -> Result<Vec<u8>, SendError> {
    let mut metadata = encode_metadata(options, connection.correlation_ids.as_ref())?;
    if variant.key_number.is_some() {
        add_key(&mut metadata, message, options)?;
    }
    Ok(metadata)
}

/// The encoded metadata that says which STATE is cleared.
pub(crate) fn metadata_of_cleared(cleared: Vec<u8>) -> Vec<u8> {
    let which = wire::Metadata {
        cleared,
        ..wire::Metadata::default()
    };
    which.encode_to_vec()
}

/// Metadata, unless the dialect of the peer cannot carry it.
#[inline]
fn carried(connection: &ConnectionShared, metadata: Vec<u8>) -> Result<Vec<u8>, SendError> {
    if let Some(carries) = connection.carries {
        carries.check_metadata(&metadata)?;
    }
    Ok(metadata)
}

/// The key of a STATE among those of its variant that wait to be sent, at each topic; none for any other kind.
pub(super) fn state_key(
    variant: &Variant,
    topic: Option<&Topic>,
    key: impl FnOnce() -> Vec<u8>,
) -> Option<StateKey> {
    (variant.kind == MsgKind::State).then(|| {
        let mut key = key();
        if let Some(topic) = topic {
            // No topic has this byte.
            key.push(0);
            key.extend_from_slice(topic.as_bytes());
        }
        StateKey {
            variant: variant.number,
            key,
        }
    })
}

fn head(variant: &Variant, options: &CallOptions) -> RequestHead<'static> {
    RequestHead {
        urgent: options.urgent.unwrap_or(variant.urgent),
        caller: options.caller,
        ..variant.head()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_state_replaces_none_of_another_topic() {
        let variant = Variant::new(1, "position", MsgKind::State);
        let topic = |text: &'static str| Topic::new(Bytes::from_static(text.as_bytes()), 255);
        let (ada, bob) = (topic("T/$to/ada").unwrap(), topic("T/$to/bob").unwrap());
        let key = |topic| state_key(&variant, topic, || b"7".to_vec());
        assert_ne!(key(Some(&ada)), key(Some(&bob)));
        assert_ne!(key(Some(&ada)), key(None));
        assert_eq!(key(Some(&ada)), key(Some(&ada)));
    }
}
