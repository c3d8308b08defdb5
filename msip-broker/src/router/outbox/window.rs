//! What was sent of a client, and the instance has not finished with.

use std::collections::VecDeque;

use crate::router::{Publication, fault_injection::FaultInjection, peer_sizes::PeerSizes};

/// A window of messages, and of the bytes of their bodies.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// The runs of messages that are in it, and their bytes.
    runs: VecDeque<(usize, usize)>,
    messages: usize,
    bytes: usize,
}

/// For how many messages a window has room: as many as its receiver has asked for, within bounds. Its bytes are always the same.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WindowSize(u16);

impl WindowSize {
    /// That which was asked for.
    pub(super) fn asked(messages: u32) -> Self {
        let most = PeerSizes::current().max_window_messages;
        let messages = usize::try_from(messages).unwrap_or(usize::MAX).min(most);
        Self(u16::try_from(messages).unwrap_or(u16::MAX))
    }

    fn messages(self) -> usize {
        PeerSizes::current().window_messages.max(self.0.into())
    }
}

impl Window {
    /// How many messages are in it.
    #[cfg(test)]
    pub(super) const fn messages(&self) -> usize {
        self.messages
    }

    /// Whether nothing is in it.
    pub(super) const fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// For how many of these messages it has room; nothing is in it where there is none.
    pub(super) fn affordable(
        window: Option<&Self>,
        size: WindowSize,
        publication: &Publication,
    ) -> u32 {
        if FaultInjection::IgnoreWindow.is_on() {
            return publication.count;
        }
        let sizes = PeerSizes::current();
        let taken = window.map_or((0, 0), |window| (window.messages, window.bytes));
        let messages = size.messages().saturating_sub(taken.0);
        let most = u32::try_from(messages).unwrap_or(u32::MAX);
        let most = most.min(publication.count);
        let mut left = sizes.window_bytes.saturating_sub(taken.1);
        if left > 0 && publication.frames.len() <= left {
            return most;
        }
        let mut count = 0;
        for frame in publication.iter().take(most as usize) {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(frame.len());
            count += 1;
        }
        count
    }

    /// These are sent.
    pub(super) fn push(&mut self, publication: &Publication) {
        let (messages, bytes) = (publication.count as usize, publication.frames.len());
        self.messages += messages;
        self.bytes += bytes;
        self.runs.push_back((messages, bytes));
    }

    /// The instance has finished with so many messages.
    pub(super) fn finished(&mut self, mut messages: usize) {
        while messages > 0 {
            let Some((count, bytes)) = self.runs.front_mut() else {
                return;
            };
            let done = messages.min(*count);
            let freed = match done == *count {
                true => *bytes,
                false => bytes.checked_div(*count).unwrap_or(0).saturating_mul(done),
            };
            *count -= done;
            *bytes -= freed;
            let is_over = *count == 0;
            self.messages -= done;
            self.bytes -= freed;
            messages -= done;
            if is_over {
                self.runs.pop_front();
            }
        }
    }

    /// Nothing of what was sent counts any more.
    pub(super) fn clear(&mut self) {
        self.runs.clear();
        self.messages = 0;
        self.bytes = 0;
    }
}
