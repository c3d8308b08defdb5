//! What is wrong with a schema, where, and what to write instead.

use crate::Span;

/// A stable name of a kind of mistake, such as `duplicate-tag`; `docs/schema.md` explains each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub(crate) &'static str);

impl Code {
    /// The name, as it stands in brackets behind `error`.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of mistake it is.
    pub code: Code,
    /// What is wrong, in lower case and without a final period.
    pub message: String,
    /// Where, and what stands there.
    pub primary: Label,
    /// Other places that the mistake is about.
    pub secondary: Vec<Label>,
    /// What to write instead.
    pub help: Option<String>,
}

/// A place and what there is to say of it; an empty text only marks the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What stands there.
    pub text: String,
}
