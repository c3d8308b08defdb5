//! Source map: the files of a schema, and the bytes that each span refers to.

use std::ops::Range;

use super::diagnostic::Diagnostic;
use crate::Span;

/// The text of every file that a front end has read, and the position of every span.
///
/// It resolves a [`Span`] to file, line and column, and renders diagnostics. A position outside of the text is moved
/// to the nearest one inside, so nothing here fails.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
    /// The position of span `index + 1`.
    places: Vec<(FileId, Range<usize>)>,
}

/// Identifies a file of a [`SourceMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(usize);

/// A position in a file, as people count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location<'a> {
    /// The name of the file, as it was added.
    pub file: &'a str,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

#[derive(Debug, Clone)]
pub(super) struct SourceFile {
    pub(super) name: String,
    text: String,
    /// Whether the text is what is in the file; if not, it has the file's lines and columns alone.
    pub(super) is_whole: bool,
    /// Where each line begins, in bytes; the first is 0.
    line_starts: Vec<usize>,
}

impl SourceMap {
    /// A map without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file under the name that diagnostics give it, a path relative to the project if possible.
    pub fn add_file(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        self.add(name.into(), text.into(), true)
    }

    /// Adds a file of which only the positions are known, such as one of a descriptor set: `text` has its lines and columns, and
    /// diagnostics do not show it.
    pub fn add_outline(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        self.add(name.into(), text.into(), false)
    }

    fn add(&mut self, name: String, text: String, is_whole: bool) -> FileId {
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        self.files.push(SourceFile {
            name,
            text,
            is_whole,
            line_starts,
        });
        FileId(self.files.len() - 1)
    }

    /// A span for these bytes of a file. An empty range is the position before its byte.
    pub fn span(&mut self, file: FileId, bytes: Range<usize>) -> Span {
        self.places.push((file, bytes));
        // 4 billion spans do not fit into memory; should they ever, the position is merely unknown.
        u32::try_from(self.places.len()).map_or(Span::NONE, Span::new)
    }

    /// The text of a file; empty for a file of another map.
    pub fn text(&self, file: FileId) -> &str {
        self.files.get(file.0).map_or("", |file| &file.text)
    }

    /// The name of a file; empty for a file of another map.
    pub fn name(&self, file: FileId) -> &str {
        self.files.get(file.0).map_or("", |file| &file.name)
    }

    /// Where a span begins; `None` for [`Span::NONE`] and for spans of another map.
    pub fn location(&self, span: Span) -> Option<Location<'_>> {
        let place = self.place(span)?;
        let line = place.file.line_of(place.bytes.start);
        let before = place
            .file
            .text
            .get(place.file.line_bytes(line).start..place.bytes.start)
            .unwrap_or("");
        Some(Location {
            file: &place.file.name,
            line: line + 1,
            column: before.chars().count() + 1,
        })
    }

    /// Sorts diagnostics for output: first those without a position, then by file as added and by position.
    pub fn sort(&self, diagnostics: &mut [Diagnostic]) {
        diagnostics.sort_by_key(|diagnostic| {
            self.place(diagnostic.primary.span)
                .map(|place| (place.id, place.bytes.start, place.bytes.end))
        });
    }

    pub(super) fn place(&self, span: Span) -> Option<Place<'_>> {
        let index = usize::try_from(span.index()).ok()?.checked_sub(1)?;
        let (id, bytes) = self.places.get(index)?;
        let file = self.files.get(id.0)?;
        let start = file.boundary(bytes.start);
        Some(Place {
            id: *id,
            file,
            bytes: start..file.boundary(bytes.end).max(start),
        })
    }
}

/// A span that was found: the bytes are inside the text and on boundaries of characters.
pub(super) struct Place<'a> {
    pub(super) id: FileId,
    pub(super) file: &'a SourceFile,
    pub(super) bytes: Range<usize>,
}

impl SourceFile {
    /// The nearest boundary of characters at or before a byte.
    pub(super) fn boundary(&self, byte: usize) -> usize {
        let byte = byte.min(self.text.len());
        (0..=byte)
            .rev()
            .find(|&at| self.text.is_char_boundary(at))
            .unwrap_or(0)
    }

    /// The line, from 0, that has this byte.
    pub(super) fn line_of(&self, byte: usize) -> usize {
        self.line_starts
            .partition_point(|&start| start <= byte)
            .saturating_sub(1)
    }

    /// The bytes of a line, from 0, without its end.
    pub(super) fn line_bytes(&self, line: usize) -> Range<usize> {
        let start = self
            .line_starts
            .get(line)
            .copied()
            .unwrap_or(self.text.len());
        let end = self
            .line_starts
            .get(line + 1)
            .map_or(self.text.len(), |next| next - 1);
        let end = if self
            .text
            .get(start..end)
            .is_some_and(|line| line.ends_with('\r'))
        {
            end - 1
        } else {
            end
        };
        start..end
    }

    pub(super) fn slice(&self, bytes: Range<usize>) -> &str {
        self.text.get(bytes).unwrap_or("")
    }
}
