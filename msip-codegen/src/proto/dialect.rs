//! Spellings that protobuf allows and the parser does not know, rewritten as spellings that it knows.
//!
//! What is rewritten keeps its line, and positions in the new text lead back to the text as it was written.

use std::borrow::Cow;
use std::ops::Range;

use prost_types::SourceCodeInfo;

use super::tokens::{Token, TokenKind, tokens};

/// A text for the parser.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    written: &'a str,
    text: Cow<'a, str>,
    edits: Vec<Edit>,
}

/// A part of the written text, and what replaces it.
#[derive(Debug)]
struct Edit {
    written: Range<usize>,
    text: String,
    /// Where the replacement begins in the new text.
    start: usize,
}

impl Edit {
    fn new(written: Range<usize>, text: impl Into<String>) -> Self {
        Self {
            written,
            text: text.into(),
            start: 0,
        }
    }
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(written: &'a str) -> Self {
        let mut edits = edits(written);
        if edits.is_empty() {
            let text = Cow::Borrowed(written);
            return Self {
                written,
                text,
                edits,
            };
        }
        let mut text = String::with_capacity(written.len());
        let mut at = 0;
        for edit in &mut edits {
            text.push_str(written.get(at..edit.written.start).unwrap_or(""));
            edit.start = text.len();
            text.push_str(&edit.text);
            at = edit.written.end;
        }
        text.push_str(written.get(at..).unwrap_or(""));
        Self {
            written,
            text: Cow::Owned(text),
            edits,
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The written bytes of what the parser found here.
    pub(crate) fn written(&self, bytes: Range<usize>) -> Range<usize> {
        self.written_at(bytes.start)..self.written_at(bytes.end)
    }

    fn written_at(&self, at: usize) -> usize {
        let before = self.edits.partition_point(|edit| edit.start <= at);
        let Some(edit) = before.checked_sub(1).and_then(|last| self.edits.get(last)) else {
            return at;
        };
        let behind = at - edit.start;
        match behind.checked_sub(edit.text.len()) {
            Some(behind) => edit.written.end + behind,
            None => (edit.written.start + behind).min(edit.written.end),
        }
    }

    /// Makes positions in the new text those in the written one.
    pub(crate) fn restore(&self, info: &mut SourceCodeInfo) {
        if self.edits.is_empty() {
            return;
        }
        // No edit holds a line break, so lines are the same ones.
        let (new, old) = (line_starts(&self.text), line_starts(self.written));
        let column = |line: i32, column: i32| {
            let index = usize::try_from(line).ok()?;
            let at = new.get(index)? + usize::try_from(column).ok()?;
            i32::try_from(self.written_at(at).checked_sub(*old.get(index)?)?).ok()
        };
        for location in &mut info.location {
            match location.span.as_mut_slice() {
                [line, start, end] => {
                    *start = column(*line, *start).unwrap_or(*start);
                    *end = column(*line, *end).unwrap_or(*end);
                }
                [first, start, last, end] => {
                    *start = column(*first, *start).unwrap_or(*start);
                    *end = column(*last, *end).unwrap_or(*end);
                }
                _ => {}
            }
        }
    }
}

/// The first byte of each line.
fn line_starts(text: &str) -> Vec<usize> {
    let breaks = text.match_indices('\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(breaks).collect()
}

/// What is to be replaced, in the order of the text.
fn edits(text: &str) -> Vec<Edit> {
    let candidates = ["extensions", "inf", "nan", "\\u", "\\U"];
    if !candidates.iter().any(|part| text.contains(part)) {
        return Vec::new();
    }
    let tokens = tokens(text);
    let mut edits = Vec::new();
    // The first token of a statement, and whether it has an option or a value already.
    let (mut start, mut is_plain) = (0, true);
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::String => surrogate_pairs(text, token, &mut edits),
            TokenKind::Mark(b'-') => edits.extend(negative_word(text, &tokens, index)),
            TokenKind::Mark(b'[') => {
                if is_plain {
                    let statement = tokens.get(start..index).unwrap_or_default();
                    edits.extend(single_number(text, statement));
                }
                is_plain = false;
            }
            TokenKind::Mark(b'=') => is_plain = false,
            TokenKind::Mark(b';' | b'{' | b'}') => (start, is_plain) = (index + 1, true),
            _ => {}
        }
    }
    edits
}

/// `extensions 100 [...]`, where the parser wants a range: the number is written again behind `to`.
fn single_number(text: &str, statement: &[Token]) -> Option<Edit> {
    let (number, before) = statement.split_last()?;
    let (first, previous) = (before.first()?, before.last()?);
    let is_range = previous.text(text) == "to";
    let is_number = number.text(text).starts_with(|c: char| c.is_ascii_digit());
    if first.text(text) != "extensions" || is_range || !is_number {
        return None;
    }
    let at = number.bytes.end;
    Some(Edit::new(at..at, format!(" to {}", number.text(text))))
}

/// `= -inf` and `= -nan` as the value of an option. The parser knows them in defaults alone.
fn negative_word(text: &str, tokens: &[Token], minus: usize) -> Option<Edit> {
    let (word, equals) = (tokens.get(minus + 1)?, minus.checked_sub(1)?);
    let name = tokens.get(equals.checked_sub(1)?)?;
    if !tokens.get(equals)?.is(b'=') || name.text(text) == "default" {
        return None;
    }
    let start = tokens.get(minus)?.bytes.start;
    match word.text(text) {
        // Too large for a float, and so infinite.
        "inf" => Some(Edit::new(word.bytes.clone(), "1e999")),
        "nan" => Some(Edit::new(start..start + 1, " ")),
        _ => None,
    }
}

/// Characters written as the two halves of their UTF-16: `\ud83d\ude00`.
fn surrogate_pairs(text: &str, token: &Token, edits: &mut Vec<Edit>) {
    let string = token.text(text);
    let mut at = 0;
    while let Some(found) = string.get(at..).and_then(|rest| rest.find('\\')) {
        let start = at + found;
        let (first, first_len) = unicode_escape(string, start).unwrap_or((0, 0));
        let second = unicode_escape(string, start + first_len);
        // Behind any other escape comes at least the escaped character.
        at = start
            + first_len.max(
                string
                    .get(start + 1..)
                    .map_or(1, |rest| 1 + rest.chars().next().map_or(0, char::len_utf8)),
            );
        let Some((second, second_len)) = second.filter(|_| first_len > 0) else {
            continue;
        };
        let is_pair = (0xd800..0xdc00).contains(&first) && (0xdc00..0xe000).contains(&second);
        if is_pair {
            let char = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            let end = start + first_len + second_len;
            let written = token.bytes.start + start..token.bytes.start + end;
            edits.push(Edit::new(written, format!("\\U{char:08x}")));
            at = end;
        }
    }
}

/// The number of an escape such as `\u00e9` or `\U000000e9`, and its length.
fn unicode_escape(string: &str, at: usize) -> Option<(u32, usize)> {
    let rest = string.get(at..)?;
    let len = if rest.starts_with("\\u") {
        6
    } else if rest.starts_with("\\U") {
        10
    } else {
        return None;
    };
    let number = u32::from_str_radix(rest.get(2..len)?, 16).ok()?;
    Some((number, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_parser_does_not_know_is_rewritten() {
        for (written, expected) in [
            ("extensions 5 [a = 1];", "extensions 5 to 5 [a = 1];"),
            (
                "extensions 1 to 3, 0x10 [a = 1];",
                "extensions 1 to 3, 0x10 to 0x10 [a = 1];",
            ),
            ("extensions 1 to 3 [a = 1];", "extensions 1 to 3 [a = 1];"),
            ("extensions e = 1 [a = 1];", "extensions e = 1 [a = 1];"),
            (
                "int32 extensions = 1 [a = -1];",
                "int32 extensions = 1 [a = -1];",
            ),
            ("(a) = -inf", "(a) = -1e999"),
            ("(a).b = - nan", "(a).b =   nan"),
            ("default = -inf", "default = -inf"),
            ("'\\ud83d\\ude00'", "'\\U0001f600'"),
            ("'\\\\ud83d\\ude00'", "'\\\\ud83d\\ude00'"),
            ("'\\ud83d \\ude00'", "'\\ud83d \\ude00'"),
            ("// '\\ud83d\\ude00'", "// '\\ud83d\\ude00'"),
        ] {
            assert_eq!(Prepared::new(written).text(), expected, "{written}");
        }
    }

    #[test]
    fn positions_lead_back() {
        let prepared = Prepared::new("a = -inf, '\\ud83d\\ude00' b");
        let at = |part: &str| {
            let start = prepared.text().find(part).unwrap();
            prepared.written(start..start + part.len())
        };
        assert_eq!(at("a"), 0..1);
        assert_eq!(at("1e999"), 5..8);
        assert_eq!(at("b"), 25..26);
        assert_eq!(at("'"), 10..11);
    }
}
