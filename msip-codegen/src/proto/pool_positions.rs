//! The positions that the descriptor pool is given for a file with mistakes.
//!
//! For each mistake the pool searches the list of all positions for that of a node, and then the text for its line. Both
//! would grow with the square of the file, so the list is cut to what the number of mistakes allows, and the text is one
//! line in which the column is the index of the position.

use std::ops::Range;

use msip_schema::FileId;
use prost_types::SourceCodeInfo;
use prost_types::source_code_info::Location;

use super::files::ProtoFile;

/// How many steps a search for the positions of all mistakes may take.
const MAX_STEPS: usize = 500_000;
/// How many positions there are, however many mistakes.
const MIN_POSITIONS: usize = 1_000;

pub(crate) struct Positions<'a> {
    file: &'a ProtoFile,
    /// The first positions of the file.
    locations: &'a [Location],
    /// Whether these are all.
    pub(crate) are_all: bool,
}

impl<'a> Positions<'a> {
    pub(crate) fn new(file: &'a ProtoFile, mistakes: usize) -> Self {
        let info = file.descriptor.source_code_info.as_ref();
        let all = info.map_or(&[][..], |info| &info.location);
        let count = (MAX_STEPS / mistakes.max(1)).max(MIN_POSITIONS);
        let locations = all.get(..count).unwrap_or(all);
        Self {
            file,
            locations,
            are_all: locations.len() == all.len(),
        }
    }

    /// The positions for the pool.
    pub(crate) fn info(&self) -> SourceCodeInfo {
        let locations = (0..).step_by(2).zip(self.locations);
        let location = locations.map(|(column, location)| Location {
            path: location.path.clone(),
            span: vec![0, column, column + 1],
            ..Location::default()
        });
        SourceCodeInfo {
            location: location.collect(),
        }
    }

    /// The text in which the pool finds them.
    pub(crate) fn text(&self) -> String {
        " ".repeat(2 * self.locations.len() + 1)
    }

    /// The bytes of what is at this offset of the text.
    pub(crate) fn bytes(&self, offset: usize) -> Option<Range<usize>> {
        let location = self.locations.get(offset / 2)?;
        self.file.source_info.bytes(&location.path)
    }

    pub(crate) fn file(&self) -> FileId {
        self.file.source_info.file()
    }
}
