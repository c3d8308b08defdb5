//! Doc comments as attributes: the schema's words first, then what the emitter adds.

use proc_macro2::TokenStream;
use quote::quote;

use super::doc;

/// The longest line of ours, in characters.
const WIDTH: usize = 90;

/// The doc comment of one item, in paragraphs.
#[derive(Default)]
pub(super) struct Docs {
    lines: Vec<String>,
}

impl Docs {
    /// Begins with sanitised lines.
    pub(super) fn new(lines: &[String]) -> Self {
        Self {
            lines: lines.to_vec(),
        }
    }

    /// Begins with a paragraph of ours.
    pub(super) fn line(text: &str) -> Self {
        Self::default().paragraph(text)
    }

    /// Adds a paragraph of ours, broken into lines.
    pub(super) fn paragraph(mut self, text: &str) -> Self {
        if !self.lines.is_empty() {
            self.lines.push(String::new());
        }
        let mut line = String::new();
        for word in text.split(' ') {
            if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
                self.lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.lines.push(line);
        self
    }

    /// Adds a heading and its text.
    pub(super) fn section(self, heading: &str, text: &str) -> Self {
        self.paragraph(&format!("# {heading}")).paragraph(text)
    }

    /// The attributes.
    pub(super) fn attributes(&self) -> TokenStream {
        doc::attributes(&self.lines)
    }
}

/// `#[allow(…)]` for an item whose comments, all given, are partly the schema's; empty where nothing is to be
/// allowed.
pub(super) fn allow_for<'a>(comments: impl IntoIterator<Item = &'a [String]>) -> TokenStream {
    if comments.into_iter().any(doc::lacks_backticks) {
        quote!(#[allow(clippy::doc_markdown, reason = "these are the schema's comments")])
    } else {
        TokenStream::new()
    }
}
