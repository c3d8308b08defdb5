//! Datagrams: what the driver of a connection with a lane sends and receives beside the stream.

use std::task::{Context, Poll};

use bytes::Bytes;

use super::Driver;
use crate::transport::Lane;
use msip_session::Session;

/// How many are sent, and how many received, before others have their turn.
const DATAGRAMS_A_TURN: usize = 64;

impl Driver {
    /// Tells the session whether the connection has datagrams.
    pub(super) fn allow_datagrams(&mut self) {
        if let Some(lane) = self.stream.lane() {
            let max_len = lane.datagrams.max_len();
            if let Some(session) = self.connection.lock().session() {
                session.allow_datagrams(max_len);
                for kind in lane.kinds.excluded() {
                    session.exclude_from_datagrams(kind);
                }
            }
        }
    }

    /// Sends and receives datagrams, where the connection has a lane. Returns whether there were any.
    #[inline]
    pub(super) fn poll_datagrams(&mut self, task: &mut Context<'_>) -> bool {
        self.stream.lane().is_some() && self.poll_lane(task)
    }

    #[cold]
    fn poll_lane(&mut self, task: &mut Context<'_>) -> bool {
        self.allow_datagrams();
        let has_sent = self.send_datagrams(task);
        self.receive_datagrams(task) || has_sent
    }

    fn send_datagrams(&mut self, task: &mut Context<'_>) -> bool {
        let Some(lane) = self.stream.lane() else {
            return false;
        };
        let mut has_sent = false;
        for _ in 0..DATAGRAMS_A_TURN {
            lane.is_full = lane.datagrams.poll_ready(task).is_pending();
            if lane.is_full {
                break;
            }
            let next = self
                .connection
                .lock()
                .session()
                .and_then(|session| session.poll_datagram());
            let Some(datagram) = next.map(Bytes::from) else {
                break;
            };
            has_sent = true;
            if !lane.datagrams.send(datagram.clone())
                && let Some(session) = self.connection.lock().session()
            {
                session.datagram_unsent(&datagram);
            }
        }
        has_sent
    }

    fn receive_datagrams(&mut self, task: &mut Context<'_>) -> bool {
        let Some(lane) = self.stream.lane() else {
            return false;
        };
        let mut has_received = false;
        for _ in 0..DATAGRAMS_A_TURN {
            let may_receive = self
                .connection
                .lock()
                .session()
                .is_some_and(|session| session.may_receive_datagram());
            lane.is_held_back = !may_receive;
            if !may_receive {
                break;
            }
            let polled = lane.datagrams.poll_receive(task);
            let dropped = lane.datagrams.take_dropped();
            let mut state = self.connection.lock();
            let Some(session) = state.session() else {
                break;
            };
            session.count_unreceived(dropped);
            let Poll::Ready(datagram) = polled else {
                break;
            };
            has_received = true;
            self.share.read(datagram.len());
            if let Some(incoming) = session.handle_datagram(datagram) {
                self.received.get_or_insert_default().push(incoming);
            }
        }
        if let Some(received) = &mut self.received {
            received.hand_over(&self.inbox);
        }
        has_received
    }
}

/// What a lane waits for that nothing wakes the driver for.
#[derive(Clone, Copy)]
pub(super) struct LaneWaits {
    /// For a message that is sent.
    to_send: bool,
    /// For the handlers of what it has received.
    to_receive: bool,
}

impl Lane {
    pub(super) fn waits(&self) -> LaneWaits {
        LaneWaits {
            to_send: !self.is_full,
            to_receive: self.is_held_back,
        }
    }
}

impl LaneWaits {
    pub(super) fn is_over(self, session: &Session) -> bool {
        (self.to_send && session.has_datagram())
            || (self.to_receive && session.may_receive_datagram())
    }
}
