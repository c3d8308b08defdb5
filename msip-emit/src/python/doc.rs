//! Docstrings.

use crate::write::{Writer, clean_lines};

/// Writes a schema's comment as a docstring; nothing if it is blank and nothing is said besides.
pub(super) fn docstring(comment: &str, notes: &[&str], out: &mut Writer) {
    let mut lines = clean_lines(comment);
    while lines.first().is_some_and(String::is_empty) {
        lines.remove(0);
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    for note in notes {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push((*note).to_owned());
    }
    let Some((last, before)) = lines.split_last() else {
        return;
    };
    let Some((first, middle)) = before.split_first() else {
        out.line(format_args!("\"\"\"{}\"\"\"", closed(last)));
        return;
    };
    out.line(format_args!("\"\"\"{}", escaped(first)));
    for line in middle {
        out.line(escaped(line));
    }
    out.line(escaped(last));
    out.line("\"\"\"");
}

fn escaped(line: &str) -> String {
    line.replace('\\', "\\\\").replace("\"\"\"", "\\\"\\\"\\\"")
}

/// The text before the quotes that close the docstring: a quote of its own would close it too early.
fn closed(line: &str) -> String {
    let escaped = escaped(line);
    match escaped.strip_suffix('"') {
        Some(rest) if !line.ends_with("\"\"\"") => format!("{rest}\\\""),
        _ => escaped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_comment_is_a_docstring() {
        for (comment, notes, text) in [
            ("", &[][..], ""),
            (" \n", &["Deprecated."], "\"\"\"Deprecated.\"\"\"\n"),
            (" Says hello.", &[], "\"\"\"Says hello.\"\"\"\n"),
            (" a \"quote\"", &[], "\"\"\"a \"quote\\\"\"\"\"\n"),
            (" \"\"\" and \\", &[], "\"\"\"\\\"\\\"\\\" and \\\\\"\"\"\n"),
            (
                " a\n\n  b\"",
                &["Deprecated."],
                "\"\"\"a\n\n b\"\n\nDeprecated.\n\"\"\"\n",
            ),
            (" a \\\"", &[], "\"\"\"a \\\\\\\"\"\"\"\n"),
            (" \"\"\"", &[], "\"\"\"\\\"\\\"\\\"\"\"\"\n"),
        ] {
            let mut out = Writer::new("    ");
            docstring(comment, notes, &mut out);
            assert_eq!(out.finish(), text, "{comment:?}");
        }
    }
}
