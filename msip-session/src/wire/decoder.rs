//! The decoder: cuts a stream of bytes into frames.

use bytes::{Buf as _, Bytes, BytesMut};
use thiserror::Error;

use super::{Frame, FrameBatch, FrameType, HEADER_LEN, Header, HeaderError, Limits, MsgId};

/// The least capacity that a read is offered.
const MIN_READ: usize = 4 * 1024;

/// The most capacity that a read is offered, unless more of one frame is there already.
const MAX_READ: usize = 64 * 1024;

/// The same, where the last frame was a large one: the next may be as large, and should come in one read.
const MAX_BULK_READ: usize = 160 * 1024;

/// A frame with a payload of as many bytes is a large one.
const BULK: usize = MAX_READ / 2;

/// The most memory that a small payload may share with others, and so keep alive.
const MAX_SHARED: usize = 2 * MAX_READ;

/// How many reads' worth of memory are kept between frames.
const KEPT_READS: usize = 4;

/// How many buffers are kept among large frames whose payloads are still in use. They are free soon, and memory that is
/// returned to the allocator instead comes back page by page.
const MAX_RETIRED: usize = 4;

/// A part of a frame that is smaller than the buffer divided by this does not keep that buffer.
const SMALL_PART: usize = 4;

/// Cuts a stream of bytes into frames, whatever its chunks are.
///
/// The payloads share the memory that the bytes were read into. What a header announces is checked against the
/// limits before anything is reserved for it, and the buffer grows with the bytes that were received, at most
/// doubling: a peer that announces much and sends little costs little. Reads are offered 4 KiB of capacity,
/// and up to 64 KiB while they fill what they are offered, or 160 KiB among large frames.
///
/// ```
/// use msip_session::wire::{Decoder, Flags, FrameType, Limits, MsgId, write_ack};
///
/// let mut sent = Vec::new();
/// write_ack(&mut sent, Flags::NONE, MsgId::new(7));
///
/// let mut decoder = Decoder::new(Limits::default().max_payload());
/// decoder.buffer().extend_from_slice(&sent);
/// let frame = decoder.decode()?.expect("the frame is complete");
/// assert_eq!(frame.header.frame_type, FrameType::Ack);
/// assert_eq!(decoder.decode()?, None);
/// # Ok::<(), msip_session::wire::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    /// The header at the front of `buffer`, once it is complete and valid.
    header: Option<Header>,
    max_payload: u32,
    /// How much capacity reads are offered now.
    read_len: usize,
    /// How much capacity the last read was offered.
    offered: usize,
    /// How large the memory behind `buffer` is, at least.
    allocated: usize,
    /// The last frame was a large one.
    is_bulk: bool,
    /// The memory behind `buffer` is from a pool.
    is_pooled: bool,
    /// Buffers that were full, and are reused once they are not shared any more; and how large each is.
    retired: Vec<(BytesMut, usize)>,
}

impl Decoder {
    /// A decoder that takes payloads of at most `max_payload` bytes. It holds no memory before its first read.
    pub fn new(max_payload: u32) -> Self {
        Self {
            buffer: BytesMut::new(),
            header: None,
            max_payload,
            read_len: MIN_READ,
            offered: 0,
            allocated: 0,
            is_bulk: false,
            is_pooled: false,
            retired: Vec::new(),
        }
    }

    /// Whether it has memory for reading.
    pub fn has_buffer(&self) -> bool {
        self.allocated > 0
    }

    /// How much memory it holds for reading, in bytes: of a pooled buffer only the part of a frame that is in it.
    #[inline]
    pub fn held(&self) -> usize {
        if self.is_pooled {
            self.buffer.len()
        } else {
            self.capacity()
        }
    }

    /// Lends it a buffer from a pool while it has no memory for reading.
    #[inline]
    pub fn lend_buffer(&mut self, buffer: BytesMut) {
        self.allocated = buffer.capacity();
        self.buffer = buffer;
        self.is_pooled = true;
    }

    /// Its memory for reading, for a pool. A small part of a frame is copied out of it: a peer that sends little must not
    /// keep much. `None` where a large part of a frame is in it, a payload still shares it, or it is larger than `max_len`:
    /// then it stays with this decoder.
    pub fn return_buffer(&mut self, max_len: usize) -> Option<BytesMut> {
        self.is_pooled = false;
        if !self.has_buffer() || self.allocated > max_len {
            return None;
        }
        let allocated = self.allocated;
        if self.buffer.is_empty() {
            if !self.buffer.try_reclaim(allocated) {
                return None;
            }
            self.allocated = 0;
        } else if self.buffer.len() < allocated / SMALL_PART {
            self.allocated = self.buffer.len();
        } else {
            return None;
        }
        self.offered = 0;
        let own = BytesMut::from(&*self.buffer);
        let mut buffer = std::mem::replace(&mut self.buffer, own);
        buffer.clear();
        buffer.try_reclaim(allocated).then_some(buffer)
    }

    /// Changes the largest payload, from the next header on: it is smaller until the handshake is done.
    /// Frames that are neither PUBLISH, EVENT nor ACK never have more than [`Limits::MAX_CONTROL`] bytes.
    pub fn set_max_payload(&mut self, max_payload: u32) {
        self.max_payload = max_payload;
    }

    /// The buffer, with spare capacity to append what was received. There is always some.
    ///
    /// Call it before each read, after [`decode`](Self::decode) has returned `None`. Only append to it.
    pub fn buffer(&mut self) -> &mut BytesMut {
        self.adapt_read_len();
        let missing = self.missing_len();
        if missing > self.read_len {
            // A large frame: as much again as was received, so that the copying stays linear in what was sent.
            if self.spare() < MIN_READ.min(missing) {
                self.reserve(missing.min(self.buffer.len().max(self.read_len)));
            }
        } else if self.buffer.is_empty()
            && self.allocated > KEPT_READS * self.read_len
            && !self.is_pooled
        {
            // A burst is over: its memory is freed.
            self.buffer = BytesMut::new();
            self.reserve(self.read_len);
        } else if self.spare() < missing.max(self.read_len / 2) {
            if self.is_bulk {
                self.exchange(missing.max(self.read_len / 2));
            } else {
                self.reserve(self.read_len);
            }
        }
        self.offered = self.spare();
        &mut self.buffer
    }

    /// The next frame; `None` until more bytes are received.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: from here on no frame can be found, and each further call fails alike.
    pub fn decode(&mut self) -> Result<Option<Frame>, DecodeError> {
        let Some(header) = self.whole_frame(0)? else {
            return Ok(None);
        };
        let payload_len = len_of(&header);
        let keeps_too_much = self.would_keep_too_much(payload_len);
        let payload = self.take(HEADER_LEN, payload_len, keeps_too_much);
        Ok(Some(Frame { header, payload }))
    }

    /// Decodes many frames at once: adds them to `batch`, which must be empty, until it has `count`. Returns whether there may
    /// be more.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode). The frames before the fault are in `batch` all the same.
    #[inline]
    pub fn decode_batch(
        &mut self,
        batch: &mut FrameBatch,
        count: usize,
    ) -> Result<bool, DecodeError> {
        let (mut end, mut is_copied) = (0, false);
        let outcome = loop {
            if batch.len() >= count {
                break Ok(true);
            }
            let header = match self.whole_frame(end) {
                Ok(Some(header)) => header,
                Ok(None) => break Ok(false),
                Err(error) => break Err(error),
            };
            let start = end + HEADER_LEN;
            let next = start + len_of(&header);
            let keeps_too_much = self.would_keep_too_much(next - start);
            let fits = keeps_too_much == is_copied && !(is_copied && next > MAX_SHARED);
            if !batch.is_empty() && !fits {
                break Ok(true);
            }
            is_copied = keeps_too_much;
            batch.push(header, start);
            end = next;
        };
        batch.set_memory(self.take(0, end, is_copied));
        outcome
    }

    /// The header of the frame that begins `at` bytes into the buffer, if the frame is complete. Where it is not, that
    /// frame is at the front of the buffer when this is called next.
    #[inline(always)]
    fn whole_frame(&mut self, at: usize) -> Result<Option<Header>, DecodeError> {
        let received = self.buffer.get(at..).unwrap_or_default();
        let header = match self.header {
            Some(header) => header,
            None => {
                let Some(bytes) = received.first_chunk::<HEADER_LEN>() else {
                    // A peer that speaks something else may wait for an answer before it sends more.
                    Header::check_magic(received)?;
                    return Ok(None);
                };
                let header = Header::parse(bytes)?;
                self.check_len(&header)?;
                header
            }
        };
        let payload_len = len_of(&header);
        if received.len().saturating_sub(HEADER_LEN) < payload_len {
            self.header = Some(header);
            return Ok(None);
        }
        self.header = None;
        // The size of a PING says nothing about what follows.
        self.is_bulk = payload_len >= BULK && header.frame_type != FrameType::Ping;
        Ok(Some(header))
    }

    /// Whether a payload was read in the wake of a large frame: it must not keep that one's memory alive.
    #[inline]
    fn would_keep_too_much(&self, payload_len: usize) -> bool {
        self.allocated > MAX_SHARED && payload_len < self.allocated / 4
    }

    /// Takes `len` bytes off the front, after the first `skipped`.
    fn take(&mut self, skipped: usize, len: usize, is_copied: bool) -> Bytes {
        self.buffer.advance(skipped);
        if len == 0 {
            // Spares the counting of one more reference to the chunk.
            Bytes::new()
        } else if is_copied {
            let copy = Bytes::copy_from_slice(self.buffer.get(..len).unwrap_or_default());
            self.buffer.advance(len);
            copy
        } else {
            self.buffer.split_to(len).freeze()
        }
    }

    /// Whether a frame was received in part and its rest is missing.
    ///
    /// Asks about what [`decode`](Self::decode) has left, so call it after that has returned `None`.
    pub fn is_mid_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The whole length of the frame that was received in part, header included; 0 where there is none.
    /// While its header is not complete, the header's length.
    pub fn pending_len(&self) -> usize {
        match &self.header {
            Some(header) => HEADER_LEN.saturating_add(len_of(header)),
            None if self.buffer.is_empty() => 0,
            None => HEADER_LEN,
        }
    }

    /// Frees all memory if no partial frame is buffered: for a connection that is silent after a burst.
    /// Without it the memory of the last read stays, up to 256 KiB, and after large frames that of four reads before; a
    /// connection with little traffic holds 16 KiB at most.
    pub fn release(&mut self) {
        self.retired = Vec::new();
        if self.buffer.is_empty() {
            *self = Self::new(self.max_payload);
        }
    }

    /// How many bytes of memory are reserved for reading, filled or not.
    pub fn capacity(&self) -> usize {
        let retired: usize = self.retired.iter().map(|(_, len)| len).sum();
        self.buffer.capacity() + retired
    }

    #[inline]
    fn check_len(&self, header: &Header) -> Result<(), DecodeError> {
        let &Header {
            frame_type,
            payload_len: len,
            msg_id,
            ..
        } = header;
        let max = Limits::of_frame(frame_type, self.max_payload);
        if len > max {
            return Err(DecodeError::PayloadTooLarge {
                len,
                max,
                frame_type,
                msg_id,
            });
        }
        Ok(())
    }

    /// How many bytes of the frame at the front have not come.
    fn missing_len(&self) -> usize {
        self.pending_len().saturating_sub(self.buffer.len())
    }

    /// The spare capacity of the buffer.
    fn spare(&self) -> usize {
        self.buffer.capacity() - self.buffer.len()
    }

    fn reserve(&mut self, additional: usize) {
        self.buffer.reserve(additional);
        self.is_pooled = false;
        self.allocated = self.buffer.capacity();
    }

    /// Provides capacity for a read among large frames, `least` bytes or more, in a retired buffer if one is free.
    fn exchange(&mut self, least: usize) {
        if self.buffer.try_reclaim(self.read_len) || self.buffer.try_reclaim(least) {
            return;
        }
        let needed = self.buffer.len() + least;
        let free = self
            .retired
            .iter_mut()
            .position(|(retired, _)| retired.try_reclaim(needed));
        let (mut next, allocated) = match free {
            Some(index) => self.retired.swap_remove(index),
            None => {
                let next = BytesMut::with_capacity(self.buffer.len() + self.read_len);
                let allocated = next.capacity();
                (next, allocated)
            }
        };
        next.extend_from_slice(&self.buffer);
        let mut full = std::mem::replace(&mut self.buffer, next);
        let full_len = std::mem::replace(&mut self.allocated, allocated);
        let is_own = !std::mem::take(&mut self.is_pooled) && full_len > 0;
        if is_own && self.retired.len() < MAX_RETIRED {
            full.clear();
            self.retired.push((full, full_len));
        }
    }

    /// Offers more when the last read took all, and less when it took little.
    fn adapt_read_len(&mut self) {
        let taken = self.offered.saturating_sub(self.spare());
        let most = if self.is_bulk {
            MAX_BULK_READ
        } else {
            MAX_READ
        };
        if taken == 0 {
            // Nothing was read, or nothing was offered yet.
        } else if taken == self.offered || self.is_bulk {
            self.read_len = (self.read_len * 2).min(most);
        } else if taken < self.read_len / 4 {
            self.read_len = (self.read_len / 2).max(MIN_READ);
            self.retired = Vec::new();
        }
        self.read_len = self.read_len.min(most);
    }
}

/// The length of the payload that a header announces, as a size in memory.
fn len_of(header: &Header) -> usize {
    // On a machine whose sizes have 16 bits no such frame ever completes.
    usize::try_from(header.payload_len).unwrap_or(usize::MAX)
}

/// Why a stream holds no further frame. Each ends the connection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes where a frame should begin are no header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The header announces more than is allowed.
    #[error("{frame_type} announces a payload of {len} bytes: {max} are allowed")]
    PayloadTooLarge {
        /// What the header announces, in bytes.
        len: u32,
        /// The most that is allowed, in bytes.
        max: u32,
        /// The type of the frame.
        frame_type: FrameType,
        /// The exchange of the frame.
        msg_id: MsgId,
    },
}
