//! Report: collects mistakes, each once.

use std::ops::Range;

use msip_schema::{Diagnostic, FileId, SourceMap, Span};

/// The sources read so far and the mistakes found in them.
#[derive(Debug, Default)]
pub(crate) struct Report {
    sources: SourceMap,
    /// The position of each span that was made here, by its index less one.
    places: Vec<(FileId, Range<usize>)>,
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn add_file(&mut self, name: &str, text: &str) -> FileId {
        self.sources.add_file(name, text)
    }

    pub(crate) fn text(&self, file: FileId) -> &str {
        self.sources.text(file)
    }

    /// A span for these bytes.
    pub(crate) fn span(&mut self, file: FileId, bytes: Range<usize>) -> Span {
        self.places.push((file, bytes.clone()));
        self.sources.span(file, bytes)
    }

    /// Adds a mistake, unless it is known already: two stages may find the same one.
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        let known = self.diagnostics.iter().any(|other| {
            other.code == diagnostic.code
                && other.message == diagnostic.message
                && self.place(other.primary.span) == self.place(diagnostic.primary.span)
        });
        if !known {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Adds a mistake of another checker, unless there is one at the same position already: it is the same in other words,
    /// or follows from it.
    pub(crate) fn push_unless_known(&mut self, diagnostic: Diagnostic) {
        let known = self
            .diagnostics
            .iter()
            .any(|other| self.overlap(other.primary.span, diagnostic.primary.span));
        if !known {
            self.diagnostics.push(diagnostic);
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// The sources, and the mistakes in the order of output.
    pub(crate) fn finish(mut self) -> (SourceMap, Vec<Diagnostic>) {
        self.sources.sort(&mut self.diagnostics);
        (self.sources, self.diagnostics)
    }

    fn overlap(&self, a: Span, b: Span) -> bool {
        let (Some((a_file, a)), Some((b_file, b))) = (self.place(a), self.place(b)) else {
            return false;
        };
        a_file == b_file && a.start <= b.end && b.start <= a.end
    }

    fn place(&self, span: Span) -> Option<&(FileId, Range<usize>)> {
        self.places
            .get(usize::try_from(span.index()).ok()?.checked_sub(1)?)
    }
}
