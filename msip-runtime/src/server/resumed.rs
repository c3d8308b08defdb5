//! Where the further connections of a session wait until it takes them.
//!
//! Each session has this, and next to none ever needs it: a channel would cost more than all else that is kept for it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::sync::OwnedSemaphorePermit;

use super::connection::Greeting;
use crate::transport::{PeerAddress, Stream};
use msip_session::{
    Session,
    wire::{Decoder, MsgId},
};

/// How many connections of one session wait until it takes them, at most. The newest wins, so that of more the oldest
/// is closed.
const MAX_WAITING: usize = 4;

/// A further connection of a session that is known.
#[derive(Debug)]
pub(super) struct Resumed {
    pub(super) stream: Stream,
    pub(super) decoder: Decoder,
    /// What has shaken hands so far, to refuse with.
    pub(super) session: Session,
    /// The HELLO to be answered.
    pub(super) hello_id: MsgId,
    pub(super) hello: Greeting,
    pub(super) address: PeerAddress,
    /// Its place among `max_connections`.
    pub(super) permit: OwnedSemaphorePermit,
}

/// The way to a session, as the table of sessions has it; without it no connection can come any more.
#[derive(Debug)]
pub(super) struct ResumedSender(Arc<Waiting>);

/// The way of one connection to its session.
#[derive(Debug)]
pub(super) struct ResumeRoute(Arc<Waiting>);

/// The session's end, where it takes connections in.
#[derive(Debug)]
pub(super) struct ResumedReceiver(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    resumed: VecDeque<Box<Resumed>>,
    reader: Option<Waker>,
    /// One of the ends is gone.
    is_over: bool,
}

impl ResumedSender {
    /// Both ends of a new session's.
    pub(super) fn open() -> (Self, ResumedReceiver) {
        let waiting = Arc::<Waiting>::default();
        (Self(Arc::clone(&waiting)), ResumedReceiver(waiting))
    }

    /// A way in, unless the session has ended.
    pub(super) fn route(&self) -> Option<ResumeRoute> {
        (!self.0.lock().is_over).then(|| ResumeRoute(Arc::clone(&self.0)))
    }
}

impl Drop for ResumedSender {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl ResumeRoute {
    /// Brings a connection to its session; where that has ended it is closed.
    pub(super) fn send(self, arrival: Box<Resumed>) {
        let (oldest, reader) = {
            let mut state = self.0.lock();
            if state.is_over {
                return;
            }
            let is_full = state.resumed.len() >= MAX_WAITING;
            let oldest = is_full.then(|| state.resumed.pop_front());
            state.resumed.push_back(arrival);
            (oldest, state.reader.take())
        };
        drop(oldest);
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl ResumedReceiver {
    /// The next connection. `None` when none waits, and none can come any more.
    pub(super) fn poll_next(&mut self, task: &mut Context<'_>) -> Poll<Option<Box<Resumed>>> {
        let mut state = self.0.lock();
        if let Some(arrival) = state.resumed.pop_front() {
            return Poll::Ready(Some(arrival));
        }
        if state.is_over {
            return Poll::Ready(None);
        }
        match &mut state.reader {
            Some(known) => known.clone_from(task.waker()),
            unknown => *unknown = Some(task.waker().clone()),
        }
        Poll::Pending
    }

    /// Whether no connection can come any more.
    #[cfg(test)]
    pub(super) fn is_over(&self) -> bool {
        self.0.lock().is_over
    }
}

impl Drop for ResumedReceiver {
    fn drop(&mut self) {
        self.0.end();
        // Whoever waits is closed, and comes again.
        let waiting = std::mem::take(&mut self.0.lock().resumed);
        drop(waiting);
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        let reader = {
            let mut state = self.lock();
            state.is_over = true;
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;
    use crate::settings::Settings;
    use msip_session::wire::{Hello, HelloFrame, SessionId, Side};

    fn arrival(number: u64, permits: &Arc<Semaphore>) -> Box<Resumed> {
        let config = Settings::default().session(Side::Accepting);
        let session_id = SessionId::new(number).unwrap();
        let hello = Hello::default();
        Box::new(Resumed {
            stream: tokio::io::duplex(1).0.into(),
            decoder: Decoder::new(1),
            session: Session::accepting(config, std::time::Duration::ZERO),
            hello_id: MsgId::new(number),
            hello: HelloFrame { session_id, hello }.into(),
            address: PeerAddress::Memory("".into()),
            permit: Arc::clone(permits).try_acquire_owned().unwrap(),
        })
    }

    fn next(resumed: &mut ResumedReceiver) -> Poll<Option<u64>> {
        let polled = resumed.poll_next(&mut Context::from_waker(Waker::noop()));
        polled.map(|arrival| Some(arrival?.hello_id.number()))
    }

    #[test]
    fn connections_are_taken_in_order_and_of_too_many_the_oldest_is_closed() {
        let permits = Arc::new(Semaphore::new(10));
        let (sender, mut resumed) = ResumedSender::open();
        assert_eq!(next(&mut resumed), Poll::Pending);
        for number in 1..=6 {
            sender.route().unwrap().send(arrival(number, &permits));
        }
        assert_eq!(permits.available_permits(), 6, "two are closed");
        for number in 3..=6 {
            assert_eq!(next(&mut resumed), Poll::Ready(Some(number)));
        }
        assert_eq!(next(&mut resumed), Poll::Pending);
    }

    #[test]
    fn who_waits_hears_that_no_connection_can_come() {
        let permits = Arc::new(Semaphore::new(10));
        let (sender, mut resumed) = ResumedSender::open();
        let (way, late) = (sender.route().unwrap(), sender.route().unwrap());
        way.send(arrival(1, &permits));
        drop(sender);
        late.send(arrival(2, &permits));
        assert_eq!(
            permits.available_permits(),
            9,
            "who came too late is closed"
        );
        assert_eq!(next(&mut resumed), Poll::Ready(Some(1)));
        assert_eq!(next(&mut resumed), Poll::Ready(None));
    }

    #[test]
    fn a_session_that_ends_closes_who_waits_and_lets_none_in() {
        let permits = Arc::new(Semaphore::new(10));
        let (sender, resumed) = ResumedSender::open();
        sender.route().unwrap().send(arrival(1, &permits));
        drop(resumed);
        assert_eq!(permits.available_permits(), 10);
        assert!(sender.route().is_none());
    }
}
