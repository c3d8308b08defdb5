//! Items as text: formatted one by one, with the empty lines that a careful person would leave.

use std::fmt::Write as _;

use proc_macro2::{Ident, Span};
use syn::{File, Item, ItemMod};

/// A module that is to be printed: items, and modules of which each has its own.
#[derive(Debug, Default)]
pub(crate) struct Text {
    out: String,
    /// The modules that are open.
    open: usize,
    /// Whether something stands in the innermost module already.
    is_begun: bool,
}

impl Text {
    /// A file that begins with these comment lines.
    pub(crate) fn new(header: &[String]) -> Self {
        let mut out = String::new();
        for line in header {
            // Writing into a String cannot fail.
            let _ = writeln!(out, "// {line}");
        }
        Self {
            out,
            open: 0,
            is_begun: true,
        }
    }

    /// Opens a public module.
    pub(crate) fn open(&mut self, doc: &str, name: &str) {
        self.gap();
        let indent = self.indent();
        let _ = writeln!(self.out, "{indent}/// {doc}\n{indent}pub mod {name} {{");
        self.open += 1;
        self.is_begun = false;
    }

    /// Closes the innermost module.
    pub(crate) fn close(&mut self) {
        self.open = self.open.saturating_sub(1);
        let indent = self.indent();
        let _ = writeln!(self.out, "{indent}}}");
        self.is_begun = true;
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
                self.gap();
                let mut lines: Vec<&str> = lines.lines().collect();
                let head = lines
                    .pop()
                    .map(|last| last.trim_end().trim_end_matches('}').to_owned())
                    .unwrap_or_default();
                for line in lines {
                    let _ = writeln!(self.out, "{line}");
                }
                let _ = writeln!(self.out, "{head}");
                self.open += 1;
                self.is_begun = false;
                for item in items {
                    self.item(item);
                }
                self.close();
            }
            item => {
                let has_members = matches!(item, Item::Trait(_) | Item::Impl(_));
                let lines = self.lines(item);
                self.gap();
                if has_members {
                    self.members(&lines)
                } else {
                    self.out.push_str(&lines)
                }
            }
        }
    }

    /// Adds lines as they stand.
    pub(crate) fn verbatim(&mut self, lines: &[&str]) {
        self.gap();
        let indent = self.indent();
        for line in lines {
            let _ = writeln!(self.out, "{indent}{line}");
        }
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }

    fn indent(&self) -> String {
        "    ".repeat(self.open)
    }

    /// An empty line, unless this is the first thing in its module.
    fn gap(&mut self) {
        if self.is_begun {
            self.out.push('\n');
        }
        self.is_begun = true;
    }

    /// An item formatted as it stands inside the open modules, so that the width of lines is right.
    fn lines(&self, item: Item) -> String {
        let mut item = item;
        for _ in 0..self.open {
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
            .get(self.open..lines.len().saturating_sub(self.open))
            .unwrap_or_default();
        let mut text = inner.join("\n");
        text.push('\n');
        text
    }

    /// Adds a trait or an implementation, with empty lines between members unless both are single lines.
    fn members(&mut self, lines: &str) {
        let indent = "    ".repeat(self.open + 1);
        let deeper = |line: &str| {
            line.strip_prefix(&indent)
                .is_some_and(|rest| rest.starts_with(' '))
        };
        let at_member = |line: &str| line.starts_with(&indent) && !deeper(line);
        let is_end = |line: &str| at_member(line) && (line.ends_with(';') || line.ends_with('}'));
        let mut member_lines = 0_usize;
        let mut last_was_long = None;
        let mut pending = String::new();
        let mut is_head = true;
        for line in lines.lines() {
            if is_head || !line.starts_with(&indent) {
                // The head, which ends with the brace and may have lines of its own, or the end of the item.
                is_head &= line.starts_with(&indent) || !line.ends_with('{');
                self.out.push_str(line);
                self.out.push('\n');
                continue;
            }
            pending.push_str(line);
            pending.push('\n');
            member_lines += 1;
            if is_end(line) {
                let is_long = member_lines > 1;
                if last_was_long.is_some_and(|last| last || is_long) {
                    self.out.push('\n');
                }
                self.out.push_str(&std::mem::take(&mut pending));
                last_was_long = Some(is_long);
                member_lines = 0;
            }
        }
        // A member's last line always ends in one of the two; should the formatter differ, nothing is lost.
        self.out.push_str(&pending);
    }
}
