//! Limits that are checked before the parser runs.

use std::ops::Range;

/// The largest file, in bytes.
pub(crate) const MAX_FILE_LEN: usize = 4 << 20;

/// How deep brackets may be nested. The parser itself allows 31 levels of messages; this bounds what it reads by
/// recursion, such as the text format in options.
pub(crate) const MAX_BRACKET_DEPTH: usize = 100;

/// The first byte at which brackets are nested too deeply.
pub(crate) fn too_deep(text: &str) -> Option<usize> {
    // Counting all brackets, even those in comments and strings, never counts too few.
    let everywhere = deepest(text.bytes().enumerate())?;
    // It may count too many; then strings and comments are skipped as the parser does. Text format has comments that
    // begin with `#`, which this does not know, so files with a `#` are judged by the first count.
    let Some(code) = outside_strings_and_comments(text) else {
        return Some(everywhere);
    };
    deepest(code.into_iter())
}

/// The first byte that is nested deeper than allowed.
fn deepest(bytes: impl Iterator<Item = (usize, u8)>) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in bytes {
        match byte {
            b'{' | b'[' | b'(' | b'<' => depth += 1,
            b'}' | b']' | b')' | b'>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_BRACKET_DEPTH {
            return Some(at);
        }
    }
    None
}

/// The bytes that are neither in a string nor in a comment; `None` if `#` is among them.
fn outside_strings_and_comments(text: &str) -> Option<Vec<(usize, u8)>> {
    let bytes = text.as_bytes();
    let mut code = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = text.as_bytes().get(at..).unwrap_or_default();
        match byte {
            b'#' => return None,
            b'"' | b'\'' => at += string_len(rest),
            b'/' if rest.starts_with(b"//") => at += line_len(rest),
            b'/' if rest.starts_with(b"/*") => at += block_len(rest),
            _ => {
                code.push((at, byte));
                at += 1;
            }
        }
    }
    Some(code)
}

/// The length of the string that begins here; one that is not closed ends with its line.
pub(crate) fn string_len(rest: &[u8]) -> usize {
    let quote = rest.first().copied();
    let mut escaped = false;
    for (index, &byte) in rest.iter().enumerate().skip(1) {
        match byte {
            b'\n' => return index,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if Some(byte) == quote => return index + 1,
            _ => {}
        }
    }
    rest.len()
}

pub(crate) fn line_len(rest: &[u8]) -> usize {
    rest.iter()
        .position(|&byte| byte == b'\n')
        .unwrap_or(rest.len())
}

/// The length of the block comment that begins here, its end included.
pub(crate) fn block_len(rest: &[u8]) -> usize {
    rest.get(2..)
        .unwrap_or_default()
        .windows(2)
        .position(|pair| pair == b"*/")
        .map_or(rest.len(), |at| at + 4)
}

/// The language that a file declares.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Proto3,
    /// `syntax = "proto2"` or another text.
    Syntax(Range<usize>),
    /// `edition = …`
    Edition(Range<usize>),
    /// None, which means proto2; the first word of the file.
    Undeclared(Range<usize>),
}

/// Reads the first statement of a file.
pub(crate) fn language(text: &str) -> Language {
    let start = skip_blank(text, 0);
    let rest = text.get(start..).unwrap_or("");
    let word_len = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    let word = rest.get(..word_len).unwrap_or("");
    let end = start
        + rest
            .find(';')
            .map_or(word_len, |at| at + 1)
            .min(rest.find('\n').unwrap_or(rest.len()));
    match word {
        "edition" => Language::Edition(start..end),
        "syntax" => {
            let statement = text.get(start..).unwrap_or("");
            let statement = statement
                .get(..statement.find(';').unwrap_or(statement.len()))
                .unwrap_or("");
            // An unfinished statement is reported by the parser.
            let other = statement.contains("\"proto2\"") || statement.contains("'proto2'");
            if other {
                Language::Syntax(start..end)
            } else {
                Language::Proto3
            }
        }
        _ => Language::Undeclared(start..start + word_len),
    }
}

/// The first byte at or after `at` that is neither blank nor in a comment.
fn skip_blank(text: &str, mut at: usize) -> usize {
    loop {
        let rest = text.as_bytes().get(at..).unwrap_or_default();
        let step = match rest.first() {
            Some(byte) if byte.is_ascii_whitespace() => 1,
            Some(b'/') if rest.starts_with(b"//") => line_len(rest),
            Some(b'/') if rest.starts_with(b"/*") => block_len(rest),
            _ => return at,
        };
        at += step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_strings_and_comments() {
        let deep = "{".repeat(MAX_BRACKET_DEPTH + 1);
        for (name, text, refused) in [
            ("plain", deep.clone(), true),
            ("at the limit", "[".repeat(MAX_BRACKET_DEPTH), false),
            ("line comment", format!("// {deep}\n"), false),
            ("block comment", format!("/* {deep} */"), false),
            ("block comment that ends", format!("/* */ {deep}"), true),
            ("string", format!("\"{deep}\""), false),
            ("string with escape", format!("\"\\\"{deep}\""), false),
            (
                "string that ends with its line",
                format!("\"\n{deep}"),
                true,
            ),
            (
                "hash comment that hides a block comment",
                format!("# /*\n{deep}"),
                true,
            ),
            ("closed again", "{}".repeat(1_000), false),
        ] {
            assert_eq!(too_deep(&text).is_some(), refused, "{name}");
        }
    }

    #[test]
    fn the_language_is_read_behind_comments() {
        for (text, expected) in [
            ("syntax = \"proto3\";", Language::Proto3),
            (
                "/* a */ // b\n syntax = 'proto2';",
                Language::Syntax(14..32),
            ),
            ("edition = \"2023\";\n", Language::Edition(0..17)),
            ("package a;", Language::Undeclared(0..7)),
            ("", Language::Undeclared(0..0)),
            ("syntax", Language::Proto3),
        ] {
            assert_eq!(language(text), expected, "{text:?}");
        }
    }
}
