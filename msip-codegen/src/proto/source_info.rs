//! Source info: the positions and comments of the nodes of a descriptor.

use std::collections::HashMap;
use std::ops::Range;

use msip_schema::{FileId, Span};
use prost_types::SourceCodeInfo;

use super::report::Report;

/// Field numbers of `descriptor.proto`, which make up the paths into a descriptor.
pub(crate) mod tag {
    pub(crate) const FILE_PACKAGE: i32 = 2;
    pub(crate) const FILE_DEPENDENCY: i32 = 3;
    pub(crate) const FILE_PUBLIC_DEPENDENCY: i32 = 10;
    pub(crate) const FILE_MESSAGE: i32 = 4;
    pub(crate) const FILE_ENUM: i32 = 5;
    pub(crate) const FILE_SERVICE: i32 = 6;
    pub(crate) const FILE_EXTENSION: i32 = 7;
    pub(crate) const FILE_OPTIONS: i32 = 8;
    pub(crate) const FILE_SYNTAX: i32 = 12;
    pub(crate) const NAME: i32 = 1;
    pub(crate) const MESSAGE_FIELD: i32 = 2;
    pub(crate) const MESSAGE_NESTED: i32 = 3;
    pub(crate) const MESSAGE_ENUM: i32 = 4;
    pub(crate) const MESSAGE_EXTENSION_RANGE: i32 = 5;
    pub(crate) const MESSAGE_EXTENSION: i32 = 6;
    pub(crate) const MESSAGE_OPTIONS: i32 = 7;
    pub(crate) const MESSAGE_ONEOF: i32 = 8;
    pub(crate) const MESSAGE_RESERVED_RANGE: i32 = 9;
    pub(crate) const MESSAGE_RESERVED_NAME: i32 = 10;
    pub(crate) const FIELD_EXTENDEE: i32 = 2;
    pub(crate) const FIELD_NUMBER: i32 = 3;
    pub(crate) const FIELD_TYPE: i32 = 5;
    pub(crate) const FIELD_TYPE_NAME: i32 = 6;
    pub(crate) const FIELD_OPTIONS: i32 = 8;
    pub(crate) const FIELD_JSON_NAME: i32 = 10;
    pub(crate) const ONEOF_OPTIONS: i32 = 2;
    pub(crate) const RANGE_OPTIONS: i32 = 3;
    pub(crate) const UNINTERPRETED_OPTION: i32 = 999;
    pub(crate) const ENUM_VALUE: i32 = 2;
    pub(crate) const ENUM_OPTIONS: i32 = 3;
    pub(crate) const ENUM_RESERVED_RANGE: i32 = 4;
    pub(crate) const ENUM_RESERVED_NAME: i32 = 5;
    pub(crate) const VALUE_OPTIONS: i32 = 3;
    pub(crate) const SERVICE_METHOD: i32 = 2;
    pub(crate) const SERVICE_OPTIONS: i32 = 3;
    pub(crate) const METHOD_OPTIONS: i32 = 4;
    pub(crate) const METHOD_INPUT: i32 = 2;
    pub(crate) const METHOD_OUTPUT: i32 = 3;
    pub(crate) const METHOD_CLIENT_STREAMING: i32 = 5;
    pub(crate) const METHOD_SERVER_STREAMING: i32 = 6;
}

/// The positions and comments of one file.
#[derive(Debug)]
pub(crate) struct SourceInfo {
    file: FileId,
    nodes: HashMap<Vec<i32>, Node>,
}

#[derive(Debug)]
struct Node {
    bytes: Range<usize>,
    leading: String,
    trailing: String,
}

impl SourceInfo {
    pub(crate) fn new(file: FileId, text: &str, info: Option<&SourceCodeInfo>) -> Self {
        let lines: Vec<usize> = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        let mut nodes = HashMap::new();
        for location in info.iter().flat_map(|info| &info.location) {
            let Some(bytes) = bytes_of(&lines, &location.span) else {
                continue;
            };
            // The first location of a path is that of the declaration itself.
            nodes.entry(location.path.clone()).or_insert_with(|| Node {
                bytes,
                leading: comment(location.leading_comments()),
                trailing: comment(location.trailing_comments()),
            });
        }
        Self { file, nodes }
    }

    pub(crate) fn file(&self) -> FileId {
        self.file
    }

    /// The bytes of a node.
    pub(crate) fn bytes(&self, path: &[i32]) -> Option<Range<usize>> {
        self.nodes.get(path).map(|node| node.bytes.clone())
    }

    /// The comment above a node, or the one behind it on its line if there is none.
    pub(crate) fn doc(&self, path: &[i32]) -> String {
        match self.nodes.get(path) {
            Some(node) if !node.leading.is_empty() => node.leading.clone(),
            Some(node) => node.trailing.clone(),
            None => String::new(),
        }
    }

    /// The comment at the head of the file: above `package`, or else above `syntax` unless it is a licence.
    pub(crate) fn head(&self) -> String {
        let above = |tag: i32| {
            self.nodes
                .get([tag].as_slice())
                .map_or("", |node| &node.leading)
        };
        let package = above(tag::FILE_PACKAGE);
        if !package.is_empty() {
            return package.to_owned();
        }
        let syntax = above(tag::FILE_SYNTAX);
        let licence = [
            "Copyright",
            "copyright",
            "SPDX-License-Identifier",
            "Licensed under",
        ];
        if licence.iter().any(|word| syntax.contains(word)) {
            String::new()
        } else {
            syntax.to_owned()
        }
    }
}

/// The position of the name in `package …;`.
pub(crate) fn package_name(source_info: &SourceInfo, report: &mut Report) -> Option<Span> {
    let statement = source_info.bytes(&[tag::FILE_PACKAGE])?;
    let text = report
        .text(source_info.file())
        .get(statement.clone())
        .unwrap_or("");
    let name = text.strip_prefix("package").unwrap_or(text).trim_start();
    let start = statement.end - name.len();
    let bytes = start..start + name.trim_end_matches(';').trim_end().len();
    Some(report.span(source_info.file(), bytes))
}

/// The bytes of a descriptor's span (line, column, [line,] column; from 0, columns in bytes).
fn bytes_of(lines: &[usize], span: &[i32]) -> Option<Range<usize>> {
    let at = |line: i32, column: i32| {
        let start = lines.get(usize::try_from(line).ok()?)?;
        start.checked_add(usize::try_from(column).ok()?)
    };
    match *span {
        [line, start, end] => Some(at(line, start)?..at(line, end)?),
        [first, start, last, end] => Some(at(first, start)?..at(last, end)?),
        _ => None,
    }
}

/// A comment without the blanks that follow the comment marks on every line.
fn comment(raw: &str) -> String {
    let raw = raw.replace("\r\n", "\n");
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let mut lines: Vec<&str> = raw.lines().map(str::trim_end).collect();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let start = lines.iter().position(|line| !line.is_empty()).unwrap_or(0);
    let common = lines
        .iter()
        .filter(|line| !line.is_empty())
        .map(|line| indent(line))
        .min()
        .unwrap_or(0);
    let lines: Vec<&str> = lines
        .iter()
        .skip(start)
        .map(|line| line.get(common..).unwrap_or(""))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_lose_their_common_indent_alone() {
        for (raw, clean) in [
            (" One line.\n", "One line."),
            (
                " First.\n\n   indented\n last\n",
                "First.\n\n  indented\nlast",
            ),
            ("\n block\n   more\n ", "block\n  more"),
            ("no blank\r\n none here\r\n", "no blank\n none here"),
            ("", ""),
        ] {
            assert_eq!(comment(raw), clean, "{raw:?}");
        }
    }

    #[test]
    fn spans_beyond_the_text_are_none() {
        assert_eq!(bytes_of(&[0, 10], &[1, 2, 5]), Some(12..15));
        assert_eq!(bytes_of(&[0, 10], &[0, 2, 1, 3]), Some(2..13));
        for span in [&[][..], &[7, 0, 1], &[-1, 0, 1], &[0, -1, 1], &[0]] {
            assert_eq!(bytes_of(&[0, 10], span), None, "{span:?}");
        }
    }
}
