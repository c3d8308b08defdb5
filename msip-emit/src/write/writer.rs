//! A writer of indented text.

use std::fmt::{self, Write as _};

use super::imports::Imports;

/// Text under construction: lines, their indentation, and the imports that they need.
///
/// ```
/// use msip_emit::write::Writer;
///
/// let mut out = Writer::new("    ");
/// out.line("class Chat:");
/// out.indent();
/// let point = out.import("geo", "Point");
/// out.line(format_args!("at: {point}"));
/// out.dedent();
/// let text = out.finish_with(|head, imports| {
///     for (module, names) in imports.iter() {
///         let names: Vec<&str> = names.map(|import| import.name).collect();
///         head.line(format_args!("from {module} import {}", names.join(", ")));
///     }
///     head.separate();
/// });
/// assert_eq!(text, "from geo import Point\n\nclass Chat:\n    at: Point\n");
/// ```
#[derive(Debug)]
pub struct Writer {
    text: String,
    unit: &'static str,
    depth: usize,
    /// Whether nothing has been written since the file or the block began.
    is_at_start: bool,
    imports: Imports,
}

impl Writer {
    /// An empty text whose levels are indented by `unit` each.
    #[must_use]
    pub fn new(unit: &'static str) -> Self {
        Self {
            text: String::new(),
            unit,
            depth: 0,
            is_at_start: true,
            imports: Imports::default(),
        }
    }

    /// Reserves names that the file defines itself: imports of the same name get another one.
    pub fn reserve(&mut self, names: impl IntoIterator<Item = String>) {
        self.imports.reserve(names);
    }

    /// Imports a name from a module, and returns what it is called in this file.
    pub fn import(&mut self, module: &str, name: &str) -> String {
        self.imports.import(module, name)
    }

    /// Writes one line, indented unless it is empty.
    pub fn line(&mut self, line: impl fmt::Display) {
        let start = self.text.len();
        for _ in 0..self.depth {
            self.text.push_str(self.unit);
        }
        let content = self.text.len();
        // Writing into a String cannot fail.
        let _ = write!(self.text, "{line}");
        if self.text.len() == content {
            self.text.truncate(start);
        }
        self.text.push('\n');
        self.is_at_start = false;
    }

    /// Writes lines as they are, such as those of a formatter that has indented them.
    pub fn raw(&mut self, lines: &str) {
        for line in lines.lines() {
            self.text.push_str(line);
            self.text.push('\n');
            self.is_at_start = false;
        }
    }

    /// Writes an empty line before what follows, unless that is the first thing in its block.
    pub fn separate(&mut self) {
        if !self.is_at_start {
            self.text.push('\n');
        }
    }

    /// Begins a block: what follows is indented by one more level.
    pub fn indent(&mut self) {
        self.depth += 1;
        self.is_at_start = true;
    }

    /// Ends a block.
    pub fn dedent(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.is_at_start = false;
    }

    /// The number of open blocks.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// What one level is indented by.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        self.unit
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    /// The text behind a head, which is written when all imports are known.
    #[must_use]
    pub fn finish_with(self, head: impl FnOnce(&mut Self, &Imports)) -> String {
        let mut before = Self::new(self.unit);
        head(&mut before, &self.imports);
        before.text + &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_indented_and_empty_lines_are_empty() {
        let mut out = Writer::new("  ");
        out.separate();
        out.line("a {");
        out.indent();
        out.separate();
        out.line("b {");
        out.indent();
        out.line("");
        out.line(format_args!("{} {}", "c", 1));
        out.dedent();
        out.line("}");
        out.separate();
        out.raw("  d\n");
        out.dedent();
        out.line("}");
        out.dedent();
        assert_eq!(out.depth(), 0);
        assert_eq!(out.finish(), "a {\n  b {\n\n    c 1\n  }\n\n  d\n}\n");
    }

    #[test]
    fn the_head_knows_all_imports() {
        let mut out = Writer::new("\t");
        out.reserve(["Point".to_owned()]);
        let point = out.import("geo", "Point");
        out.line(&point);
        let text = out.finish_with(|head, imports| {
            for (module, names) in imports.iter() {
                for import in names {
                    head.line(format_args!("{module} {} {}", import.name, import.local));
                }
            }
        });
        assert_eq!(text, "geo Point Point2\nPoint2\n");
    }
}
