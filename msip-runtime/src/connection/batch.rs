//! Enqueuing the message batch of an exclusive sender.

use super::{
    ConnectionInner, ConnectionShared,
    capacity::{NotSent, Queue, no_session},
};
use crate::{SendError, body::Encoding};
use msip_session::{Batch, Blocked, Session, wire::Side};

/// The terms of the session that the messages of a batch are written for.
#[derive(Debug)]
pub(crate) struct BatchTerms {
    pub(crate) side: Side,
    pub(crate) encoding: Encoding,
    /// The largest body that the peer accepts, in bytes.
    pub(crate) max_body: usize,
    /// The number of the login that sends it; 0 for none.
    pub(crate) login: u64,
}

impl ConnectionShared {
    /// The terms for a batch that is begun now.
    pub(crate) fn batch_terms(&self, login: u64) -> Result<BatchTerms, SendError> {
        let mut state = self.lock();
        let encoding = state.encoding.clone();
        let ConnectionInner {
            session, closed, ..
        } = &mut *state;
        let closed = closed.as_deref();
        let session = session.as_mut().ok_or_else(|| no_session(closed))?;
        if let Err(blocked) = session.check_capacity(true)
            && let NotSent::Failed(error) = NotSent::blocked(blocked, closed)
        {
            return Err(error);
        }
        Ok(BatchTerms {
            side: session.side(),
            encoding,
            max_body: session.peer_max_body(),
            login,
        })
    }

    /// Enqueues the whole batch, if there is capacity now and no sender waits for it. Returns whether there was.
    pub(crate) fn try_hand_over(
        &self,
        batch: &mut Batch,
        terms: &BatchTerms,
    ) -> Result<bool, SendError> {
        let attempt = |state: &mut ConnectionInner| {
            let taken = state.take(batch, terms, Session::send_all);
            self.note_write_due(state);
            taken
        };
        match self.try_now(Queue::Messages, true, attempt) {
            None => Ok(false),
            Some(handed_over) => handed_over.map(|()| true),
        }
    }

    /// Hands the batch over, as far as there is capacity, now.
    pub(crate) fn hand_over_some(&self, batch: &mut Batch, terms: &BatchTerms) {
        let attempt = |state: &mut ConnectionInner| state.take(batch, terms, Session::send_some);
        // What is left in the batch shows how much was taken.
        let _ = self.try_now(Queue::Messages, true, attempt);
    }

    /// Hands all of the batch over, waiting for capacity in the queue and for credit.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves in the batch what was not enqueued.
    pub(crate) async fn hand_over(
        &self,
        batch: &mut Batch,
        terms: &BatchTerms,
    ) -> Result<(), SendError> {
        if self.try_hand_over(batch, terms)? {
            return Ok(());
        }
        while !batch.is_empty() {
            let some = self.when_capacity(Queue::Messages, 0, |state| {
                state.take(batch, terms, Session::send_some)
            });
            self.while_progress(terms.login, some).await?;
        }
        Ok(())
    }

    /// Counts what is not sent because its sender was dropped.
    pub(crate) fn drop_batch(&self, batch: &mut Batch) {
        let unflushed = batch.clear() as u64;
        if unflushed > 0 {
            self.lock().dropped.get_or_insert_default().unflushed += unflushed;
        }
    }
}

impl ConnectionInner {
    /// Lets the session take from the batch. What can never be sent is dropped, and counted.
    fn take(
        &mut self,
        batch: &mut Batch,
        terms: &BatchTerms,
        take: impl FnOnce(&mut Session, &mut Batch) -> Result<(), Blocked>,
    ) -> Result<(), NotSent> {
        if batch.is_empty() {
            return Ok(());
        }
        if self.is_held(terms.login) {
            return Err(NotSent::Held);
        }
        let closed = self.closed.as_deref();
        let is_readable = self.encoding.is_same(&terms.encoding);
        let taken = match self.session.as_mut() {
            // Written for a connection that is lost, and the one that followed would not understand it.
            Some(session) if !is_readable || session.peer_max_body() < batch.max_body() => {
                Err(SendError::Disconnected.into())
            }
            Some(session) => {
                take(session, batch).map_err(|blocked| NotSent::blocked(blocked, closed))
            }
            None => Err(no_session(closed).into()),
        };
        if let Err(NotSent::Failed(error)) = &taken
            && error.lacks_session()
        {
            let disconnected = batch.clear() as u64;
            self.dropped.get_or_insert_default().disconnected += disconnected;
        }
        taken
    }
}
