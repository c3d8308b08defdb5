//! Items of one stream that are gathered outside of the session, and handed over together.

use super::items::{ItemHead, item_flags};

/// Whole frames of items that follow each other.
#[derive(Debug, Default)]
pub struct ItemBatch {
    bytes: Vec<u8>,
    item_count: usize,
    payload_len: usize,
    last_payload_len: usize,
}

impl ItemBatch {
    pub fn is_empty(&self) -> bool {
        self.item_count == 0
    }

    /// How many items wait.
    pub fn item_count(&self) -> usize {
        self.item_count
    }

    /// How many bytes they take of their stream's window.
    pub fn payload_len(&self) -> usize {
        self.payload_len
    }

    /// The same, of all but the last.
    pub(super) fn payload_len_before_last(&self) -> usize {
        self.payload_len - self.last_payload_len
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends an item, whose body `encode` writes.
    #[inline]
    pub fn push(
        &mut self,
        head: &ItemHead,
        variant: u16,
        compressed: bool,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        let flags = item_flags(compressed);
        self.last_payload_len = head.write(&mut self.bytes, flags, variant, body_len, encode);
        self.payload_len += self.last_payload_len;
        self.item_count += 1;
    }

    /// The items have been taken over.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.item_count = 0;
        self.payload_len = 0;
        self.last_payload_len = 0;
    }

    /// Gives back the memory of a batch that is empty.
    pub fn release(&mut self) {
        if self.is_empty() {
            self.bytes = Vec::new();
        }
    }
}
