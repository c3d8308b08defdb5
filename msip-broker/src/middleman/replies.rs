//! What a client is answered: the answers of services to its requests, until its connection writes them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::message::error;

/// How many requests of one client may be open.
const MAX_OPEN: usize = 1024;

/// The answers for one client. Clones are one.
#[derive(Debug, Clone)]
pub(super) struct Replies {
    queue: Arc<Mutex<Queue>>,
    /// Ends with the connection.
    there: watch::Receiver<()>,
}

/// Where a connection holds its end of [`Replies`].
#[derive(Debug)]
pub(super) struct RepliesOwner {
    replies: Replies,
    there: watch::Sender<()>,
}

#[derive(Debug)]
struct Queue {
    texts: VecDeque<Utf8Bytes>,
    len: usize,
    /// How many bytes may wait. Beyond that the client is too slow.
    max_len: usize,
    is_over: bool,
    has_gone: bool,
    open: usize,
    waker: Option<Waker>,
}

impl Replies {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Every change is made in one step.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a text. `false` where the client has gone.
    fn push(&self, text: String) -> bool {
        let waker = {
            let mut queue = self.lock();
            if queue.has_gone {
                return false;
            }
            if queue.len.saturating_add(text.len()) > queue.max_len && !queue.texts.is_empty() {
                queue.is_over = true;
            } else {
                queue.len += text.len();
                queue.texts.push_back(text.into());
            }
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Waits until the client has gone.
    pub(super) fn gone(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut there = self.there.clone();
        async move { while there.changed().await.is_ok() {} }
    }
}

/// There is too much that the client has not read.
#[derive(Debug)]
pub(super) struct Overflow;

impl RepliesOwner {
    /// For a client of whose answers so many bytes may wait.
    pub(super) fn new(max_len: usize) -> Self {
        let (sender, receiver) = watch::channel(());
        let queue = Queue {
            texts: VecDeque::new(),
            len: 0,
            max_len,
            is_over: false,
            has_gone: false,
            open: 0,
            waker: None,
        };
        Self {
            replies: Replies {
                queue: Arc::new(Mutex::new(queue)),
                there: receiver,
            },
            there: sender,
        }
    }

    /// Opens a request for this key. `None` where too many are open.
    pub(super) fn open(&self, key: &str) -> Option<ReplyTo> {
        let mut queue = self.replies.lock();
        if queue.open >= MAX_OPEN {
            return None;
        }
        queue.open += 1;
        drop(queue);
        Some(ReplyTo {
            replies: self.replies.clone(),
            key: key.to_owned(),
            is_answered: false,
        })
    }

    /// Takes what waits; pending where there is nothing, and `task` is woken when there is.
    pub(super) fn poll_take(
        &self,
        taken: &mut Vec<Utf8Bytes>,
        task: &Context<'_>,
    ) -> Poll<Result<(), Overflow>> {
        let mut queue = self.replies.lock();
        if queue.is_over {
            return Poll::Ready(Err(Overflow));
        }
        if queue.texts.is_empty() {
            queue.waker = Some(task.waker().clone());
            return Poll::Pending;
        }
        queue.len = 0;
        taken.extend(queue.texts.drain(..));
        Poll::Ready(Ok(()))
    }
}

impl Drop for RepliesOwner {
    fn drop(&mut self) {
        let mut queue = self.replies.lock();
        queue.has_gone = true;
        queue.texts = VecDeque::new();
        drop(queue);
        self.there.send_replace(());
    }
}

/// Who waits for the answer to a request. Dropped before, it says that nobody answers.
#[derive(Debug)]
pub(super) struct ReplyTo {
    replies: Replies,
    pub(super) key: String,
    is_answered: bool,
}

impl ReplyTo {
    /// Gives the answer, a whole message. `false` where the client has gone.
    pub(super) fn answer(mut self, text: String) -> bool {
        self.is_answered = true;
        self.replies.push(text)
    }

    /// Says that there is none.
    pub(super) fn fail(self, what: &str) {
        self.answer(error(what));
    }

    /// Whether nobody waits any longer.
    pub(super) fn has_gone(&self) -> bool {
        self.replies.lock().has_gone
    }

    /// Waits until nobody waits any longer.
    pub(super) fn gone(&self) -> impl Future<Output = ()> + Send + use<> {
        self.replies.gone()
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        self.replies.lock().open -= 1;
        if !self.is_answered {
            let what = format!("No responder for REQ {}", super::session::shown(&self.key));
            self.replies.push(error(&what));
        }
    }
}
