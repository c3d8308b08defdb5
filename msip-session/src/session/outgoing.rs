//! The outgoing queue: frames as bytes, in two lanes, ready to be written.
//!
//! A sender encodes its frame straight into the last chunk of a lane, and the driver takes whole chunks: what is
//! ready together leaves together, nothing is copied in between, and an urgent frame waits for one chunk at most.

use std::collections::VecDeque;

use crate::wire::{HEADER_LEN, Header, MsgId};

/// A chunk that has reached this many bytes takes no further frame.
const CHUNK_LEN: usize = 64 * 1024;

/// So many chunks a sender fills before it lets the driver write: each change from one to the other costs as much as
/// writing a chunk, where another thread has to be woken, and more of them would not stay in the processor's caches.
const CHUNKS_A_TURN: usize = 4;

/// What a frame costs beside its bytes, so that empty frames cannot fill the memory.
const FRAME_COST: usize = 64;

/// The largest buffer that is kept for a next chunk.
const MAX_SPARE: usize = 3 * CHUNK_LEN;

/// How many of them are kept at most: as many chunks as a window of large messages makes. Memory that is given back
/// between two chunks comes back page by page.
const MAX_SPARES: usize = 16;

/// A queue that may hold so many bytes keeps one of them; a larger one keeps more.
const QUEUE_PER_SPARE: usize = 8 * CHUNK_LEN;

/// How many of them are lent from connection to connection.
const MAX_LENT: usize = 4;

/// Which frames go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Overtakes the other lane, but for half of the bytes.
    Urgent,
    /// In order.
    Normal,
}

/// Where a frame stands in its lane, to tell later whether any of it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    priority: Priority,
    start: u64,
}

impl Position {
    /// The place of a frame that stands in no lane, so that nothing of it was written.
    pub const NOWHERE: Self = Self {
        priority: Priority::Normal,
        start: u64::MAX,
    };
}

/// A frame of which not all bytes were handed to the transport before its connection was lost.
#[derive(Debug)]
pub struct Unwritten {
    pub priority: Priority,
    pub frame: Vec<u8>,
    /// Some of its bytes were.
    pub is_begun: bool,
}

/// A chunk on its way to the transport.
#[derive(Debug)]
pub struct Transmit {
    pub bytes: Vec<u8>,
    frames: usize,
    /// What of it is owed to the other side.
    owed: usize,
    priority: Priority,
    /// Nothing was taken out of it, so that a place in it is a place in its lane.
    is_whole: bool,
}

#[derive(Debug, Default)]
struct Lane {
    chunks: VecDeque<(Vec<u8>, usize)>,
    /// How many bytes were ever appended.
    appended: u64,
    /// How many of them were handed to the transport.
    taken: u64,
    /// Where frames begin that are not to be sent after all, in order.
    withdrawn: VecDeque<u64>,
    /// What is owed to the other side, where it begins and what it costs, in bunches of about a chunk.
    owed: VecDeque<(u64, usize)>,
}

impl Lane {
    /// Takes the frames out of the front chunk, which begins at `start`, that were withdrawn. Returns how many.
    fn withdraw(&mut self, start: u64, bytes: &mut Vec<u8>) -> usize {
        let end = start + bytes.len() as u64;
        let mut removed = 0;
        let mut count = 0;
        while let Some(at) = self.withdrawn.front().copied().filter(|at| *at < end) {
            self.withdrawn.pop_front();
            let Ok(at) = usize::try_from(at - start) else {
                continue;
            };
            let at = at - removed;
            let len = bytes.get(at..).and_then(frame_len);
            if let Some(len) = len {
                bytes.drain(at..at + len);
                removed += len;
                count += 1;
            }
        }
        count
    }
}

/// The length of the frame at the front of these bytes, which this side wrote.
fn frame_len(bytes: &[u8]) -> Option<usize> {
    let header = Header::parse(bytes.first_chunk::<HEADER_LEN>()?).ok()?;
    let len = HEADER_LEN + usize::try_from(header.payload_len).ok()?;
    (len <= bytes.len()).then_some(len)
}

/// Both lanes.
#[derive(Debug, Default)]
pub struct OutgoingQueue {
    urgent: Lane,
    normal: Lane,
    cost: usize,
    /// How much of that is owed to the other side.
    owed: usize,
    /// By how many bytes the urgent lane is ahead while the other waits.
    urgent_ahead: usize,
    /// Buffers of chunks that were written, for those to come.
    spares: Vec<Vec<u8>>,
    max_spares: usize,
}

impl OutgoingQueue {
    /// Both lanes, for a queue of so many bytes at most.
    pub fn new(max_len: usize) -> Self {
        Self {
            max_spares: (max_len / QUEUE_PER_SPARE).clamp(1, MAX_SPARES),
            ..Self::default()
        }
    }

    /// Appends one frame, written by `write`.
    #[inline]
    pub fn push(&mut self, priority: Priority, write: impl FnOnce(&mut Vec<u8>)) -> Position {
        self.append(priority, 1, write)
    }

    /// Appends frames that stand in a buffer of their own, and takes that: in return it gets one to write on in.
    /// If they are fewer than `small` bytes they are copied where others wait, to leave with them.
    pub fn push_frames(
        &mut self,
        priority: Priority,
        frames: &mut Vec<u8>,
        frame_count: usize,
        small: usize,
    ) {
        if frames.is_empty() {
            return;
        }
        let has_room = |(bytes, _): &(Vec<u8>, usize)| bytes.len() < CHUNK_LEN;
        if frames.len() < small && self.lane(priority).chunks.back().is_some_and(has_room) {
            self.append(priority, frame_count, |buffer| buffer.append(frames));
            return;
        }
        self.cost += frames.len() + FRAME_COST * frame_count;
        let chunk = std::mem::replace(frames, self.spares.pop().unwrap_or_default());
        let lane = self.lane(priority);
        lane.appended += chunk.len() as u64;
        lane.chunks.push_back((chunk, frame_count));
    }

    /// Appends so many frames, written by `write`.
    #[inline]
    pub fn append(
        &mut self,
        priority: Priority,
        frame_count: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Position {
        let lane = match priority {
            Priority::Urgent => &mut self.urgent,
            Priority::Normal => &mut self.normal,
        };
        if lane
            .chunks
            .back()
            .is_none_or(|(bytes, _)| bytes.len() >= CHUNK_LEN)
        {
            lane.chunks
                .push_back((self.spares.pop().unwrap_or_default(), 0));
        }
        let start = lane.appended;
        // The line above has just pushed one where there was none, so there always is a last chunk.
        if let Some((bytes, frames)) = lane.chunks.back_mut() {
            let before = bytes.len();
            write(bytes);
            let len = bytes.len().saturating_sub(before);
            *frames += frame_count;
            lane.appended += len as u64;
            self.cost += len + FRAME_COST * frame_count;
        }
        Position { priority, start }
    }

    /// Appends one frame that the other side is owed: an answer, or what it asked for otherwise.
    #[inline]
    pub fn push_response(&mut self, priority: Priority, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.cost;
        let Position { start, .. } = self.push(priority, write);
        let cost = self.cost - before;
        self.owed += cost;
        let owed = &mut self.lane(priority).owed;
        match owed.back_mut() {
            Some((first, sum)) if start < *first + CHUNK_LEN as u64 => *sum += cost,
            _ => owed.push_back((start, cost)),
        }
    }

    /// Whether so many chunks are complete that they should be written before there are more.
    #[inline]
    pub fn is_write_due(&self) -> bool {
        let chunk = self.normal.chunks.get(CHUNKS_A_TURN - 1);
        chunk.is_some_and(|(bytes, _)| bytes.len() >= CHUNK_LEN)
    }

    /// What of the queue the other side is owed, in bytes, each frame counted as its length + 64.
    pub fn owed(&self) -> usize {
        self.owed
    }

    /// What is queued, in bytes, each frame counted as its length + 64. A chunk counts until all of it is written.
    pub fn cost(&self) -> usize {
        self.cost
    }

    /// Whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        self.urgent.chunks.is_empty() && self.normal.chunks.is_empty()
    }

    /// Whether there is nothing to take in the urgent lane.
    pub fn is_urgent_empty(&self) -> bool {
        self.urgent.chunks.is_empty()
    }

    /// The next chunk to write. It counts as queued until [`complete`](Self::complete).
    pub fn take(&mut self) -> Option<Transmit> {
        loop {
            let transmit = self.take_chunk()?;
            if !transmit.bytes.is_empty() {
                return Some(transmit);
            }
            // All of it was withdrawn.
            self.complete(transmit);
        }
    }

    fn take_chunk(&mut self) -> Option<Transmit> {
        let normal_waits = !self.normal.chunks.is_empty();
        let priority = match (self.urgent.chunks.is_empty(), normal_waits) {
            (true, false) => return None,
            (true, true) => Priority::Normal,
            (false, false) => Priority::Urgent,
            (false, true) if self.urgent_ahead > 0 => Priority::Normal,
            (false, true) => Priority::Urgent,
        };
        let lane = self.lane(priority);
        let (mut bytes, mut frames) = lane.chunks.pop_front()?;
        let (start, queued) = (lane.taken, bytes.len());
        lane.taken += queued as u64;
        let mut owed = 0;
        while let Some((_, cost)) = lane.owed.front().filter(|(first, _)| *first < lane.taken) {
            owed += cost;
            lane.owed.pop_front();
        }
        let withdrawn = if lane.withdrawn.is_empty() {
            0
        } else {
            lane.withdraw(start, &mut bytes)
        };
        frames -= withdrawn;
        self.cost = self
            .cost
            .saturating_sub(queued - bytes.len() + FRAME_COST * withdrawn);
        self.urgent_ahead = match priority {
            Priority::Urgent if normal_waits => self.urgent_ahead.saturating_add(bytes.len()),
            Priority::Urgent => 0,
            Priority::Normal => self.urgent_ahead.saturating_sub(bytes.len()),
        };
        Some(Transmit {
            bytes,
            frames,
            owed,
            priority,
            is_whole: withdrawn == 0,
        })
    }

    fn lane(&mut self, priority: Priority) -> &mut Lane {
        match priority {
            Priority::Urgent => &mut self.urgent,
            Priority::Normal => &mut self.normal,
        }
    }

    /// All of a chunk has been written.
    pub fn complete(&mut self, transmit: Transmit) {
        self.cost = self
            .cost
            .saturating_sub(transmit.bytes.len() + FRAME_COST * transmit.frames);
        self.owed = self.owed.saturating_sub(transmit.owed);
        let mut bytes = transmit.bytes;
        if bytes.capacity() <= MAX_SPARE && self.spares.len() < self.max_spares {
            bytes.clear();
            self.spares.push(bytes);
        }
    }

    /// Whether a buffer stands ready for the next chunk.
    pub fn has_spares(&self) -> bool {
        !self.spares.is_empty()
    }

    /// Takes buffers for the next chunks, where it has none.
    pub fn lend(&mut self, spares: Vec<Vec<u8>>) {
        self.spares = spares;
    }

    /// The buffers that stand ready. Whoever fills many of them keeps them: it needs them again.
    pub fn give_back(&mut self) -> Option<Vec<Vec<u8>>> {
        let are_few = self.has_spares() && self.spares.len() <= MAX_LENT;
        are_few.then(|| std::mem::take(&mut self.spares))
    }

    /// The connection was lost when only the first `written` bytes of a chunk had been handed to the transport.
    pub fn abandon(&mut self, transmit: &Transmit, written: usize) {
        if !transmit.is_whole {
            // Which frames went is not known: all of them count as sent.
            return;
        }
        let lane = self.lane(transmit.priority);
        lane.taken = lane
            .taken
            .saturating_sub(transmit.bytes.len().saturating_sub(written) as u64);
    }

    /// Takes a frame back that has not been handed to the transport. `false` where it is too late.
    pub fn withdraw(&mut self, position: Position) -> bool {
        if self.is_sent(position) {
            return false;
        }
        if position == Position::NOWHERE {
            return true;
        }
        let lane = self.lane(position.priority);
        let place = lane.withdrawn.partition_point(|at| *at < position.start);
        lane.withdrawn.insert(place, position.start);
        true
    }

    /// Takes an exchange back of whose first frame nothing has been handed to the transport, and all frames of it behind
    /// that. `false` where it is too late.
    pub fn withdraw_all(&mut self, position: Position, id: MsgId) -> bool {
        if !self.withdraw(position) {
            return false;
        }
        let lane = self.lane(position.priority);
        let mut at = lane.taken;
        for (bytes, _) in &lane.chunks {
            let end = at + bytes.len() as u64;
            if end <= position.start {
                at = end;
                continue;
            }
            let mut rest = bytes.as_slice();
            while let Some(frame) = first_frame(rest) {
                if at > position.start && id_of(frame) == Some(id) {
                    let place = lane.withdrawn.partition_point(|other| *other < at);
                    lane.withdrawn.insert(place, at);
                }
                at += frame.len() as u64;
                rest = rest.get(frame.len()..).unwrap_or_default();
            }
        }
        true
    }

    /// Whether any byte of the frame at `position` has been handed to the transport.
    pub fn is_sent(&self, position: Position) -> bool {
        let lane = match position.priority {
            Priority::Urgent => &self.urgent,
            Priority::Normal => &self.normal,
        };
        lane.taken > position.start
    }

    /// Takes out every frame of which not all bytes were handed to the transport, each lane in its order, and starts
    /// over. `in_flight` is the chunk that was being written, and how much of it was.
    ///
    /// No earlier position means anything after this.
    pub fn take_unwritten(&mut self, in_flight: Option<(&Transmit, usize)>) -> Vec<Unwritten> {
        let mut unwritten = Vec::new();
        if let Some((transmit, written)) = in_flight {
            split(&transmit.bytes, written, transmit.priority, &mut unwritten);
        }
        for (priority, lane) in [
            (Priority::Urgent, &mut self.urgent),
            (Priority::Normal, &mut self.normal),
        ] {
            for (bytes, _) in lane.chunks.drain(..) {
                split(&bytes, 0, priority, &mut unwritten);
            }
        }
        *self = Self::default();
        unwritten
    }

    /// Drops everything that has not been taken.
    pub fn clear(&mut self) {
        for lane in [&mut self.urgent, &mut self.normal] {
            lane.withdrawn.clear();
            let owed: usize = lane.owed.drain(..).map(|(_, cost)| cost).sum();
            self.owed = self.owed.saturating_sub(owed);
            for (bytes, frames) in lane.chunks.drain(..) {
                self.cost = self.cost.saturating_sub(bytes.len() + FRAME_COST * frames);
            }
        }
    }

    /// Gives back the memory that is kept for the next chunk.
    pub fn release(&mut self) {
        self.spares = Vec::new();
        if self.is_empty() {
            self.urgent.chunks.shrink_to_fit();
            self.normal.chunks.shrink_to_fit();
        }
    }
}

/// Takes the frames out of a chunk that were not wholly among its first `written` bytes.
fn split(bytes: &[u8], written: usize, priority: Priority, unwritten: &mut Vec<Unwritten>) {
    let mut start = 0;
    while let Some(frame) = bytes.get(start..).and_then(first_frame) {
        let end = start + frame.len();
        if end > written {
            unwritten.push(Unwritten {
                priority,
                frame: frame.to_vec(),
                is_begun: start < written,
            });
        }
        start = end;
    }
}

fn id_of(frame: &[u8]) -> Option<MsgId> {
    Some(Header::parse(frame.first_chunk()?).ok()?.msg_id)
}

/// The first of several whole frames. `None` where there is none.
pub fn first_frame(bytes: &[u8]) -> Option<&[u8]> {
    let header = Header::parse(bytes.first_chunk()?).ok()?;
    let payload_len = usize::try_from(header.payload_len).ok()?;
    bytes.get(..HEADER_LEN.checked_add(payload_len)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(outgoing: &mut OutgoingQueue, priority: Priority, len: usize) -> Position {
        outgoing.push(priority, |bytes| {
            bytes.resize(bytes.len() + len, priority as u8)
        })
    }

    fn take_all(outgoing: &mut OutgoingQueue) -> Vec<(Priority, usize)> {
        std::iter::from_fn(|| {
            let transmit = outgoing.take()?;
            let taken = (transmit.priority, transmit.bytes.len());
            outgoing.complete(transmit);
            Some(taken)
        })
        .collect()
    }

    #[test]
    fn few_buffers_go_back_and_many_are_kept() {
        let mut outgoing = OutgoingQueue::new(64 * CHUNK_LEN * MAX_SPARES);
        assert!(outgoing.give_back().is_none(), "it has none");
        outgoing.lend(vec![Vec::with_capacity(CHUNK_LEN)]);
        push(&mut outgoing, Priority::Normal, 32);
        assert!(!outgoing.has_spares(), "it is in use");
        let transmit = outgoing.take().unwrap();
        assert_eq!(transmit.bytes.capacity(), CHUNK_LEN);
        outgoing.complete(transmit);
        let lent = outgoing.give_back().unwrap();
        assert_eq!((lent.len(), lent[0].len()), (1, 0));

        for _ in 0..=MAX_LENT {
            push(&mut outgoing, Priority::Normal, CHUNK_LEN);
        }
        take_all(&mut outgoing);
        assert!(outgoing.give_back().is_none());
        assert!(outgoing.has_spares());
        outgoing.release();
        assert!(!outgoing.has_spares());
    }

    #[test]
    fn frames_that_are_ready_together_leave_together() {
        let mut outgoing = OutgoingQueue::default();
        for _ in 0..100 {
            push(&mut outgoing, Priority::Normal, 32);
        }
        assert_eq!(outgoing.cost(), 100 * (32 + 64));
        assert_eq!(take_all(&mut outgoing), [(Priority::Normal, 3200)]);
        assert_eq!(outgoing.cost(), 0);
        assert!(outgoing.is_empty());
    }

    #[test]
    fn urgent_frames_overtake_but_take_at_most_half() {
        let mut outgoing = OutgoingQueue::default();
        for _ in 0..3 {
            push(&mut outgoing, Priority::Normal, CHUNK_LEN);
            push(&mut outgoing, Priority::Urgent, CHUNK_LEN);
        }
        let order: Vec<Priority> = take_all(&mut outgoing)
            .into_iter()
            .map(|(priority, _)| priority)
            .collect();
        use Priority::{Normal, Urgent};
        assert_eq!(order, [Urgent, Normal, Urgent, Normal, Urgent, Normal]);
    }

    #[test]
    fn what_was_handed_over_is_known_to_the_byte() {
        let mut outgoing = OutgoingQueue::default();
        let first = push(&mut outgoing, Priority::Normal, 10);
        let second = push(&mut outgoing, Priority::Normal, 10);
        assert!(!outgoing.is_sent(first));
        let transmit = outgoing.take().unwrap();
        assert!(outgoing.is_sent(first) && outgoing.is_sent(second));
        outgoing.abandon(&transmit, 10);
        assert!(outgoing.is_sent(first) && !outgoing.is_sent(second));
    }

    #[test]
    fn what_was_not_written_comes_out_frame_by_frame() {
        use crate::wire::{MsgId, write_ping};
        let mut outgoing = OutgoingQueue::default();
        for id in 1..=3 {
            outgoing.push(Priority::Normal, |bytes| {
                write_ping(bytes, MsgId::new(id), &[7])
            });
        }
        let transmit = outgoing.take().unwrap();
        outgoing.push(Priority::Urgent, |bytes| {
            write_ping(bytes, MsgId::new(4), &[])
        });
        outgoing.push(Priority::Normal, |bytes| {
            write_ping(bytes, MsgId::new(5), &[])
        });
        let unwritten = outgoing.take_unwritten(Some((&transmit, 26)));
        let seen: Vec<(u8, bool)> = unwritten
            .iter()
            .map(|unwritten| (unwritten.frame[23], unwritten.is_begun))
            .collect();
        assert_eq!(seen, [(2, true), (3, false), (4, false), (5, false)]);
        assert!(outgoing.is_empty() && outgoing.cost() == 0);
    }

    #[test]
    fn what_is_owed_is_told_apart_from_what_is_asked() {
        let owe = |outgoing: &mut OutgoingQueue, len| {
            outgoing.push_response(Priority::Normal, |bytes| bytes.resize(bytes.len() + len, 0));
        };
        let mut outgoing = OutgoingQueue::default();
        push(&mut outgoing, Priority::Normal, 4 * CHUNK_LEN);
        assert_eq!(outgoing.owed(), 0);
        for _ in 0..3 {
            owe(&mut outgoing, CHUNK_LEN);
        }
        push(&mut outgoing, Priority::Urgent, 100);
        assert_eq!(outgoing.owed(), 3 * (CHUNK_LEN + 64));
        for owed in [3, 3, 2, 1, 0] {
            let transmit = outgoing.take().unwrap();
            outgoing.complete(transmit);
            assert_eq!(outgoing.owed(), owed * (CHUNK_LEN + 64));
        }
        assert_eq!(outgoing.cost(), 0);
        owe(&mut outgoing, 10);
        outgoing.clear();
        assert_eq!(outgoing.owed(), 0);
    }

    #[test]
    fn clearing_keeps_count_of_what_is_on_its_way() {
        let mut outgoing = OutgoingQueue::default();
        push(&mut outgoing, Priority::Normal, 100);
        let transmit = outgoing.take().unwrap();
        push(&mut outgoing, Priority::Normal, 100);
        outgoing.clear();
        assert_eq!(outgoing.cost(), 164);
        outgoing.complete(transmit);
        assert_eq!(outgoing.cost(), 0);
    }

    #[test]
    fn a_frame_that_is_withdrawn_is_not_sent() {
        use crate::wire::{MsgId, write_ping};
        let mut outgoing = OutgoingQueue::default();
        let positions: Vec<Position> = (1..=4)
            .map(|id| {
                outgoing.push(Priority::Normal, |bytes| {
                    write_ping(bytes, MsgId::new(id), &[0; 10])
                })
            })
            .collect();
        assert!(outgoing.withdraw(positions[2]));
        assert!(outgoing.withdraw(positions[0]));
        let transmit = outgoing.take().unwrap();
        let mut expected = Vec::new();
        write_ping(&mut expected, MsgId::new(2), &[0; 10]);
        write_ping(&mut expected, MsgId::new(4), &[0; 10]);
        assert_eq!(transmit.bytes, expected);
        assert!(!outgoing.withdraw(positions[1]), "too late");
        outgoing.complete(transmit);
        assert_eq!(outgoing.cost(), 0);
    }

    #[test]
    fn an_exchange_is_withdrawn_with_all_that_stands_behind_its_first_frame() {
        use crate::wire::write_ping;
        let mut outgoing = OutgoingQueue::default();
        let push = |outgoing: &mut OutgoingQueue, id, len| {
            outgoing.push(Priority::Normal, |bytes| {
                write_ping(bytes, MsgId::new(id), &vec![0; len])
            })
        };
        push(&mut outgoing, 1, 10);
        let first = push(&mut outgoing, 2, 10);
        // The next frames stand in a chunk of their own.
        push(&mut outgoing, 3, CHUNK_LEN);
        push(&mut outgoing, 2, 10);
        push(&mut outgoing, 4, 10);
        push(&mut outgoing, 2, 20);
        assert!(outgoing.withdraw_all(first, MsgId::new(2)));
        let mut sent = Vec::new();
        while let Some(transmit) = outgoing.take() {
            let mut rest = transmit.bytes.as_slice();
            while let Some(frame) = first_frame(rest) {
                sent.extend(id_of(frame).map(MsgId::number));
                rest = &rest[frame.len()..];
            }
            outgoing.complete(transmit);
        }
        assert_eq!(sent, [1, 3, 4]);
        assert_eq!(outgoing.cost(), 0);
        assert!(!outgoing.withdraw_all(first, MsgId::new(2)), "too late");
    }
}
