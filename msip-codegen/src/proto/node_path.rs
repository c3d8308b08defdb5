//! Paths of nodes: a message, a field, a value inside of a file.

use msip_schema::Span;

use super::files::ProtoFile;
use super::report::Report;
use super::symbols::join;

/// A node of a descriptor: its file, its path there, and its full name.
#[derive(Clone)]
pub(crate) struct NodePath<'a> {
    pub(crate) index: usize,
    pub(crate) file: &'a ProtoFile,
    pub(crate) path: Vec<i32>,
    pub(crate) full: String,
}

impl NodePath<'_> {
    /// A node below this one.
    pub(crate) fn below(&self, tag: i32, index: usize, name: &str) -> Self {
        let mut path = self.path.clone();
        // The parser bounds files to 2 GiB, so a position fits.
        path.extend([tag, i32::try_from(index).unwrap_or(i32::MAX)]);
        Self {
            path,
            full: join(&self.full, name),
            ..self.clone()
        }
    }

    /// The position of a part of this node, such as its name.
    pub(crate) fn span(&self, part: &[i32], report: &mut Report) -> Span {
        let path: Vec<i32> = self.path.iter().chain(part).copied().collect();
        let bytes = self
            .file
            .source_info
            .bytes(&path)
            .or_else(|| self.file.source_info.bytes(&self.path));
        bytes.map_or(Span::NONE, |bytes| {
            report.span(self.file.source_info.file(), bytes)
        })
    }

    pub(crate) fn doc(&self) -> String {
        self.file.source_info.doc(&self.path)
    }
}
