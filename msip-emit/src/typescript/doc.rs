//! Comments of a schema as TSDoc.

use crate::write::{CommentStyle, Writer, clean_lines, is_blank};

const TSDOC: CommentStyle = CommentStyle {
    open: "/**",
    line: " * ",
    close: " */",
    replace: &[("*/", "*\\/")],
};

/// Writes the comment of something, with what else there is to say of it below.
pub(super) fn write(comment: &str, deprecated: bool, out: &mut Writer) {
    write_or(comment, "", deprecated, out);
}

/// The same, with a text in the place of a comment that is blank.
pub(super) fn write_or(comment: &str, otherwise: &str, deprecated: bool, out: &mut Writer) {
    let mut lines = if is_blank(comment) {
        otherwise.lines().map(str::to_owned).collect()
    } else {
        escaped(&clean_lines(comment))
    };
    while lines.first().is_some_and(String::is_empty) {
        lines.remove(0);
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    if deprecated {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push("@deprecated The schema marks it as deprecated.".to_owned());
    }
    match lines.as_slice() {
        [only] => out.line(format_args!("/** {} */", only.replace("*/", "*\\/"))),
        lines => TSDOC.write(lines.iter().map(String::as_str), out),
    }
}

/// These lines without anything that TSDoc would take for a tag or for HTML, except in code.
fn escaped(lines: &[String]) -> Vec<String> {
    let mut fenced = false;
    let escape = |line: &String| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return line.clone();
        }
        if fenced {
            return line.clone();
        }
        let spans = line.matches('`').count() / 2 * 2;
        let mut text = String::with_capacity(line.len());
        for (index, part) in line.split('`').enumerate() {
            if index > 0 {
                text.push('`');
            }
            // What is between the first and the second backtick is code; a last one without its pair is none.
            if index % 2 == 1 && index < spans {
                text.push_str(part);
                continue;
            }
            for c in part.chars() {
                if matches!(c, '@' | '{' | '}' | '<' | '>') {
                    text.push('\\');
                }
                text.push(c);
            }
        }
        text
    };
    let mut escaped: Vec<String> = lines.iter().map(escape).collect();
    if fenced {
        escaped.push("```".to_owned());
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_text_to_tsdoc() {
        for (comment, deprecated, text) in [
            ("", false, ""),
            (" Says hello.", false, "/** Says hello. */\n"),
            (" Not */ the end.", false, "/** Not *\\/ the end. */\n"),
            (
                " By @ada, see {@link} and <b>; `@code {}` too.",
                false,
                "/** By \\@ada, see \\{\\@link\\} and \\<b\\>; `@code {}` too. */\n",
            ),
            (" A lone ` and @.", false, "/** A lone ` and \\@. */\n"),
            (
                " One\n\n ```\n @a\n",
                true,
                "/**\n * One\n *\n * ```\n * @a\n * ```\n *\n * @deprecated The schema marks it as deprecated.\n */\n",
            ),
            (
                "",
                true,
                "/** @deprecated The schema marks it as deprecated. */\n",
            ),
        ] {
            let mut out = Writer::new("  ");
            write(comment, deprecated, &mut out);
            assert_eq!(out.finish(), text, "{comment:?}");
        }
    }
}
