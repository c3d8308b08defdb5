//! Printing of items: formatted one by one, with empty lines as in code written by hand.

use msip_emit::rust::syntax::{COMMENT, DOC_COMMENT, INDENT};
use msip_emit::write::Writer;
use proc_macro2::{Ident, Span};
use syn::{File, Item, ItemMod};

/// Rust under construction: items and nested modules.
#[derive(Debug)]
pub(crate) struct Text {
    out: Writer,
}

impl Text {
    /// A file that begins with these comment lines.
    pub(crate) fn new(header: &[String]) -> Self {
        let mut out = Writer::new(INDENT);
        COMMENT.write(header.iter().map(String::as_str), &mut out);
        Self { out }
    }

    /// Opens a public module.
    pub(crate) fn open(&mut self, doc: &str, name: &str) {
        self.out.separate();
        DOC_COMMENT.write([doc], &mut self.out);
        self.out.line(format_args!("pub mod {name} {{"));
        self.out.indent();
    }

    /// Closes the innermost module.
    pub(crate) fn close(&mut self) {
        self.out.dedent();
        self.out.line("}");
    }

    /// Adds an item.
    pub(crate) fn item(&mut self, item: Item) {
        match item {
            Item::Mod(ItemMod {
                attrs,
                vis,
                unsafety,
                mod_token,
                ident,
                content: Some((brace, items)),
                semi,
            }) => {
                // The module's own lines, then its items one by one.
                let empty = ItemMod {
                    attrs,
                    vis,
                    unsafety,
                    mod_token,
                    ident,
                    content: Some((brace, Vec::new())),
                    semi,
                };
                let lines = self.lines(Item::Mod(empty));
                self.out.separate();
                let mut lines: Vec<&str> = lines.lines().collect();
                let head = lines
                    .pop()
                    .map(|last| last.trim_end().trim_end_matches('}').to_owned())
                    .unwrap_or_default();
                for line in lines {
                    self.out.raw(line);
                }
                self.out.raw(&head);
                self.out.indent();
                for item in items {
                    self.item(item);
                }
                self.close();
            }
            item => {
                let has_members = matches!(item, Item::Trait(_) | Item::Impl(_));
                let lines = self.lines(item);
                self.out.separate();
                if has_members {
                    self.members(&lines)
                } else {
                    self.out.raw(&lines);
                }
            }
        }
    }

    /// Adds lines as they are, indented.
    pub(crate) fn verbatim(&mut self, lines: &[&str]) {
        self.out.separate();
        for line in lines {
            self.out.line(line);
        }
    }

    pub(crate) fn finish(self) -> String {
        self.out.finish()
    }

    /// An item formatted as if inside of the open modules, so that the width of lines is right.
    fn lines(&self, item: Item) -> String {
        let mut item = item;
        for _ in 0..self.out.depth() {
            let ident = Ident::new("m", Span::call_site());
            item = Item::Mod(ItemMod {
                attrs: Vec::new(),
                vis: syn::Visibility::Inherited,
                unsafety: None,
                mod_token: syn::token::Mod::default(),
                ident,
                content: Some((syn::token::Brace::default(), vec![item])),
                semi: None,
            });
        }
        let text = prettyplease::unparse(&File {
            shebang: None,
            frontmatter: None,
            attrs: Vec::new(),
            items: vec![item],
        });
        let lines: Vec<&str> = text.lines().collect();
        let inner = lines
            .get(self.out.depth()..lines.len().saturating_sub(self.out.depth()))
            .unwrap_or_default();
        let mut text = inner.join("\n");
        text.push('\n');
        text
    }

    /// Adds a trait or an implementation, with empty lines between members unless both are single lines.
    fn members(&mut self, lines: &str) {
        let indent = INDENT.repeat(self.out.depth() + 1);
        let deeper = |line: &str| {
            line.strip_prefix(&indent)
                .is_some_and(|rest| rest.starts_with(' '))
        };
        let at_member = |line: &str| line.starts_with(&indent) && !deeper(line);
        // A comment may end with anything.
        let is_comment = |line: &str| line.trim_start().starts_with("//");
        let is_end = |line: &str| {
            at_member(line) && !is_comment(line) && (line.ends_with(';') || line.ends_with('}'))
        };
        let mut out = String::new();
        let mut member_lines = 0_usize;
        let mut last_was_long = None;
        let mut pending = String::new();
        let mut is_head = true;
        for line in lines.lines() {
            if is_head || !line.starts_with(&indent) {
                // The head, which ends with the brace and may have lines of its own, or the end of the item.
                is_head &= line.starts_with(&indent) || !line.ends_with('{');
                out.push_str(line);
                out.push('\n');
                continue;
            }
            pending.push_str(line);
            pending.push('\n');
            member_lines += 1;
            if is_end(line) {
                let is_long = member_lines > 1;
                if last_was_long.is_some_and(|last| last || is_long) {
                    out.push('\n');
                }
                out.push_str(&std::mem::take(&mut pending));
                last_was_long = Some(is_long);
                member_lines = 0;
            }
        }
        // A member's last line always ends in one of the two. If the formatter should change, nothing is lost.
        out.push_str(&pending);
        self.out.raw(&out);
    }
}
