//! What a body takes in memory once it is decoded (docs/operations.md, "Decoded messages").
//!
//! An empty element of a list has 2 bytes on the wire and all of its type's in memory: 4 KiB may become a megabyte, and
//! compressed, hundreds. So a body is counted before it is decoded: by a walk over its bytes, with a table of what each field
//! costs. The table is put together once, from the descriptors of the schema and the sizes of the Rust types. A body so short
//! that nothing of its type can become large is not walked.

mod build;
mod table;
mod walk;

use std::{
    borrow::Cow,
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use table::SizeTable;

/// What a message may take in memory by default, in bytes: 64 MiB, 16 times the largest body by default.
pub(crate) const DEFAULT_MAX_DECODED: usize = 64 * 1024 * 1024;

/// How many times the largest body a message may take by default.
pub(crate) const TIMES_MAX_BODY: usize = 16;

/// What a value in a box takes besides its own bytes.
pub(crate) const BOX_COST: usize = 16;

/// What a message may take beyond the length of its body without being counted, in bytes. Each call costs about as much
/// besides.
pub(crate) const FREE: usize = 2 * 1024;

/// The size of one message's Rust type. For generated code.
#[derive(Debug)]
pub struct MessageSize {
    /// The full name in the schema.
    name: Cow<'static, str>,
    /// The size of the type in bytes.
    size: usize,
    /// Whether its maps may be `BTreeMap`s.
    has_tree_maps: bool,
    /// How its fields are stored, by ascending number; `None` where prost decides it.
    fields: Option<Vec<FieldLayout>>,
}

impl MessageSize {
    /// A message that prost has generated, of this name and this many bytes.
    #[must_use]
    pub const fn new(name: &'static str, size: usize) -> Self {
        Self {
            name: Cow::Borrowed(name),
            size,
            has_tree_maps: false,
            fields: None,
        }
    }

    /// Its maps may be `BTreeMap`s.
    #[must_use]
    pub const fn with_tree_maps(mut self) -> Self {
        self.has_tree_maps = true;
        self
    }

    /// A message with a derive.
    pub(crate) fn derived(name: String, size: usize, mut fields: Vec<FieldLayout>) -> Self {
        fields.sort_by_key(|field| field.number);
        Self {
            name: Cow::Owned(name),
            size,
            has_tree_maps: false,
            fields: Some(fields),
        }
    }

    fn layout(&self, number: u32) -> Option<&FieldLayout> {
        let fields = self.fields.as_deref()?;
        let index = fields.binary_search_by_key(&number, |field| field.number);
        fields.get(index.ok()?)
    }
}

/// How a field of a derived message is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FieldLayout {
    pub(crate) number: u32,
    /// The size of an element, or of a pair of a map, in bytes.
    pub(crate) element: usize,
    /// Whether it is a `BTreeMap`.
    pub(crate) is_tree: bool,
    /// Whether its values are messages in boxes.
    pub(crate) is_boxed: bool,
}

/// What the members of one envelope take in memory. For generated code.
pub struct EnvelopeSizes {
    envelope: &'static str,
    descriptor_set: fn() -> &'static [u8],
    messages: fn() -> &'static [MessageSize],
    table: OnceLock<SizeTable>,
    /// No body of at most this length can become large; 0 until the table is there.
    free_len: AtomicUsize,
}

impl fmt::Debug for EnvelopeSizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvelopeSizes")
            .field("envelope", &self.envelope)
            .finish_non_exhaustive()
    }
}

impl EnvelopeSizes {
    /// Those of the envelope with this full name. The functions return the schema's descriptors, and the sizes of its
    /// messages.
    #[must_use]
    pub const fn new(
        envelope: &'static str,
        descriptor_set: fn() -> &'static [u8],
        messages: fn() -> &'static [MessageSize],
    ) -> Self {
        Self {
            envelope,
            descriptor_set,
            messages,
            table: OnceLock::new(),
            free_len: AtomicUsize::new(0),
        }
    }

    /// Whether no body of this length can take more than [`FREE`] beyond it, whatever its variant.
    #[inline]
    pub(crate) fn is_free(&self, len: usize) -> bool {
        // It orders nothing: the table has its own synchronization.
        len <= self.free_len.load(Ordering::Relaxed)
    }

    /// The same for a body of this variant.
    pub(crate) fn is_free_as(&self, variant: u16, len: usize) -> bool {
        let member = self.table().member(variant);
        member.is_none_or(|member| len <= member.free_len)
    }

    /// What the member `variant` takes, without the body that it is read from: an upper bound, in bytes. `bytes` are those
    /// of the member. Stops soon after `max`.
    pub fn count(&self, variant: u16, bytes: &[u8], max: usize) -> usize {
        let table = self.table();
        table.member(variant).map_or(0, |member| {
            walk::count(table, member.message, bytes, member.size, max)
        })
    }

    fn table(&self) -> &SizeTable {
        self.table.get_or_init(|| {
            let table = build::table(self.envelope, (self.descriptor_set)(), (self.messages)());
            let table = table.unwrap_or_else(|reason| {
                // The descriptors are generated with the code that names them.
                tracing::error!(envelope = self.envelope, reason, "bodies are not counted");
                SizeTable::default()
            });
            self.free_len.store(table.free_len(), Ordering::Relaxed);
            table
        })
    }
}

#[cfg(test)]
mod tests;
