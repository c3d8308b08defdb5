//! Positions, as numbers that only the front end can resolve.

/// Names a place in the front end's own source.
///
/// The model is shared by front ends whose sources have nothing in common (a file on disk, a token of a
/// macro's input), so a span is only an index into a table that the front end keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span(u32);

impl Span {
    /// The place of something that no source says, such as a default.
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

/// A value and the place that says it.
///
/// Equality looks at the value alone: the same schema written in two places is the same schema.
#[derive(Debug, Clone, Copy)]
pub struct Spanned<T> {
    /// What was said.
    pub value: T,
    /// Where.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Ties a value to its place.
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
