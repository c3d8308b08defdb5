//! Batched sending of raw messages, through a buffer of the sender's own.

use std::sync::Arc;

use bytes::Bytes;

use super::{Messages, UntypedMessage, message::MAX_TOPIC};
use crate::{
    SendError, Status, Variant,
    connection::ConnectionShared,
    options::NO_OPTIONS,
    sender::{BatchSender, PushFramesError},
};
use msip_session::{
    NotBare, RequestHead, first_frame,
    wire::{Flags, Frame, HEADER_LEN, Header, Limits, Payload, Topic},
};

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
            if self.batch.is_plain()? && message.topic_bytes().is_empty() {
                let head = RequestHead::new(message.number(), message.kind(), false);
                self.batch.push_body(&head, message.body())?;
            } else {
                self.batch.push(&message.to_message())?;
            }
        }
        Ok(())
    }

    /// Takes one-way messages as whole frames behind one another, which are copied together:
    /// [`MessageRef::frame`](super::MessageRef::frame), of a client or of a server, with a topic or without. Returns how many of
    /// them are larger than the other end accepts, and were left out. Where the connection compresses bodies, each is looked at.
    ///
    /// # Errors
    ///
    /// See [`PushFramesError`]; of frames that are not such messages none is taken.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes none, unless they were taken already; where the connection compresses, it may take some.
    pub async fn push_frames(&mut self, frames: &[u8]) -> Result<usize, PushFramesError> {
        if !self.batch.is_ready() {
            self.batch.ready().await?;
        }
        if self.batch.is_plain()? {
            return self.batch.push_frames(frames);
        }
        let mut too_large = 0;
        for message in whole_messages(frames)? {
            self.batch.ready().await?;
            match self.batch.push(&message) {
                Err(SendError::TooLarge { .. }) => too_large += 1,
                pushed => pushed?,
            }
        }
        Ok(too_large)
    }

    /// The same, each at this topic in place of its own, whose bodies are copied once.
    ///
    /// # Errors
    ///
    /// As [`push_frames`](Self::push_frames), and [`SendError::Refused`] for a topic of more than 255 bytes, or with control
    /// characters.
    ///
    /// # Cancel safety
    ///
    /// As [`push_frames`](Self::push_frames).
    pub async fn push_frames_at(
        &mut self,
        topic: &str,
        frames: &[u8],
    ) -> Result<usize, PushFramesError> {
        if topic.len() > usize::from(MAX_TOPIC) || !Topic::is_valid(topic.as_bytes()) {
            topic_of(topic)?;
        }
        if !self.batch.is_ready() {
            self.batch.ready().await?;
        }
        if self.batch.is_plain()? {
            return self.batch.push_frames_at(topic.as_bytes(), frames);
        }
        let topic = topic_of(topic)?;
        let mut too_large = 0;
        for mut message in whole_messages(frames)? {
            message.set_topic(topic.clone());
            self.batch.ready().await?;
            match self.batch.push(&message) {
                Err(SendError::TooLarge { .. }) => too_large += 1,
                pushed => pushed?,
            }
        }
        Ok(too_large)
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

fn topic_of(topic: &str) -> Result<Topic, SendError> {
    Topic::new(Bytes::copy_from_slice(topic.as_bytes()), MAX_TOPIC)
        .map_err(|error| SendError::Refused(Status::invalid_argument(error.to_string())))
}

/// The messages of whole frames behind one another.
fn whole_messages(mut frames: &[u8]) -> Result<Vec<UntypedMessage>, NotBare> {
    let mut messages = Vec::new();
    while !frames.is_empty() {
        let frame = first_frame(frames).ok_or(NotBare)?;
        frames = frames.get(frame.len()..).unwrap_or_default();
        messages.push(whole_message(frame).ok_or(NotBare)?);
    }
    Ok(messages)
}

fn whole_message(frame: &[u8]) -> Option<UntypedMessage> {
    let (header, payload) = frame.split_first_chunk::<HEADER_LEN>()?;
    let header = Header::parse(header).ok()?;
    let is_bare = header.flags == Flags::NONE;
    let kind = header.kind.known().ok().filter(|_| is_bare)?;
    let variant = Variant::new(header.variant, "", kind);
    let payload = Bytes::copy_from_slice(payload);
    let limits = Limits::with_max_body(u32::MAX);
    let Payload { topic, body, .. } = Payload::parse(Frame { header, payload }, &limits).ok()?;
    let mut message = UntypedMessage::received(variant, body);
    message.set_topic(topic);
    Some(message)
}
