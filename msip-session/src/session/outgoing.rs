//! The outgoing queue: encoded frames in two lanes, ready to be written.
//!
//! A sender encodes its frame straight into the last chunk of a lane, and the driver takes whole chunks: frames that are
//! ready together leave in one write, nothing is copied in between, and an urgent frame waits for one chunk at most.

mod chunk_pool;
mod lane;
#[cfg(test)]
mod tests;

use super::{
    frame_writer::{FRAME_COST, Prefix, first_frame, id_of, write_frame},
    request::Priority,
};
use crate::wire::{HEADER_LEN, Header, MsgId};
use chunk_pool::ChunkPool;
use lane::{Lane, ResponseCost};

/// A chunk that has reached this many bytes takes no further frame.
const CHUNK_LEN: usize = 64 * 1024;

/// How many chunks a sender fills before it lets the driver write: each change from one to the other costs as much as
/// writing a chunk where another thread has to be woken, and more of them would not stay in the processor's caches.
const CHUNKS_PER_WRITE: usize = 4;

/// Where a frame is in its lane, to tell later whether any of it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    priority: Priority,
    start: u64,
}

impl Position {
    /// The position of a frame that is in no lane, so that nothing of it was written.
    pub(super) const NONE: Self = Self {
        priority: Priority::Normal,
        start: u64::MAX,
    };
}

/// A frame of which not all bytes were handed to the transport before the connection was lost.
#[derive(Debug)]
pub(super) struct UnwrittenFrame {
    pub(super) priority: Priority,
    pub(super) frame: Vec<u8>,
    /// Some of its bytes were taken to be written.
    pub(super) is_begun: bool,
}

/// A chunk of frames to be written.
///
/// Hand it back with [`Session::transmitted`](super::Session::transmitted) when all of it has been written.
#[derive(Debug)]
pub struct Transmit {
    /// The bytes to write: whole frames.
    pub bytes: Vec<u8>,
    frames: usize,
    response_cost: ResponseCost,
    priority: Priority,
    /// No frame was withdrawn from it, so that a position in it is a position in its lane.
    is_whole: bool,
}

/// Both lanes.
#[derive(Debug, Default)]
pub(super) struct OutgoingQueue {
    urgent: Lane,
    normal: Lane,
    cost: usize,
    /// What of that is responses.
    response_cost: ResponseCost,
    /// By how many bytes the urgent lane is ahead while the other waits.
    urgent_ahead: usize,
    pool: ChunkPool,
}

impl OutgoingQueue {
    /// An empty queue, which is to hold at most this many bytes.
    pub(super) fn new(max_len: usize) -> Self {
        Self {
            pool: ChunkPool::new(max_len),
            ..Self::default()
        }
    }

    /// Appends one frame, written by `write`.
    #[inline]
    pub(super) fn push(
        &mut self,
        priority: Priority,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Position {
        self.append(priority, 1, write)
    }

    /// Appends a frame as most are. Returns the length of its payload, and its position.
    ///
    /// What [`push`](Self::push) does, in one piece and inlined whatever its size: what a closure captures goes through memory where
    /// the compiler does not inline it, and it does not where messages with a topic and those without share it.
    #[inline(always)]
    pub(super) fn push_bare(
        &mut self,
        header: &Header,
        prefix: Prefix<'_>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> (usize, Position) {
        let lane = &mut self.normal;
        if !lane.has_open_chunk() {
            lane.chunks.push_back((self.pool.get(), 0));
        }
        let start = lane.appended;
        let mut payload_len = 0;
        // As in `append`.
        if let Some((bytes, frames)) = lane.chunks.back_mut() {
            payload_len = write_frame(bytes, header, prefix, encode);
            let len = HEADER_LEN + payload_len;
            *frames += 1;
            lane.appended += len as u64;
            self.cost += len + FRAME_COST;
        }
        let priority = Priority::Normal;
        (payload_len, Position { priority, start })
    }

    /// Appends so many frames, written by `write`.
    #[inline]
    pub(super) fn append(
        &mut self,
        priority: Priority,
        frame_count: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Position {
        let lane = match priority {
            Priority::Urgent => &mut self.urgent,
            Priority::Normal => &mut self.normal,
        };
        if !lane.has_open_chunk() {
            lane.chunks.push_back((self.pool.get(), 0));
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

    /// Appends frames from a buffer, and takes the buffer over: in return it is replaced by another one. Frames of fewer
    /// than `small` bytes are copied into the last chunk instead, where there is one, to leave with it.
    pub(super) fn append_buffer(
        &mut self,
        priority: Priority,
        frames: &mut Vec<u8>,
        frame_count: usize,
        small: usize,
    ) {
        if frames.is_empty() {
            return;
        }
        if frames.len() < small && self.lane(priority).has_open_chunk() {
            self.append(priority, frame_count, |buffer| buffer.append(frames));
            return;
        }
        self.cost += frames.len() + FRAME_COST * frame_count;
        let chunk = std::mem::replace(frames, self.pool.get());
        let lane = self.lane(priority);
        lane.appended += chunk.len() as u64;
        lane.chunks.push_back((chunk, frame_count));
    }

    /// Appends a response: a frame that the peer waits for, such as an answer or credit.
    #[inline]
    pub(super) fn push_response(&mut self, priority: Priority, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.cost;
        let Position { start, .. } = self.push(priority, write);
        let cost = self.cost - before;
        self.response_cost.all += cost;
        self.lane(priority).add_response(start, cost);
    }

    /// Appends a response that no handler has asked for: reading alone has led to it.
    pub(super) fn push_provoked(&mut self, priority: Priority, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.cost;
        self.push_response(priority, write);
        let cost = self.cost - before;
        self.response_cost.provoked += cost;
        self.lane(priority).mark_provoked(cost);
    }

    /// Whether so many chunks are full that they should be written before more is added.
    #[inline]
    pub(super) fn is_write_due(&self) -> bool {
        let chunk = self.normal.chunks.get(CHUNKS_PER_WRITE - 1);
        chunk.is_some_and(|(bytes, _)| bytes.len() >= CHUNK_LEN)
    }

    /// The queued responses, in bytes, each frame counted as its length + 64.
    #[inline]
    pub(super) const fn response_cost(&self) -> usize {
        self.response_cost.all
    }

    /// What of those reading alone has led to, in bytes.
    #[inline]
    pub(super) const fn provoked_cost(&self) -> usize {
        self.response_cost.provoked
    }

    /// What the chunks have reserved and not used, in bytes.
    #[inline]
    pub(super) fn spare(&self) -> usize {
        self.urgent.spare() + self.normal.spare()
    }

    /// What is queued, in bytes, each frame counted as its length + 64. A chunk counts until all of it is written.
    #[inline]
    pub(super) const fn cost(&self) -> usize {
        self.cost
    }

    /// Whether there is nothing to take.
    pub(super) fn is_empty(&self) -> bool {
        self.urgent.chunks.is_empty() && self.normal.chunks.is_empty()
    }

    /// Whether there is nothing to take in the urgent lane.
    pub(super) fn is_urgent_empty(&self) -> bool {
        self.urgent.chunks.is_empty()
    }

    /// The next chunk to write. It counts as queued until [`complete`](Self::complete).
    pub(super) fn take(&mut self) -> Option<Transmit> {
        loop {
            let transmit = self.take_chunk()?;
            if !transmit.bytes.is_empty() {
                return Some(transmit);
            }
            // All of its frames were withdrawn.
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
        let chunk = self.lane(priority).take()?;
        let (withdrawn, withdrawn_len) = chunk.withdrawn;
        self.cost = self
            .cost
            .saturating_sub(withdrawn_len + FRAME_COST * withdrawn);
        let len = chunk.bytes.len();
        self.urgent_ahead = match priority {
            Priority::Urgent if normal_waits => self.urgent_ahead.saturating_add(len),
            Priority::Urgent => 0,
            Priority::Normal => self.urgent_ahead.saturating_sub(len),
        };
        Some(Transmit {
            bytes: chunk.bytes,
            frames: chunk.frames,
            response_cost: chunk.response_cost,
            priority,
            is_whole: withdrawn == 0,
        })
    }

    #[inline]
    fn lane(&mut self, priority: Priority) -> &mut Lane {
        match priority {
            Priority::Urgent => &mut self.urgent,
            Priority::Normal => &mut self.normal,
        }
    }

    /// All of a chunk has been written.
    pub(super) fn complete(&mut self, transmit: Transmit) {
        self.cost = self
            .cost
            .saturating_sub(transmit.bytes.len() + FRAME_COST * transmit.frames);
        self.response_cost.subtract(transmit.response_cost);
        self.pool.put(transmit.bytes);
    }

    /// Whether there is a buffer for the next chunk.
    pub(super) fn has_buffers(&self) -> bool {
        !self.pool.is_empty()
    }

    /// Takes over buffers for the next chunks, where there are none.
    pub(super) fn fill_buffers(&mut self, buffers: Vec<Vec<u8>>) {
        self.pool.fill(buffers);
    }

    /// The buffers, for another connection; `None` where they are needed here.
    pub(super) fn share_buffers(&mut self) -> Option<Vec<Vec<u8>>> {
        self.pool.share()
    }

    /// The connection was lost when only the first `written` bytes of a chunk had been handed to the transport.
    pub(super) fn abandon(&mut self, transmit: &Transmit, written: usize) {
        if !transmit.is_whole {
            // Which frames went is not known: all of them count as sent.
            return;
        }
        let lane = self.lane(transmit.priority);
        lane.taken = lane
            .taken
            .saturating_sub(transmit.bytes.len().saturating_sub(written) as u64);
    }

    /// Withdraws a frame that has not been handed to the transport. `false` where it is too late.
    pub(super) fn withdraw(&mut self, position: Position) -> bool {
        if self.is_sent(position) {
            return false;
        }
        if position != Position::NONE {
            self.lane(position.priority).withdraw(position.start);
        }
        true
    }

    /// Withdraws all frames of an exchange whose first frame has not been handed to the transport. `false` where it is
    /// too late.
    pub(super) fn withdraw_all(&mut self, position: Position, id: MsgId) -> bool {
        if !self.withdraw(position) {
            return false;
        }
        self.lane(position.priority)
            .withdraw_behind(position.start, |frame| id_of(frame) == Some(id));
        true
    }

    /// Whether any byte of the frame at `position` has been handed to the transport.
    pub(super) const fn is_sent(&self, position: Position) -> bool {
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
    pub(super) fn take_unwritten(
        &mut self,
        in_flight: Option<(&Transmit, usize)>,
    ) -> Vec<UnwrittenFrame> {
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
        self.pool.release();
        *self = Self {
            pool: std::mem::take(&mut self.pool),
            ..Self::default()
        };
        unwritten
    }

    /// Drops everything that has not been taken.
    pub(super) fn clear(&mut self) {
        for lane in [&mut self.urgent, &mut self.normal] {
            let (chunks, response_cost) = lane.clear();
            self.response_cost.subtract(response_cost);
            for (bytes, frames) in chunks {
                self.cost = self.cost.saturating_sub(bytes.len() + FRAME_COST * frames);
            }
        }
    }

    /// Frees the memory that is kept for the next chunks.
    pub(super) fn release(&mut self) {
        self.pool.release();
        if self.is_empty() {
            self.urgent.chunks.shrink_to_fit();
            self.normal.chunks.shrink_to_fit();
        }
    }
}

/// Adds the frames of a chunk that are not wholly among its first `written` bytes.
fn split(bytes: &[u8], written: usize, priority: Priority, unwritten: &mut Vec<UnwrittenFrame>) {
    let mut start = 0;
    while let Some(frame) = bytes.get(start..).and_then(first_frame) {
        let end = start + frame.len();
        if end > written {
            unwritten.push(UnwrittenFrame {
                priority,
                frame: frame.to_vec(),
                is_begun: start < written,
            });
        }
        start = end;
    }
}
