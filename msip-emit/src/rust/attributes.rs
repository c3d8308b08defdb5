//! Attributes of generated items: doc comments, and the lints to allow.

use std::collections::BTreeSet;
use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::doc;

/// The longest line that the emitter adds, in characters.
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

    /// Begins with a paragraph of the emitter's.
    pub(super) fn line(text: &str) -> Self {
        Self::default().paragraph(text)
    }

    /// Adds a paragraph of the emitter's, broken into lines.
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

/// A time limit in words.
pub(super) fn in_words(timeout: Duration) -> String {
    if timeout.subsec_millis() == 0 {
        format!("{} s", timeout.as_secs())
    } else {
        format!("{} ms", timeout.as_millis())
    }
}

/// `#[allow(…)]` with these lints, and with `clippy::doc_markdown` if a comment of the schema may set it off.
pub(super) fn allow<'a>(
    lints: &TokenStream,
    comments: impl IntoIterator<Item = &'a [String]>,
) -> TokenStream {
    if comments.into_iter().any(doc::lacks_backticks) {
        quote!(#[allow(#lints, clippy::doc_markdown)])
    } else {
        quote!(#[allow(#lints)])
    }
}

/// Like [`allow`], for an item that a program may not use, or only partly.
pub(super) fn allow_unused<'a>(comments: impl IntoIterator<Item = &'a [String]>) -> TokenStream {
    // In a library public items count as used; a binary would be warned of each message that it never sends.
    allow(&quote!(dead_code), comments)
}

/// `#[allow(…)]` with clippy's lints on methods that have a well-known name but another signature, since the names are
/// the schema's: `new`, `from_depot_ind`.
pub(super) fn allow_names<'a>(methods: impl IntoIterator<Item = &'a Ident>) -> Option<TokenStream> {
    let mut lints = BTreeSet::new();
    for method in methods {
        let name = method.to_string();
        let is_conversion = ["into_", "from_"]
            .iter()
            .any(|start| name.starts_with(start));
        if is_conversion || name.ends_with("_mut") || name == "new" {
            lints.insert("wrong_self_convention");
        }
        match name.as_str() {
            "new" => lints.insert("new_ret_no_self"),
            "len" => lints.insert("len_without_is_empty"),
            "iter" | "iter_mut" => lints.insert("iter_not_returning_iterator"),
            _ => false,
        };
    }
    let lints = lints.iter().map(|lint| format_ident!("{lint}"));
    let lints: Vec<_> = lints.map(|lint| quote!(clippy::#lint)).collect();
    (!lints.is_empty()).then(|| quote!(#[allow(#(#lints),*)]))
}

/// Allows a function to be long if an arm for each member may make it so.
pub(super) fn allow_long(members: usize, lines_per_member: usize) -> Option<TokenStream> {
    // Clippy's limit is 100 lines; long names break an arm into three.
    (members * lines_per_member > 30).then(|| quote!(#[allow(clippy::too_many_lines)]))
}

/// Allows a table of the rows of many members, which clippy takes for one on the stack.
pub(super) fn allow_large_table(members: usize) -> Option<TokenStream> {
    // Clippy's limit is 16 KiB; a row has less than 160 bytes.
    (members > 100).then(|| quote!(#[allow(clippy::large_stack_arrays)]))
}
