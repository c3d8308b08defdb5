//! Labels of another library's diagnostics.

use std::ops::Range;

/// A range of bytes, and its label.
pub(crate) type LabelledBytes = (Range<usize>, String);

/// The first label of a mistake, and the others.
pub(crate) fn labels(
    mistake: &dyn miette::Diagnostic,
) -> (Option<LabelledBytes>, Vec<LabelledBytes>) {
    let mut places = mistake.labels().into_iter().flatten().map(|label| {
        let start = label.offset();
        (
            start..start + label.len(),
            label.label().unwrap_or("").to_owned(),
        )
    });
    let first = places.next();
    (first, places.collect())
}
