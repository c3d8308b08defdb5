//! Batched sending of raw messages, through a buffer of the sender's own.

use std::sync::Arc;

use super::{Messages, UntypedMessage};
use crate::{SendError, connection::ConnectionShared, options::NO_OPTIONS, sender::BatchSender};
use msip_session::RequestHead;

/// An exclusive sender of one-way messages, from [`Handle::sender`](super::Handle::sender).
///
/// What is pushed waits in a buffer of its own, and is flushed when 64 KiB wait, by [`flush`](Self::flush), and when
/// the sender is dropped: **a sender that pauses calls `flush`**. Order and loss are those of the typed
/// [`Sender`](crate::Sender). A message that is urgent is sent at once.
#[derive(Debug)]
#[must_use = "it sends nothing by itself"]
pub struct UntypedSender {
    batch: BatchSender,
}

impl UntypedSender {
    pub(super) fn new(connection: &Arc<ConnectionShared>, login: u64) -> Self {
        Self {
            batch: BatchSender::new(connection, login),
        }
    }

    /// Takes a message; waits for capacity only where as much waits as may.
    ///
    /// # Errors
    ///
    /// See [`SendError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing, unless the message was taken already.
    pub async fn push(&mut self, message: &UntypedMessage) -> Result<(), SendError> {
        if message.variant().is_urgent() {
            return self.batch.connection().send(message, &NO_OPTIONS).await;
        }
        self.batch.ready().await?;
        self.batch.push(message)
    }

    /// Takes all of these messages: each frame is copied behind the other, and no lock is taken but to hand them over.
    ///
    /// # Errors
    ///
    /// See [`SendError`]. What comes before a message that cannot be sent has been taken.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves some of them untaken.
    pub async fn push_all(&mut self, messages: Messages<'_>) -> Result<(), SendError> {
        for message in messages.iter() {
            if !self.batch.is_ready() {
                self.batch.ready().await?;
            }
            if self.batch.is_plain()? {
                let head = RequestHead::new(message.number(), message.kind(), false);
                self.batch.push_body(&head, message.body())?;
            } else {
                self.batch.push(&message.to_message())?;
            }
        }
        Ok(())
    }

    /// Hands over what waits. Returns once the connection has taken it.
    ///
    /// # Errors
    ///
    /// See [`SendError`]; [`SendError::Full`] leaves what waits.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn flush(&mut self) -> Result<(), SendError> {
        self.batch.flush().await
    }

    /// How many messages wait to be flushed.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.batch.buffered()
    }
}
