//! What waits to be written to a MIP peer: messages of its outbox, and answers.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use msip_runtime::transport::Stream;
use tokio::io::AsyncWrite as _;

use super::translate::Translation;
use crate::router::{Dialect, OutboxItem, Publication, Refused, Router};

/// How much is taken out of the outbox at once, in bytes; it is written before more is taken.
pub(super) const TAKE_LEN: usize = 256 * 1024;

/// How many parts a write gathers.
const MAX_SLICES: usize = 64;

/// A buffer for answers that is not larger than this stays with a connection that sleeps.
const KEPT_ANSWERS: usize = 256;

/// What is to be written.
#[derive(Debug)]
enum Chunk {
    Messages(Arc<Publication>),
    Translated(Bytes),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Messages(publication) => &publication.frames,
            Self::Translated(bytes) => bytes,
        }
    }
}

/// What waits to be written.
#[derive(Default)]
pub(super) struct Writer {
    /// What was taken out of the outbox, last first.
    pub(super) taken: Vec<OutboxItem>,
    /// In a box, since it is there while messages of MSIP are written.
    pub(super) translation: Option<Box<Translation>>,
    chunks: VecDeque<Chunk>,
    /// How many bytes are in `chunks`.
    pub(super) len: usize,
    /// How much of the first of them is written.
    offset: usize,
    /// How much of the answers is written.
    pub(super) answers_offset: usize,
    pub(super) needs_flush: bool,
    /// Since when the peer takes nothing.
    pub(super) blocked_since: Option<Duration>,
    pub(super) dropped: u64,
}

impl Writer {
    pub(super) fn has_bytes(&self, answers: &[u8]) -> bool {
        self.len > 0 || !answers.is_empty()
    }

    /// Makes chunks of what was taken, as far as they are to be written next. Returns how many messages they are.
    pub(super) fn fill(&mut self, router: &Router, max_body: usize) -> u64 {
        let mut count = 0;
        while self.len < TAKE_LEN {
            if let Some(translation) = &mut self.translation {
                match translation.next(TAKE_LEN, (router, max_body), &mut self.dropped) {
                    Some(bytes) => self.push(Chunk::Translated(bytes)),
                    None => self.translation = None,
                }
                continue;
            }
            match self.taken.pop() {
                None => break,
                Some(OutboxItem::Publication(delivery)) => {
                    let publication = delivery.publication;
                    count += u64::from(publication.count);
                    if publication.dialect == Dialect::Mip {
                        self.push(Chunk::Messages(publication));
                    } else {
                        self.translation = Some(Box::new(Translation::new(publication)));
                    }
                }
                // A MIP peer cannot answer a call.
                Some(OutboxItem::Exchange(assigned)) => {
                    let (request, _) = assigned.into_parts();
                    request.exchange.refuse(Refused::no_service());
                }
                // Nor is it told who comes and goes.
                Some(_) => {}
            }
        }
        count
    }

    fn push(&mut self, chunk: Chunk) {
        let len = chunk.bytes().len();
        if len > 0 {
            self.len += len;
            self.chunks.push_back(chunk);
        }
    }

    /// One write: the rest of the chunk that is under way, the answers, and the other chunks.
    pub(super) fn poll_write(
        &mut self,
        stream: &mut Stream,
        answers: &mut Vec<u8>,
        task: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut count = 0;
        let mut add = |bytes| {
            if let Some(slice) = slices.get_mut(count) {
                *slice = IoSlice::new(bytes);
                count += 1;
            }
        };
        let mut chunks = self.chunks.iter();
        if self.offset > 0
            && let Some(first) = chunks.next()
        {
            add(first.bytes().get(self.offset..).unwrap_or_default());
        }
        if !answers.is_empty() {
            add(answers.get(self.answers_offset..).unwrap_or_default());
        }
        for chunk in chunks.take(MAX_SLICES) {
            add(chunk.bytes());
        }
        let slices = slices.get(..count).unwrap_or_default();
        let mut written = ready!(Pin::new(stream).poll_write_vectored(task, slices))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.needs_flush = true;
        if self.offset > 0 {
            written -= self.advance(written);
        }
        if self.offset == 0 {
            let len = written.min(answers.len() - self.answers_offset);
            self.answers_offset += len;
            written -= len;
            if self.answers_offset == answers.len() {
                answers.clear();
                self.answers_offset = 0;
            }
        }
        while written > 0 {
            written -= self.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// So much is written, of which a part is of the first chunk: returns how long that is.
    fn advance(&mut self, written: usize) -> usize {
        let Some(first) = self.chunks.front() else {
            return written;
        };
        let rest = first.bytes().len() - self.offset;
        let len = written.min(rest);
        self.len -= len;
        if len == rest {
            self.chunks.pop_front();
            self.offset = 0;
        } else {
            self.offset += len;
        }
        len
    }

    /// Gives back memory while nothing is to be written.
    pub(super) fn release(&mut self, answers: &mut Vec<u8>) {
        if answers.is_empty() && answers.capacity() > KEPT_ANSWERS {
            *answers = Vec::new();
        }
        if self.chunks.is_empty() {
            self.chunks = VecDeque::new();
        }
        if self.taken.is_empty() {
            self.taken = Vec::new();
        }
    }

    /// What a connection that is over still has to say: the rest of the chunk that is under way, and the answers.
    pub(super) fn last(&self, answers: &[u8]) -> Vec<u8> {
        let mut last = Vec::new();
        if self.offset > 0
            && let Some(first) = self.chunks.front()
        {
            last.extend_from_slice(first.bytes().get(self.offset..).unwrap_or_default());
        }
        last.extend_from_slice(answers.get(self.answers_offset..).unwrap_or_default());
        last
    }
}
