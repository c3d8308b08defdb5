//! Inline elements: code, links, and marks that are meant as text.

/// Escapes what a Markdown parser would read as HTML or as a link to an item, and encloses bare addresses.
///
/// A code span ends in the line in which it begins; a backtick without its other half is text.
pub(super) fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '`' => code(rest, &mut out),
            '\\' => backslash(rest, &mut out),
            '[' => link(rest, &mut out),
            ']' => {
                out.push_str("\\]");
                1
            }
            '<' => angle(rest, &mut out),
            'h' | 'H' => address(rest, &mut out),
            other => {
                out.push(other);
                other.len_utf8()
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    out
}

/// A code span, or backticks that are text.
fn code(rest: &str, out: &mut String) -> usize {
    let len = rest.len() - rest.trim_start_matches('`').len();
    let (mark, inside) = rest.split_at(len);
    let mut from = 0;
    while let Some(start) = inside
        .get(from..)
        .and_then(|tail| tail.find('`'))
        .map(|at| from + at)
    {
        let tail = inside.get(start..).unwrap_or_default();
        let run = tail.len() - tail.trim_start_matches('`').len();
        let span = inside.get(..start).unwrap_or_default();
        // In a table a bar ends the cell, and with it the code.
        if run == len && !span.contains('|') {
            out.push_str(mark);
            out.push_str(span);
            out.push_str(mark);
            return len + start + run;
        }
        if run == len {
            break;
        }
        from = start + run;
    }
    out.extend(std::iter::repeat_n("\\`", len));
    len
}

/// An escaped mark is kept; a backslash before anything else is text.
fn backslash(rest: &str, out: &mut String) -> usize {
    match rest.chars().nth(1) {
        Some(next) if next.is_ascii_punctuation() => {
            out.push('\\');
            out.push(next);
            2
        }
        _ => {
            out.push_str("\\\\");
            1
        }
    }
}

/// A link to the web, or a bracket that is text.
fn link(rest: &str, out: &mut String) -> usize {
    match web_link(rest) {
        Some(link) => {
            out.push_str(link);
            link.len()
        }
        None => {
            out.push_str("\\[");
            1
        }
    }
}

/// `[text](https://…)` at the beginning, with plain text.
///
/// Nothing is looked for beyond the first character that cannot be part of it: brackets may follow each other without end.
fn web_link(rest: &str) -> Option<&str> {
    let inside = rest.strip_prefix('[')?;
    let end = inside.find(['[', ']', '<', '`', '\\', '|', '\'', '"'])?;
    let (text, after) = inside.split_at(end);
    let after = after.strip_prefix("](")?;
    let plain = !text.is_empty() && scheme_len(text.trim_start()).is_none();
    let end = after.find(|c: char| {
        c.is_whitespace() || matches!(c, '(' | ')' | '<' | '>' | '[' | ']' | '\\' | '|' | '`')
    })?;
    let (url, after) = after.split_at(end);
    let is_web = after.starts_with(')') && scheme_len(url).is_some_and(|len| len < url.len());
    (plain && is_web)
        .then(|| rest.get(..text.len() + url.len() + 4))
        .flatten()
}

/// `<https://…>`, or an angle that is text.
fn angle(rest: &str, out: &mut String) -> usize {
    let inside = rest.strip_prefix('<').unwrap_or_default();
    let end = inside.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '|'));
    let url = end.filter(|&end| inside.get(end..).is_some_and(|rest| rest.starts_with('>')));
    let url = url.and_then(|end| inside.get(..end));
    match url.filter(|url| scheme_len(url).is_some_and(|len| len < url.len())) {
        Some(url) => {
            out.push('<');
            out.push_str(url);
            out.push('>');
            url.len() + 2
        }
        None => {
            out.push_str("\\<");
            1
        }
    }
}

/// A bare address, enclosed, or a letter.
fn address(rest: &str, out: &mut String) -> usize {
    if scheme_len(rest).is_none() {
        out.extend(rest.chars().next());
        return 1;
    }
    let end = rest
        .find(|c: char| {
            c.is_whitespace() || matches!(c, '<' | '>' | '"' | '`' | '|' | '[' | ']' | '\\')
        })
        .unwrap_or(rest.len());
    let whole = rest.get(..end).unwrap_or_default();
    let mut url = whole.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_', '~']);
    // "(see https://example.org)" ends before the parenthesis, "…/Rust_(language)" after it.
    let mut unmatched = url
        .matches(')')
        .count()
        .saturating_sub(url.matches('(').count());
    while url.ends_with(')') && unmatched > 0 {
        unmatched -= 1;
        url = url.get(..url.len() - 1).unwrap_or_default();
        url = url.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_', '~']);
    }
    match scheme_len(url) {
        Some(len) if len < url.len() => {
            out.push('<');
            out.push_str(url);
            out.push('>');
            url.len()
        }
        _ => {
            out.extend(rest.chars().next());
            1
        }
    }
}

/// The length of `http://` or `https://`, if the text begins with it.
fn scheme_len(text: &str) -> Option<usize> {
    ["http://", "https://"]
        .into_iter()
        .find(|scheme| {
            text.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
        .map(str::len)
}
