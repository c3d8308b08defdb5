//! The table of what each field of each message costs.

use super::FREE;

/// What the messages that an envelope can hold take in memory.
#[derive(Debug, Default)]
pub(super) struct SizeTable {
    pub(super) messages: Vec<Message>,
    /// By ascending number.
    pub(super) members: Vec<Member>,
}

/// A member of the envelope with a message.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) number: u16,
    /// The index of its message.
    pub(super) message: usize,
    /// The size of its type in bytes.
    pub(super) size: usize,
    /// A body of at most this length takes at most [`FREE`] beyond it.
    pub(super) free_len: usize,
}

/// One message: the fields that take memory of their own, by ascending number.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) fields: Vec<Field>,
}

/// What a field takes beside its message's own bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) number: u32,
    /// What each element takes, in bytes: twice its size, since lists grow by doubling.
    pub(super) each: usize,
    /// What the first one takes in addition: lists begin with capacity for several.
    pub(super) first: usize,
    pub(super) contents: Contents,
}

/// What an element holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contents {
    /// A number that is a varint, which may be packed.
    Varint,
    /// A number of this many bytes, which may be packed.
    Fixed(usize),
    /// A string or bytes.
    Text,
    /// The message with this index.
    Message {
        index: usize,
        /// Whether several occurrences are copied into one before they are decoded.
        is_merged: bool,
    },
}

/// What a string or bytes take besides their length, if they have any.
pub(super) const TEXT_COST: usize = 16;

impl Field {
    /// The most that a byte of it on the wire can become, without messages inside of it.
    pub(super) fn bytes_per_byte(&self) -> usize {
        let Self { each, first, .. } = *self;
        // Key and length, or key and value, are two bytes at least.
        let alone = (each + first).div_ceil(2);
        match self.contents {
            Contents::Varint => alone.max(each),
            Contents::Fixed(len) => alone.max(each.div_ceil(len)),
            Contents::Text => alone.max((each + first + TEXT_COST + 1).div_ceil(3)),
            Contents::Message { .. } => alone,
        }
    }
}

impl Member {
    /// The member of a message, a byte of which can become `bytes_per_byte`.
    pub(super) fn new(number: u16, message: usize, size: usize, bytes_per_byte: usize) -> Self {
        let free_len = match (FREE.checked_sub(size), bytes_per_byte.saturating_sub(1)) {
            (None, _) => 0,
            (Some(_), 0) => usize::MAX,
            (Some(free), more) => free / more,
        };
        Self {
            number,
            message,
            size,
            free_len,
        }
    }
}

impl Message {
    /// The field of this number; `hint` is the index to try first, and becomes that of the next field.
    #[inline]
    pub(super) fn field(&self, number: u64, hint: &mut usize) -> Option<Field> {
        let is_it = |field: &&Field| u64::from(field.number) == number;
        if let Some(field) = self.fields.get(*hint).filter(is_it) {
            return Some(*field);
        }
        let index = self
            .fields
            .binary_search_by_key(&number, |field| field.number.into())
            .ok()?;
        *hint = index;
        self.fields.get(index).copied()
    }
}

impl SizeTable {
    /// The member of this number; `None` for one without a message.
    pub(super) fn member(&self, number: u16) -> Option<&Member> {
        // Members are usually numbered 1, 2, 3 and so on.
        let expected = usize::from(number)
            .checked_sub(1)
            .and_then(|index| self.members.get(index));
        if expected.is_some_and(|member| member.number == number) {
            return expected;
        }
        let index = self
            .members
            .binary_search_by_key(&number, |member| member.number);
        self.members.get(index.ok()?)
    }

    /// No body of at most this length takes more than [`FREE`] beyond it.
    pub(super) fn free_len(&self) -> usize {
        let lens = self.members.iter().map(|member| member.free_len);
        lens.min().unwrap_or(usize::MAX)
    }
}
