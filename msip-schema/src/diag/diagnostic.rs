//! One mistake in a schema.

use super::code::Code;
use crate::Span;

/// How many mistakes a front end shows: of more it shows these, and says how many others there are.
///
/// What costs something for each mistake, such as a suggestion, is left out of those that are not shown.
pub const MAX_DIAGNOSTICS: usize = 100;

/// One mistake.
///
/// ```
/// use msip_schema::{Code, Diagnostic, SourceMap};
///
/// let mut sources = SourceMap::new();
/// let file = sources.add_file("chat.proto", "Ping a = 1;\nPong b = 1;\n");
/// let (first, again) = (sources.span(file, 9..10), sources.span(file, 21..22));
/// let mistake = Diagnostic::new(Code::DUPLICATE_NUMBER, again, "number 1 is used twice")
///     .label("used again here")
///     .also(first, "first used here")
///     .help("give `b` a free number such as 2");
/// assert_eq!(sources.one_line(&mistake), "chat.proto:2:10: error[duplicate-number]: number 1 is used twice");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of mistake it is.
    pub code: Code,
    /// What is wrong, in lower case and without a final period.
    pub message: String,
    /// Where, and what is to be said of that place.
    pub primary: Label,
    /// Other places that the mistake is about.
    pub secondary: Vec<Label>,
    /// What to write instead.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A mistake at a span; [`Span::NONE`] if it has no position.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            primary: Label {
                span,
                text: String::new(),
            },
            secondary: Vec::new(),
            help: None,
        }
    }

    /// Sets the text of the primary label.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.primary.text = text.into();
        self
    }

    /// Adds a secondary label.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.secondary.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Sets the help: what to write instead.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }
}

/// A span and its text; an empty text only marks the span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// The text.
    pub text: String,
}
