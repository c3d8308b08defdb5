//! A text with what is known of a file of a descriptor set, each thing at its position and blanks between them: mistakes get the
//! lines and columns that they have in the file, and what looks for a name in a statement finds it.

use std::collections::HashMap;

use prost_types::FileDescriptorProto;

use super::guard::MAX_FILE_LEN;
use super::source_info::tag;

/// The texts of a file's options, name and value, by their paths.
pub(crate) type OptionTexts = HashMap<Vec<i32>, [String; 2]>;

/// The text; empty where the positions are none of a schema.
pub(crate) fn text_of(file: &FileDescriptorProto, options: &OptionTexts) -> String {
    let info = file.source_code_info.as_ref();
    let locations = info.map_or(&[][..], |info| &info.location);
    let spans = || {
        locations
            .iter()
            .filter_map(|location| Some((&location.path, Range::new(&location.span)?)))
    };
    let Some(mut lines) = blank(spans().map(|(_, range)| range)) else {
        return String::new();
    };
    for (path, range) in spans() {
        match path.as_slice() {
            [tag::FILE_PACKAGE] => {
                range.write(&mut lines, "package", &format!("{};", file.package()));
            }
            [tag::FILE_DEPENDENCY, index] => {
                let index = usize::try_from(*index).ok();
                if let Some(import) = index.and_then(|index| file.dependency.get(index)) {
                    range.write(&mut lines, "import", &format!("\"{import}\";"));
                }
            }
            path => {
                if let Some([name, value]) = options.get(path) {
                    range.write(&mut lines, &format!("{name} ="), value);
                }
            }
        }
    }
    // Every byte is of ASCII.
    String::from_utf8(lines.join(&b'\n')).unwrap_or_default()
}

/// Lines of blanks that have all these positions; `None` if they would be larger than a schema may be.
fn blank(ranges: impl Iterator<Item = Range>) -> Option<Vec<Vec<u8>>> {
    let mut widths: Vec<usize> = Vec::new();
    let mut total = 0usize;
    for range in ranges {
        for (line, column) in [range.first, range.last] {
            if line >= MAX_FILE_LEN || column >= MAX_FILE_LEN {
                return None;
            }
            if line >= widths.len() {
                total += line + 1 - widths.len();
                widths.resize(line + 1, 0);
            }
            let width = widths.get_mut(line)?;
            total += column.saturating_sub(*width);
            *width = column.max(*width);
            if total > MAX_FILE_LEN {
                return None;
            }
        }
    }
    Some(widths.into_iter().map(|width| vec![b' '; width]).collect())
}

/// From where to where something is: lines and columns from 0.
#[derive(Debug, Clone, Copy)]
struct Range {
    first: (usize, usize),
    last: (usize, usize),
}

impl Range {
    fn new(span: &[i32]) -> Option<Self> {
        let at = |line: i32, column: i32| {
            Some((usize::try_from(line).ok()?, usize::try_from(column).ok()?))
        };
        match *span {
            [line, start, end] => Some(Self {
                first: at(line, start)?,
                last: at(line, end)?,
            }),
            [first, start, last, end] => Some(Self {
                first: at(first, start)?,
                last: at(last, end)?,
            }),
            _ => None,
        }
    }

    /// Writes what it begins and ends with, where there is enough room for it.
    fn write(&self, lines: &mut [Vec<u8>], start: &str, end: &str) {
        let (line, column) = self.first;
        write_at(lines, line, Some(column), start);
        let (line, column) = self.last;
        write_at(lines, line, column.checked_sub(end.len()), end);
    }
}

fn write_at(lines: &mut [Vec<u8>], line: usize, column: Option<usize>, text: &str) {
    let bytes = column
        .zip(lines.get_mut(line))
        .and_then(|(column, line)| line.get_mut(column..column.checked_add(text.len())?));
    for (byte, new) in bytes.into_iter().flatten().zip(text.bytes()) {
        *byte = if new.is_ascii() { new } else { b'?' };
    }
}

#[cfg(test)]
mod tests {
    use prost_types::{SourceCodeInfo, source_code_info::Location};

    use super::*;

    fn file(locations: &[(&[i32], &[i32])]) -> FileDescriptorProto {
        let location = locations.iter().map(|(path, span)| Location {
            path: path.to_vec(),
            span: span.to_vec(),
            ..Location::default()
        });
        FileDescriptorProto {
            package: Some("chat".to_owned()),
            dependency: vec!["a.proto".to_owned()],
            source_code_info: Some(SourceCodeInfo {
                location: location.collect(),
            }),
            ..FileDescriptorProto::default()
        }
    }

    #[test]
    fn what_is_known_is_where_it_was() {
        let option = vec![4, 0, 2, 0, 8, 999, 0];
        let file = file(&[
            (&[2], &[1, 0, 13]),
            (&[3, 0], &[2, 1, 3, 12]),
            (&option, &[4, 4, 24]),
        ]);
        let options = HashMap::from([(option, ["(msip.key)".to_owned(), "\"id\"".to_owned()])]);
        assert_eq!(
            text_of(&file, &options),
            "\npackage chat;\n       \n  \"a.proto\";\n    (msip.key) =    \"id\""
                .replace("\n       \n  \"", "\n \n  \"")
        );
    }

    #[test]
    fn positions_that_no_schema_has_give_no_text() {
        for span in [
            &[i32::MAX, 0, 1][..],
            &[0, 0, i32::MAX],
            &[0, 0, i32::MAX, 1],
        ] {
            assert_eq!(
                text_of(&file(&[(&[2], span)]), &HashMap::new()),
                "",
                "{span:?}"
            );
        }
        for span in [&[-1, 0, 1][..], &[0, -1, 1], &[], &[0, 1, 2, 3, 4]] {
            assert_eq!(
                text_of(&file(&[(&[2], span)]), &HashMap::new()),
                "",
                "{span:?}"
            );
        }
    }
}
