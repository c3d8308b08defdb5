//! Resumed connections: a queue in which further connections of a session wait until it takes them.
//!
//! Every session has one and almost none needs it; a channel would cost more than everything else that is kept for a session.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::{lanes::asked_kinds, peer_connection::Remote, permits::ConnectionPermit};
use crate::{
    Identity,
    compatibility::describes,
    negotiation::reads_error_metadata,
    transport::{LaneKinds, Stream},
};
use msip_session::{
    Session,
    wire::{CHANNEL, CHANNELS, Decoder, HelloFrame, MsgId, SessionId},
};

/// How many connections may wait for one session. When one more comes, the oldest is closed: the newest wins.
const MAX_WAITING: usize = 4;

/// More than the extensions of channels can have.
const MAX_EXTENSION_LEN: usize = 64;

/// What is kept of a HELLO after it was read: all of it could be twenty times as large as it was on the wire, and no
/// connection may hold that.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) session_id: SessionId,
    pub(super) max_body: u32,
    pub(super) awaited: Vec<u64>,
    pub(super) client_name: String,
    pub(super) fingerprint: u64,
    /// Whether the client can describe its schema.
    pub(super) describes: bool,
    /// Whether the client reads metadata on an ERROR.
    pub(super) reads_error_metadata: bool,
    /// The messages for which it asks for datagrams over UDP.
    pub(super) lane_kinds: Option<LaneKinds>,
    /// The channels that it asks for, as it has written them.
    pub(super) channels: Option<Vec<u8>>,
    /// Which channel it is, where it is one, as it has written that.
    pub(super) channel: Option<Vec<u8>>,
}

impl From<HelloFrame> for Greeting {
    fn from(frame: HelloFrame) -> Self {
        let HelloFrame {
            session_id,
            mut hello,
        } = frame;
        // Most have neither; what is longer than it can be is cut to what is wrong all the same.
        let mut take = |name| {
            let mut value: Vec<u8> = hello.extensions.remove(name)?;
            value.truncate(MAX_EXTENSION_LEN);
            value.shrink_to_fit();
            Some(value)
        };
        let (channels, channel) = (take(CHANNELS), take(CHANNEL));
        Self {
            session_id,
            channels,
            channel,
            max_body: hello.max_body,
            lane_kinds: asked_kinds(&hello),
            awaited: hello.awaited,
            describes: describes(&hello.extensions),
            client_name: hello.client_name,
            fingerprint: hello.fingerprint,
            reads_error_metadata: reads_error_metadata(&hello.extensions),
        }
    }
}

/// A further connection of a session that exists.
#[derive(Debug)]
pub(super) struct Resumed {
    pub(super) stream: Stream,
    pub(super) decoder: Decoder,
    /// The session of this connection's handshake, to refuse it with.
    pub(super) session: Session,
    /// The HELLO to be answered.
    pub(super) hello_id: MsgId,
    pub(super) hello: Greeting,
    pub(super) remote: Remote,
    /// Who the client is by this connection.
    pub(super) identity: Option<Identity>,
    /// Its place among `max_connections`, or a spare one.
    pub(super) permit: ConnectionPermit,
}

/// The sending side, as the table of sessions has it; without it no connection can come any more.
#[derive(Debug)]
pub(super) struct ResumedSender(Arc<Waiting>);

/// A sender for one connection.
#[derive(Debug)]
pub(super) struct ResumeRoute(Arc<Waiting>);

/// The receiving side, which belongs to the session.
#[derive(Debug)]
pub(super) struct ResumedReceiver(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The oldest first. A queue would take more while it is empty.
    #[expect(clippy::vec_box, reason = "they are large, and go on as they are")]
    resumed: Vec<Box<Resumed>>,
    reader: Option<Waker>,
    /// One of the two sides was dropped.
    is_over: bool,
}

impl ResumedSender {
    /// Both sides, for a new session.
    pub(super) fn open() -> (Self, ResumedReceiver) {
        let waiting = Arc::<Waiting>::default();
        (Self(Arc::clone(&waiting)), ResumedReceiver(waiting))
    }

    /// A sender for one connection, unless the session has ended.
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
    /// Sends a connection to its session; where that has ended it is closed.
    pub(super) fn send(self, arrival: Box<Resumed>) {
        let (oldest, reader) = {
            let mut state = self.0.lock();
            if state.is_over {
                return;
            }
            let is_full = state.resumed.len() >= MAX_WAITING;
            let oldest = is_full.then(|| state.resumed.remove(0));
            state.resumed.push(arrival);
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
        if !state.resumed.is_empty() {
            return Poll::Ready(Some(state.resumed.remove(0)));
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

    /// Whether no connection waits, and none was promised to come. It stays so while the table of sessions is locked.
    pub(super) fn is_unclaimed(&self) -> bool {
        // The table's sender, and this.
        Arc::strong_count(&self.0) == 2 && self.0.lock().resumed.is_empty()
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
        // The connections that wait are closed, and their clients connect again.
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
    use super::*;
    use crate::{server::permits::ConnectionPermits, settings::Settings, transport::memory_pair};
    use msip_session::wire::{Hello, Side};

    fn arrival(number: u64, permits: &ConnectionPermits) -> Box<Resumed> {
        let config = Settings::default().session(Side::Accepting);
        let session_id = SessionId::new(number).unwrap();
        let hello = Hello::default();
        Box::new(Resumed {
            stream: tokio::io::duplex(1).0.into(),
            decoder: Decoder::new(1),
            session: Session::accepting(config, std::time::Duration::ZERO),
            hello_id: MsgId::new(number),
            hello: HelloFrame { session_id, hello }.into(),
            remote: Remote::from(&memory_pair().0),
            identity: None,
            permit: permits.acquire().unwrap(),
        })
    }

    fn next(resumed: &mut ResumedReceiver) -> Poll<Option<u64>> {
        let polled = resumed.poll_next(&mut Context::from_waker(Waker::noop()));
        polled.map(|arrival| Some(arrival?.hello_id.number()))
    }

    #[test]
    fn connections_are_taken_in_order_and_of_too_many_the_oldest_is_closed() {
        let permits = ConnectionPermits::new(10);
        let (sender, mut resumed) = ResumedSender::open();
        assert_eq!(next(&mut resumed), Poll::Pending);
        for number in 1..=6 {
            sender.route().unwrap().send(arrival(number, &permits));
        }
        assert_eq!(permits.free(), 6, "two are closed");
        for number in 3..=6 {
            assert_eq!(next(&mut resumed), Poll::Ready(Some(number)));
        }
        assert_eq!(next(&mut resumed), Poll::Pending);
    }

    #[test]
    fn the_receiver_learns_that_no_connection_can_come() {
        let permits = ConnectionPermits::new(10);
        let (sender, mut resumed) = ResumedSender::open();
        let (route, late) = (sender.route().unwrap(), sender.route().unwrap());
        route.send(arrival(1, &permits));
        drop(sender);
        late.send(arrival(2, &permits));
        assert_eq!(permits.free(), 9, "one that comes too late is closed");
        assert_eq!(next(&mut resumed), Poll::Ready(Some(1)));
        assert_eq!(next(&mut resumed), Poll::Ready(None));
    }

    #[test]
    fn a_session_that_ends_closes_waiting_connections_and_takes_no_more() {
        let permits = ConnectionPermits::new(10);
        let (sender, resumed) = ResumedSender::open();
        sender.route().unwrap().send(arrival(1, &permits));
        drop(resumed);
        assert_eq!(permits.free(), 10);
        assert!(sender.route().is_none());
    }
}
