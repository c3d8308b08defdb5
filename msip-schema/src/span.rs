//! Spans: positions as numbers that only the front end can resolve.

/// A position in the front end's source.
///
/// Front ends have different kinds of sources (a file on disk, a token of a macro's input), so a span is only an index
/// into a table that the front end keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span(u32);

impl Span {
    /// The span of something that is not in a source, such as a default.
    pub const NONE: Self = Self(0);

    /// The span with this index; 0 is [`Span::NONE`].
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The index into the front end's table.
    pub const fn index(self) -> u32 {
        self.0
    }
}

/// A value and its span.
///
/// Equality compares the values only: the same schema in two places is the same schema.
#[derive(Debug, Clone, Copy)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// The span.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// A value with its span.
    pub const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}
