//! Comments: those of a schema, cleaned, in the syntax of a language.

use super::writer::Writer;

/// How a language writes a comment of several lines.
///
/// ```
/// use msip_emit::write::{CommentStyle, Writer};
///
/// const JAVADOC: CommentStyle =
///     CommentStyle { open: "/**", line: " * ", close: " */", replace: &[("*/", "*\u{2215}")] };
/// let mut out = Writer::new("  ");
/// JAVADOC.write(["Says hello.", "", "Not */ the end."], &mut out);
/// assert_eq!(out.finish(), "/**\n * Says hello.\n *\n * Not *∕ the end.\n */\n");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommentStyle {
    /// The line above, if there is one.
    pub open: &'static str,
    /// What each line begins with, a space behind it included.
    pub line: &'static str,
    /// The line below, if there is one.
    pub close: &'static str,
    /// Text that would end the comment or has a meaning in it, each with its replacement.
    pub replace: &'static [(&'static str, &'static str)],
}

impl CommentStyle {
    /// Writes these lines as a comment; nothing if there are none.
    pub fn write<'l>(&self, lines: impl IntoIterator<Item = &'l str>, out: &mut Writer) {
        let mut lines = lines.into_iter().peekable();
        if lines.peek().is_none() {
            return;
        }
        if !self.open.is_empty() {
            out.line(self.open);
        }
        for line in lines {
            let mut text = line.to_owned();
            for (from, to) in self.replace {
                text = text.replace(from, to);
            }
            if text.is_empty() {
                out.line(self.line.trim_end());
            } else {
                out.line(format_args!("{}{text}", self.line));
            }
        }
        if !self.close.is_empty() {
            out.line(self.close);
        }
    }
}

/// Whether nothing is left of a comment once it is cleaned.
#[must_use]
pub fn is_blank(comment: &str) -> bool {
    comment.lines().all(|line| clean(line).is_empty())
}

/// The lines of a schema's comment, for any language: without what an editor does not show, without the indentation
/// that all of them share, and with spaces for tabs.
#[must_use]
pub fn clean_lines(comment: &str) -> Vec<String> {
    let mut lines: Vec<String> = comment.lines().map(clean).collect();
    let shared = lines
        .iter()
        .filter(|line| !line.is_empty())
        .map(|line| line.len() - line.trim_start_matches(' ').len())
        .min()
        .unwrap_or(0);
    for line in &mut lines {
        line.drain(..shared.min(line.len()));
    }
    lines
}

/// A line without what an editor does not show.
fn clean(line: &str) -> String {
    let mut clean = String::with_capacity(line.len());
    let mut column = 0_usize;
    for c in line.chars() {
        match c {
            '\t' => {
                let width = 4 - column % 4;
                clean.extend(std::iter::repeat_n(' ', width));
                column += width;
            }
            // Marks that make text look unlike what it is; rustc refuses them.
            '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => {}
            c if c.is_control() => {}
            // Other spaces, which `trim` removes but a Markdown parser takes for text.
            c if c.is_whitespace() => {
                clean.push(' ');
                column += 1;
            }
            c => {
                clean.push(c);
                column += 1;
            }
        }
    }
    clean.truncate(clean.trim_end().len());
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(style: CommentStyle, lines: &[&str]) -> String {
        let mut out = Writer::new("  ");
        out.indent();
        style.write(lines.iter().copied(), &mut out);
        out.finish()
    }

    #[test]
    fn comments_are_written_line_by_line() {
        let rust = CommentStyle {
            open: "",
            line: "/// ",
            close: "",
            replace: &[],
        };
        let python = CommentStyle {
            open: "\"\"\"",
            line: "",
            close: "\"\"\"",
            replace: &[("\\", "\\\\"), ("\"", "\\\"")],
        };
        for (style, lines, text) in [
            (rust, &[][..], ""),
            (rust, &["a", "", "  b"], "  /// a\n  ///\n  ///   b\n"),
            (
                python,
                &["a \"\"\" \\", "", "b"],
                "  \"\"\"\n  a \\\"\\\"\\\" \\\\\n\n  b\n  \"\"\"\n",
            ),
        ] {
            assert_eq!(written(style, lines), text);
        }
    }

    #[test]
    fn lines_lose_what_is_not_seen_and_what_they_share() {
        for (comment, lines) in [
            ("", &[][..]),
            (" a\n\n   b\u{7} \n", &["a", "", "  b"]),
            ("\ta\n\t\tb", &["a", "    b"]),
            ("a\u{202e}b\u{a0}c", &["ab c"]),
        ] {
            assert_eq!(clean_lines(comment), lines, "{comment:?}");
            assert_eq!(is_blank(comment), lines.is_empty(), "{comment:?}");
        }
        assert!(is_blank(" \n\u{202e}\t\u{7}\n"));
    }
}
