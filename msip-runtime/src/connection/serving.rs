//! Serving the peer's calls: answering them, one or many under one lock, and their cancellation.

use prost::Message as _;
use tokio::task::AbortHandle;

use super::{
    ConnectionInner, ConnectionShared, Outgoing, Terms, call_to_answer::CallToAnswer,
    cancellation::Cancellation,
};
use crate::{Code, MetadataError, Status, Variant, metadata::check_header, sync::Ordering};
use msip_session::{
    InboundSlot, Reply, ReplyTo, Session,
    wire::{Credit, ErrorRef, Limits, Metadata, MsgId},
};

/// The longest encoded time of an answer, in bytes: its tag, and the longest `int64`.
const TIME_LEN: usize = 11;

/// The result of one message's handler.
#[derive(Debug)]
pub(crate) enum Completion<Out> {
    /// A call, which is answered with a message: its variant, and the length of its body. The variant is a whole word, like all
    /// the others: a processor that copies this right after it was written waits for a word that was written in part.
    Call {
        slot: InboundSlot,
        variant: &'static Variant,
        len: usize,
        answer: Out,
    },
    /// A delivery.
    Delivery {
        id: MsgId,
        urgent: bool,
        outcome: Result<(), Status>,
    },
}

impl ConnectionShared {
    /// A call's handler goes on in a task, which ends with it; at once where the caller has given it up meanwhile.
    pub(crate) fn call_runs(&self, call: CallToAnswer, variant: u16, task: AbortHandle) {
        let mut state = self.lock();
        let is_open = self.expect_answer(&mut state, call, variant);
        state.running_calls.spawned(call.slot, task, is_open);
    }

    /// A call was taken by a service that answers it at some time.
    pub(crate) fn call_taken(&self, call: CallToAnswer, variant: u16) {
        self.expect_answer(&mut self.lock(), call, variant);
    }

    /// The same for calls that are taken one after the other, up to the one that leaves too many answers unread. Returns how many
    /// these are: at least one, where there is one.
    pub(crate) fn calls_taken(&self, calls: impl Iterator<Item = (CallToAnswer, u16)>) -> usize {
        let mut state = self.lock();
        let mut taken = 0;
        for (call, variant) in calls {
            taken += 1;
            self.expect_answer(&mut state, call, variant);
            if self.is_backlogged() {
                break;
            }
        }
        taken
    }

    /// Counts the answer of a call that goes on before it is there. Whether the call is open.
    fn expect_answer(&self, state: &mut ConnectionInner, call: CallToAnswer, variant: u16) -> bool {
        let is_same = state.generation == call.generation;
        let session = state
            .session()
            .filter(|session| is_same && session.is_serving(call.slot));
        let Some(session) = session else {
            return false;
        };
        session.call_runs(call.slot, variant);
        self.note_backlog(state);
        true
    }

    /// Answers a call whose handler has ended, with the headers that it has set and the time that its caller asked for;
    /// nothing where its session has ended.
    pub(crate) fn reply(
        &self,
        call: CallToAnswer,
        reply: Reply<'_, impl FnOnce(&mut Vec<u8>)>,
        time_us: Option<i64>,
    ) {
        let mut state = self.lock();
        if state.generation != call.generation {
            return;
        }
        let metadata = state.running_calls.take_answer_metadata(call.slot);
        let Some(session) = state.session() else {
            return;
        };
        if metadata.is_none() && time_us.is_none() {
            session.reply(call.slot, reply);
        } else {
            let mut metadata = metadata.unwrap_or_default();
            metadata.response_time_us = time_us;
            reply_with_metadata(session, call.slot, reply, &mut metadata);
        }
        state.end_call(call.slot);
        self.note_backlog(&mut state);
        state.wake_driver();
    }

    /// Answers what has been handled, and grants the peer `handled` again; nothing where the session has ended by which
    /// it came. Leaves `completions` empty.
    pub(crate) fn complete<Out: Outgoing>(
        &self,
        terms: &Terms,
        handled: Credit,
        completions: &mut Vec<Completion<Out>>,
    ) {
        let mut state = self.lock();
        if state.generation != terms.generation {
            completions.clear();
            return;
        }
        for completion in &*completions {
            state.apply(completion);
        }
        completions.clear();
        if let Some(session) = state.session().filter(|_| handled.items > 0) {
            session.consumed(handled, terms.connection);
        }
        self.note_backlog(&mut state);
        state.wake_driver();
    }

    /// A message has been handled that came by a datagram; nothing where its session has ended.
    pub(crate) fn datagram_handled(&self, terms: &Terms) {
        let mut state = self.lock();
        if state.generation == terms.generation
            && let Some(session) = state.session()
        {
            session.datagram_handled();
            state.wake_driver();
        }
    }

    /// Sets a header of the answer of a call; nothing where it is not awaited any longer.
    pub(crate) fn set_answer_header(
        &self,
        call: CallToAnswer,
        name: &str,
        value: &str,
    ) -> Result<(), MetadataError> {
        check_header(name, value)?;
        let mut state = self.lock();
        if !state.is_call_awaited(call) {
            return Ok(());
        }
        let metadata = state.running_calls.answer_metadata(call.slot);
        let before = metadata.headers.insert(name.to_owned(), value.to_owned());
        let max = usize::from(Limits::default().max_metadata);
        let len = metadata.encoded_len().saturating_add(TIME_LEN);
        if len <= max {
            return Ok(());
        }
        match before {
            Some(before) => drop(metadata.headers.insert(name.to_owned(), before)),
            None => drop(metadata.headers.remove(name)),
        }
        Err(MetadataError::TooLarge { len, max })
    }

    /// A call of a lost connection is not begun.
    pub(crate) fn give_back(&self, call: CallToAnswer) {
        let mut state = self.lock();
        if state.generation != call.generation {
            return;
        }
        if let Some(session) = state.session() {
            session.give_back(call.slot);
            state.end_call(call.slot);
            state.wake_driver();
        }
    }

    /// What was received takes this much memory, inflated or decoded, until its handler has ended.
    ///
    /// # Errors
    ///
    /// Which limit forbids it.
    #[cold]
    pub(crate) fn count_memory(&self, reply: ReplyTo, len: usize) -> Result<(), String> {
        let counted = self.with_session(|session| match reply {
            ReplyTo::Call(slot) => session.request_grows(slot, len),
            ReplyTo::Nobody | ReplyTo::Delivery { .. } => session.message_grows(len),
        });
        // Without a session nothing waits for what it becomes.
        counted.unwrap_or(Ok(())).map_err(|busy| busy.to_string())
    }

    /// A message of the peer was refused before a handler had it. One that cannot be read counts against its sender; one that
    /// has met a limit of this side, or was cancelled, does not.
    #[cold]
    pub(crate) fn count_refused(&self, id: MsgId, code: Code) {
        if matches!(code, Code::InvalidArgument | Code::Unimplemented) {
            let now = self.now();
            self.with_session(|session| session.count_unreadable(id, now));
        }
    }

    /// Whether the caller has given the call up already.
    pub(crate) fn is_cancelled(&self, call: CallToAnswer) -> bool {
        self.lock().running_calls.is_cancelled(call.slot)
    }

    /// Whether any caller may have given its call up already. Takes no lock.
    #[inline]
    pub(crate) fn has_cancelled(&self) -> bool {
        self.cancelled_calls.load(Ordering::Relaxed) > 0
    }

    /// Whether the caller still waits for the answer of this call.
    pub(crate) fn is_awaited(&self, call: CallToAnswer) -> bool {
        self.lock().is_call_awaited(call)
    }

    /// The cancellation of a call, which its handler may watch.
    pub(crate) fn cancellation(&self, call: CallToAnswer) -> Cancellation {
        let mut state = self.lock();
        if state.is_call_awaited(call) {
            state.running_calls.cancellation(call.slot)
        } else {
            Cancellation::cancelled_already()
        }
    }
}

impl ConnectionInner {
    fn apply<Out: Outgoing>(&mut self, completion: &Completion<Out>) {
        match completion {
            &Completion::Call {
                slot,
                variant,
                len,
                ref answer,
            } => {
                let metadata = self.running_calls.take_answer_metadata(slot);
                let Some(session) = self.session() else {
                    return;
                };
                let reply = Reply::message(variant.number, len, |buffer: &mut Vec<u8>| {
                    answer.encode(buffer);
                });
                match metadata {
                    None => session.reply(slot, reply),
                    Some(mut metadata) => reply_with_metadata(session, slot, reply, &mut metadata),
                }
                self.end_call(slot);
            }
            Completion::Delivery {
                id,
                urgent,
                outcome,
            } => {
                let Some(session) = self.session() else {
                    return;
                };
                let outcome = outcome.as_ref().map(|&()| ()).map_err(Status::as_error);
                session.acknowledge(*id, *urgent, outcome);
            }
        }
    }

    pub(super) fn is_call_awaited(&self, call: CallToAnswer) -> bool {
        let awaits = |session: &Session| session.is_awaited(call.slot, call.id);
        self.generation == call.generation && self.session.awake().is_some_and(awaits)
    }
}

/// Answers a call with metadata.
#[inline(never)]
pub(super) fn reply_with_metadata(
    session: &mut Session,
    slot: InboundSlot,
    reply: Reply<'_, impl FnOnce(&mut Vec<u8>)>,
    metadata: &mut Metadata,
) {
    if let Reply::Error(ErrorRef {
        metadata: Some(status),
        ..
    }) = &reply
    {
        metadata.details.clone_from(&status.details);
    }
    session.reply_with_metadata(slot, reply, metadata);
}
