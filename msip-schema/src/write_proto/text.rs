//! The text of a `.proto` file under construction.

use std::fmt::Write as _;

/// Lines, and their indentation.
#[derive(Default)]
pub(super) struct Text {
    text: String,
    depth: usize,
}

impl Text {
    pub(super) fn line(&mut self, line: &str) {
        if !line.is_empty() {
            self.text.extend(std::iter::repeat_n("  ", self.depth));
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    pub(super) fn blank(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    pub(super) fn comment(&mut self, doc: &str) {
        for line in doc.trim_end().lines() {
            // A doc attribute can contain what no file may.
            let line: String = line
                .chars()
                .map(|c| if c.is_control() && c != '\t' { ' ' } else { c })
                .collect();
            let line = line.trim_end();
            if line.is_empty() {
                self.line("//");
            } else {
                self.line(&format!("// {line}"));
            }
        }
    }

    /// All of it.
    pub(super) fn finish(self) -> String {
        self.text
    }

    /// `head {`, what `body` writes, and `}`.
    pub(super) fn block(&mut self, head: &str, body: impl FnOnce(&mut Self)) {
        let start = self.text.len();
        self.line(&format!("{head} {{"));
        let opened = self.text.len();
        self.depth += 1;
        body(self);
        self.depth -= 1;
        if self.text.len() == opened {
            self.text.truncate(start);
            self.line(&format!("{head} {{}}"));
        } else {
            self.line("}");
        }
    }
}

/// A text as `.proto` files quote it.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                // Writing into a String cannot fail.
                let _ = write!(quoted, "\\{:03o}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
