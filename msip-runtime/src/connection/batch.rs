//! Handing over what an exclusive sender has gathered.

use tokio::time::timeout;

use super::{
    ConnectionInner, ConnectionShared,
    capacity::{Attempt, Queue},
};
use crate::{SendError, body::Encoding};
use msip_session::{Batch, Blocked, Session, wire::Side};

/// What the messages of a batch are written for.
#[derive(Debug)]
pub(crate) struct BatchTerms {
    pub(crate) side: Side,
    pub(crate) encoding: Encoding,
    /// The largest body that the other side accepts, in bytes.
    pub(crate) max_body: usize,
}

impl ConnectionShared {
    /// What a batch is to be written for that is begun now.
    pub(crate) fn batch_terms(&self) -> Result<BatchTerms, SendError> {
        let mut state = self.lock();
        let encoding = state.encoding.clone();
        let no_session = state.no_session();
        let Some(session) = state.session() else {
            return Err(no_session);
        };
        if let Err(blocked) = session.check_capacity(true)
            && let Attempt::Failed(error) = Attempt::<()>::blocked(blocked, no_session)
        {
            return Err(error);
        }
        Ok(BatchTerms {
            side: session.side(),
            encoding,
            max_body: session.peer_max_body(),
        })
    }

    /// Hands all of the batch over, if there is capacity now and nobody waits for it. Whether there was.
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
        match self.now_if_room(Queue::Messages, true, attempt) {
            None => Ok(false),
            Some(handed_over) => handed_over.map(|()| true),
        }
    }

    /// Hands the batch over, as far as there is capacity, now.
    pub(crate) fn hand_over_some(&self, batch: &mut Batch, terms: &BatchTerms) {
        let attempt = |state: &mut ConnectionInner| state.take(batch, terms, Session::send_some);
        // What is left tells how far it went.
        let _ = self.now_if_room(Queue::Messages, true, attempt);
    }

    /// Hands all of the batch over, waiting for capacity in the queue and for credit.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves in the batch what was not handed over.
    pub(crate) async fn hand_over(
        &self,
        batch: &mut Batch,
        terms: &BatchTerms,
    ) -> Result<(), SendError> {
        if self.try_hand_over(batch, terms)? {
            return Ok(());
        }
        while !batch.is_empty() {
            let some = self.when_room(Queue::Messages, 0, |state| {
                state.take(batch, terms, Session::send_some)
            });
            timeout(self.write_timeout, some)
                .await
                .unwrap_or(Err(SendError::Full))?;
        }
        Ok(())
    }

    /// Counts what is not sent because its sender is gone.
    pub(crate) fn drop_batch(&self, batch: &mut Batch) {
        self.lock().dropped.unflushed += batch.clear() as u64;
    }
}

impl ConnectionInner {
    /// Lets the session take from the batch. What can never be sent is dropped, and counted.
    fn take(
        &mut self,
        batch: &mut Batch,
        terms: &BatchTerms,
        take: impl FnOnce(&mut Session, &mut Batch) -> Result<(), Blocked>,
    ) -> Attempt<()> {
        if batch.is_empty() {
            return Attempt::Done(());
        }
        let no_session = self.no_session();
        let is_readable = self.encoding.is_same(&terms.encoding);
        let attempt = match &mut self.session {
            // Written for a connection that is lost, and the one that followed would not understand it.
            Some(session) if !is_readable || session.peer_max_body() < batch.max_body() => {
                Attempt::Failed(SendError::Disconnected)
            }
            Some(session) => match take(session, batch) {
                Ok(()) => Attempt::Done(()),
                Err(blocked) => Attempt::blocked(blocked, no_session),
            },
            None => Attempt::Failed(no_session),
        };
        if let Attempt::Failed(SendError::Disconnected | SendError::Closed) = attempt {
            self.dropped.disconnected += batch.clear() as u64;
        }
        attempt
    }
}
