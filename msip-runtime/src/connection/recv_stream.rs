//! The receiving end of a stream: takes items out of its receive buffer, and grants credit for them.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{ConnectionShared, exchange::metadata_of, recv_buffer::RecvBuffer};
use crate::{CallError, ResponseMetadata};
use msip_session::{CreditBatcher, Item, Outcome, wire::Credit};

/// What a stream yields next.
#[derive(Debug)]
pub(crate) enum Taken {
    /// An item, not yet decoded.
    Item(Item),
    /// The stream is complete.
    End,
    /// The stream broke off.
    Failed(CallError),
}

/// Takes a stream's items one after the other, out of all that were there when it last looked. An item counts against
/// the stream's window until it is taken here.
#[derive(Debug)]
pub(crate) struct RecvStream {
    recv_buffer: Arc<RecvBuffer>,
    items: VecDeque<Item>,
    credit_batcher: CreditBatcher,
    /// Where the metadata of the answer goes.
    answer_metadata: Option<ResponseMetadata>,
}

impl RecvStream {
    pub(crate) fn new(recv_buffer: Arc<RecvBuffer>) -> Self {
        Self {
            recv_buffer,
            items: VecDeque::new(),
            credit_batcher: CreditBatcher::default(),
            answer_metadata: None,
        }
    }

    /// Puts the metadata of the answer there when it ends.
    pub(crate) fn keep_metadata(&mut self, answer: &ResponseMetadata) {
        answer.set(None);
        self.answer_metadata = Some(answer.clone());
    }

    /// The buffer that it takes from.
    pub(crate) fn recv_buffer(&self) -> &Arc<RecvBuffer> {
        &self.recv_buffer
    }

    /// The next of the items that were there when it last looked; credit for it goes back to its sender.
    #[inline]
    pub(crate) fn pop(&mut self, connection: &ConnectionShared) -> Option<Item> {
        let item = self.items.pop_front()?;
        // What came with the opening frame took no credit.
        if item.payload_len > 0 {
            let mut taken = self.credit_batcher.take(item.payload_len);
            if self.recv_buffer.take_credit_wanted() {
                taken = taken.or_else(|| self.credit_batcher.take_all());
            }
            if let Some(taken) = taken {
                self.grant(connection, taken);
            }
        }
        Some(item)
    }

    /// The next of the stream.
    pub(crate) fn poll_next(
        &mut self,
        connection: &ConnectionShared,
        timeout: Duration,
        context: &mut Context<'_>,
    ) -> Poll<Taken> {
        loop {
            if let Some(item) = self.pop(connection) {
                return Poll::Ready(Taken::Item(item));
            }
            let end = match self.recv_buffer.poll_next(&mut self.items, context) {
                Poll::Ready(None) => continue,
                Poll::Ready(Some(outcome)) => {
                    // The end that follows a last item has none.
                    if let Some(answer) = &self.answer_metadata
                        && let Some(metadata) = metadata_of(&outcome)
                    {
                        answer.set(Some(metadata));
                    }
                    Poll::Ready(last(connection, outcome, timeout))
                }
                Poll::Pending => Poll::Pending,
            };
            if let Some(taken) = self.credit_batcher.flush() {
                self.grant(connection, taken);
            }
            return end;
        }
    }

    fn grant(&mut self, connection: &ConnectionShared, taken: Credit) {
        let due = connection.with_session(|session| {
            // The exchange cannot end while the lock is held.
            self.recv_buffer
                .end()
                .and_then(|end| session.items_consumed(end, taken))
        });
        self.credit_batcher.set_due(due.flatten());
    }
}

/// What the end of the exchange means to the reader of its stream.
fn last(connection: &ConnectionShared, outcome: Outcome, timeout: Duration) -> Taken {
    match outcome {
        Outcome::Answer {
            variant,
            body,
            compressed,
            metadata,
        } if !body.is_empty() => Taken::Item(Item {
            variant,
            body,
            compressed,
            metadata,
            payload_len: 0,
        }),
        Outcome::Answer { .. } => Taken::End,
        outcome => Taken::Failed(connection.failure(outcome, timeout)),
    }
}
