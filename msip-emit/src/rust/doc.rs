//! Comments of a schema as doc comments that rustdoc and clippy accept.
//!
//! Comments are Markdown at best, and rustdoc would compile their indented lines as Rust, look up their `[brackets]` as
//! items and parse their `<angles>` as HTML. [`sanitise`] keeps what is certainly meant as Markdown (paragraphs, lists,
//! headings, code, links to the web) and escapes the rest.

mod block;
mod inline;

use proc_macro2::TokenStream;
use quote::quote;

use crate::write::clean_lines;

/// The lines of a doc comment, without the space that precedes each in the source.
///
/// They are empty if the comment is blank. Otherwise they have:
///
/// - fenced and indented code in fences with a language that is not Rust, all closed;
/// - list items whose continuation lines are aligned with their text;
/// - `[` and `]` escaped unless they are a link to `http` or `https`, `<` escaped unless it encloses such an
///   address, and bare addresses enclosed;
/// - neither tabs, control characters nor marks that change the direction of text; no trailing spaces.
pub fn sanitise(comment: &str) -> Vec<String> {
    block::blocks(&clean_lines(comment))
}

/// The `#[doc = "…"]` attributes of these lines, which a formatter prints as `///`.
pub fn attributes(lines: &[String]) -> TokenStream {
    let lines = lines.iter().map(|line| {
        if line.is_empty() {
            String::new()
        } else {
            format!(" {line}")
        }
    });
    quote!(#(#[doc = #lines])*)
}

/// Whether `clippy::doc_markdown` may want backticks around a word of these lines, so that their item should allow it.
///
/// It may return true where clippy makes an exception.
pub fn lacks_backticks(lines: &[String]) -> bool {
    let mut fence: Option<&str> = None;
    for line in lines {
        let text = line.trim_start();
        let marks = text
            .get(..text.len() - text.trim_start_matches('`').len())
            .unwrap_or_default();
        match fence {
            Some(open) if text == open => fence = None,
            Some(_) => {}
            None if marks.len() >= 3 && text.rfind('`') < Some(marks.len()) => fence = Some(marks),
            None if text.split(char::is_whitespace).any(looks_like_code) => return true,
            None => {}
        }
    }
    false
}

/// Whether a word looks like an identifier, even inside of a code span of several words.
fn looks_like_code(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '`' | '\\'));
    let is_span = bare.len() > 2 && bare.starts_with('`') && bare.ends_with('`');
    if is_span && bare.matches('`').count() == 2 && !bare.contains('\\') {
        return false;
    }
    let upper = word.chars().filter(|c| c.is_uppercase()).count();
    word.contains('_')
        || word.contains("::")
        || word.contains("()")
        || (upper >= 2 && word.chars().any(char::is_lowercase))
}

#[cfg(test)]
mod tests;
