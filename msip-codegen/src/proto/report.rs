//! Report: collects mistakes, each once, and the first of very many.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;

use msip_schema::{Diagnostic, FileId, MAX_DIAGNOSTICS, SourceMap, Span};

/// The sources read so far and the mistakes found in them.
#[derive(Debug, Default)]
pub(crate) struct Report {
    sources: SourceMap,
    /// The position of each span that was made here, by its index less one.
    places: Vec<(FileId, Range<usize>)>,
    /// The first mistakes, [`MAX_DIAGNOSTICS`] at most.
    diagnostics: Vec<Diagnostic>,
    /// How many there are, those that are not kept included.
    count: usize,
    /// Hashes of all mistakes.
    known: HashSet<u64>,
    hashes: RandomState,
    /// The bytes at which there are mistakes: ends of ranges by their starts, which do not touch each other.
    covered: HashMap<FileId, BTreeMap<usize, usize>>,
}

/// What is wrong with the files of a run.
#[derive(Debug)]
pub(crate) struct Mistakes {
    pub(crate) sources: SourceMap,
    /// The first of them, in the order of output.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// How many others there are.
    pub(crate) others: usize,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn add_file(&mut self, name: &str, text: &str) -> FileId {
        self.sources.add_file(name, text)
    }

    /// Adds a file of which only the positions are known.
    pub(crate) fn add_outline(&mut self, name: &str, text: &str) -> FileId {
        self.sources.add_outline(name, text)
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
        let place = self.place(diagnostic.primary.span);
        let hash = self
            .hashes
            .hash_one((diagnostic.code, &diagnostic.message, place));
        if self.known.insert(hash) {
            self.add(diagnostic);
        }
    }

    /// Adds a mistake of another checker, unless there is one at the same position already: it is the same in other words,
    /// or follows from it.
    pub(crate) fn push_unless_known(&mut self, diagnostic: Diagnostic) {
        if !self.is_covered(diagnostic.primary.span) {
            self.push(diagnostic);
        }
    }

    /// Counts mistakes that are not worth a look, since there are enough.
    pub(crate) fn count_more(&mut self, more: usize) {
        self.count += more;
    }

    /// Whether no further mistake is kept: what says how to mend one need not be found.
    pub(crate) fn is_full(&self) -> bool {
        self.diagnostics.len() >= MAX_DIAGNOSTICS
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.count == 0
    }

    /// The sources, and the mistakes in the order of output.
    pub(crate) fn finish(mut self) -> Mistakes {
        self.sources.sort(&mut self.diagnostics);
        Mistakes {
            others: self.count - self.diagnostics.len(),
            sources: self.sources,
            diagnostics: self.diagnostics,
        }
    }

    fn add(&mut self, diagnostic: Diagnostic) {
        self.count += 1;
        self.cover(diagnostic.primary.span);
        if !self.is_full() {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Whether a mistake is at these bytes, or beside them.
    fn is_covered(&self, span: Span) -> bool {
        let Some((file, bytes)) = self.place(span) else {
            return false;
        };
        let covered = self.covered.get(file);
        let last = covered.and_then(|covered| covered.range(..=bytes.end).next_back());
        last.is_some_and(|(_, &end)| end >= bytes.start)
    }

    fn cover(&mut self, span: Span) {
        let Some((file, bytes)) = self.place(span).cloned() else {
            return;
        };
        let covered = self.covered.entry(file).or_default();
        let (mut start, mut end) = (bytes.start, bytes.end);
        while let Some((&first, &last)) = covered.range(..=end).next_back() {
            if last < start {
                break;
            }
            covered.remove(&first);
            (start, end) = (start.min(first), end.max(last));
        }
        covered.insert(start, end);
    }

    fn place(&self, span: Span) -> Option<&(FileId, Range<usize>)> {
        self.places
            .get(usize::try_from(span.index()).ok()?.checked_sub(1)?)
    }
}
