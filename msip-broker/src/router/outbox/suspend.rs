//! The session of an outbox loses its connection, has another one, and ends.

use super::{Outbox, OutboxItem, Status, Writer};
use crate::router::{EndReason, WakeList};

impl Outbox {
    /// The connection is lost: what nobody waits for is dropped, and the rest is kept. Returns what others could have instead.
    pub(in crate::router) fn suspend(&mut self, wakes: &mut WakeList) -> Vec<OutboxItem> {
        if self.status != Status::Connected {
            return Vec::new();
        }
        self.status = Status::Away;
        self.writer = Writer::Woken;
        self.pace.suspend(wakes);
        let mut left = self.queue.take_out(|item| !item.is_for_one());
        self.queue.retain(OutboxItem::is_kept_while_away);
        if let Some(topics) = &mut self.topics {
            left.extend(topics.take_out(|item| !item.is_for_one()));
            for item in topics.take_out(OutboxItem::is_kept_while_away) {
                self.queue.drop_counted(item.size().1);
            }
            topics.suspend(wakes);
        }
        if let Some(peers) = &mut self.peers {
            left.extend(peers.take_out(|item| !item.is_for_one()));
            for item in peers.take_out(OutboxItem::is_kept_while_away) {
                self.queue.drop_counted(item.size().1);
            }
            peers.suspend(wakes);
        }
        left
    }

    /// A connection is there again.
    pub(in crate::router) fn resume(&mut self) {
        if self.status == Status::Away {
            self.status = Status::Connected;
            self.writer = Writer::Woken;
        }
    }

    /// Ends it. Returns what waited, and the writer is told why. The first reason stays.
    ///
    /// Where the writer returns what it took, and cannot write that now, what waited is behind it: it is returned when the writer
    /// ends the session in its turn.
    pub(in crate::router) fn end(
        &mut self,
        reason: EndReason,
        writer_returns: bool,
        wakes: &mut WakeList,
    ) -> Vec<OutboxItem> {
        if matches!(self.status, Status::Ended(_)) {
            return self.ended.take().map_or_else(Vec::new, |it| it.left);
        }
        let mut left = Vec::new();
        while let Some((item, _)) = self.queue.pop() {
            left.push(item);
        }
        if let Some(peers) = &mut self.peers {
            left.extend(peers.leave(|_| true, wakes).0);
        }
        if let Some(topics) = &mut self.topics {
            left.extend(topics.end(wakes));
        }
        self.status = Status::Ended(reason);
        self.queue.shrink();
        self.ended = None;
        self.pace.release(wakes);
        match std::mem::replace(&mut self.writer, Writer::Woken) {
            Writer::Parked(waker, _) => wakes.push(Some(waker)),
            Writer::Busy(Some(waker)) => {
                wakes.push(Some(waker));
                if writer_returns {
                    self.ended.get_or_insert_default().left = left;
                    return Vec::new();
                }
            }
            Writer::Busy(None) | Writer::Woken => {}
        }
        left
    }
}
