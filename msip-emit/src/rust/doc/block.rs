//! Blocks: paragraphs, lists, headings, code.

use super::inline::inline;

/// How many items of lists may be nested; a mark beyond them is text.
const MAX_ITEMS: usize = 50;

/// Rewrites clean lines so that a Markdown parser reads each block as what it looks like.
pub(super) fn blocks(lines: &[String]) -> Vec<String> {
    let mut writer = Writer::default();
    let mut rest = lines;
    while let Some((line, after)) = rest.split_first() {
        let taken = writer.block(line, after);
        rest = after.get(taken..).unwrap_or_default();
    }
    while writer.out.last().is_some_and(String::is_empty) {
        writer.out.pop();
    }
    writer.out
}

#[derive(Default)]
struct Writer {
    out: Vec<String>,
    /// The list items that are open, outermost first.
    items: Vec<Item>,
    /// Whether the last line was text, which the next may continue.
    in_paragraph: bool,
}

#[derive(Clone, Copy)]
struct Item {
    /// The column at which the item's text begins.
    text: usize,
    ordered: bool,
}

impl Writer {
    /// Writes the block that begins with this line; returns how many of the lines after it belong to it.
    fn block(&mut self, line: &str, after: &[String]) -> usize {
        let indent = indentation(line);
        let body = line.trim_start();
        if body.is_empty() {
            if self.out.last().is_some_and(|line| !line.is_empty()) {
                self.out.push(String::new());
            }
            self.in_paragraph = false;
            return 0;
        }
        if let Some(fence) = Fence::open(body) {
            return self.fenced(indent, &fence, after);
        }
        let level = self.level(indent);
        if !self.in_paragraph && indent >= level + 4 {
            return self.indented(level, line, after);
        }
        if is_rule(body) {
            self.close_above(indent);
            self.push(level, "***");
            self.in_paragraph = false;
            return 0;
        }
        if let Some((marks, text)) = heading(body) {
            self.close_above(indent);
            self.push(level, &format!("{marks} {}", inline(text)));
            self.in_paragraph = false;
            return 0;
        }
        if let Some(text) = self.items_of(indent, body) {
            self.out.push(text);
            self.in_paragraph = true;
            return 0;
        }
        if !self.in_paragraph {
            self.close_above(indent);
        }
        self.push(self.items.last().map_or(0, |item| item.text), &plain(body));
        self.in_paragraph = true;
        0
    }

    /// The largest column, up to this one, at which the text of an open item begins.
    fn level(&self, indent: usize) -> usize {
        self.items
            .iter()
            .rev()
            .map(|item| item.text)
            .find(|text| *text <= indent)
            .unwrap_or(0)
    }

    /// Closes the items that a line with this indentation does not belong to.
    fn close_above(&mut self, indent: usize) {
        while self.items.last().is_some_and(|item| item.text > indent) {
            self.items.pop();
        }
    }

    fn push(&mut self, level: usize, text: &str) {
        self.out.push(format!("{:level$}{text}", ""));
    }

    /// The line of a list item, or of several that begin in one line, if it is one.
    fn items_of(&mut self, indent: usize, body: &str) -> Option<String> {
        let level = self.level(indent);
        let beside = self.items.iter().find(|item| item.text > indent).copied();
        let mut marker = Marker::open(body)?;
        // Within a paragraph "1986. A good year" is text, unless a list goes on.
        if marker.ordered
            && !marker.is_first
            && self.in_paragraph
            && !beside.is_some_and(|item| item.ordered)
        {
            return None;
        }
        self.close_above(indent);
        let mut text = " ".repeat(level);
        loop {
            text.push_str(marker.mark);
            text.push(' ');
            self.items.push(Item {
                text: text.len(),
                ordered: marker.ordered,
            });
            match Marker::open(marker.rest) {
                Some(_) if self.items.len() >= MAX_ITEMS => {
                    text.push('\\');
                    text.push_str(&inline(marker.rest));
                    return Some(text);
                }
                Some(inner) => marker = inner,
                None => break,
            }
        }
        match heading(marker.rest) {
            Some((marks, rest)) => text.push_str(&format!("{marks} {}", inline(rest))),
            None => text.push_str(&plain(marker.rest)),
        }
        Some(text)
    }

    fn fenced(&mut self, indent: usize, fence: &Fence<'_>, after: &[String]) -> usize {
        let level = self.level(indent);
        self.close_above(indent);
        let end = after.iter().position(|line| fence.is_closed_by(line));
        let code = after.get(..end.unwrap_or(after.len())).unwrap_or_default();
        self.code(
            level,
            indent,
            language(fence.info),
            code.iter().map(String::as_str),
        );
        code.len() + usize::from(end.is_some())
    }

    fn indented(&mut self, level: usize, first: &str, after: &[String]) -> usize {
        let is_code = |line: &&String| line.is_empty() || indentation(line) >= level + 4;
        let mut count = after.iter().take_while(is_code).count();
        while count > 0 && after.get(count - 1).is_some_and(String::is_empty) {
            count -= 1;
        }
        let more = after.get(..count).unwrap_or_default();
        self.close_above(level);
        self.code(
            level,
            level + 4,
            "text",
            std::iter::once(first).chain(more.iter().map(String::as_str)),
        );
        count
    }

    /// A closed fence around code that was indented by `indent`, longer than any in it.
    fn code<'l>(
        &mut self,
        level: usize,
        indent: usize,
        language: &str,
        code: impl Iterator<Item = &'l str> + Clone,
    ) {
        let longest = code.clone().map(longest_run).max().unwrap_or(0);
        let fence = "`".repeat(3.max(longest + 1));
        self.push(level, &format!("{fence}{language}"));
        for line in code {
            let text = line
                .get(indent.min(indentation(line))..)
                .unwrap_or_default();
            if text.is_empty() {
                self.out.push(String::new());
            } else {
                self.push(level, text);
            }
        }
        self.push(level, &fence);
        self.in_paragraph = false;
    }
}

/// The line that opens fenced code.
struct Fence<'l> {
    mark: char,
    len: usize,
    info: &'l str,
}

impl<'l> Fence<'l> {
    fn open(body: &'l str) -> Option<Self> {
        let mark = body
            .chars()
            .next()
            .filter(|mark| matches!(mark, '`' | '~'))?;
        let info = body.trim_start_matches(mark);
        let len = body.len() - info.len();
        (len >= 3 && !(mark == '`' && info.contains('`'))).then_some(Self { mark, len, info })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let body = line.trim_start();
        body.len() >= self.len && body.chars().all(|c| c == self.mark)
    }
}

/// The mark of a list item and what follows it.
struct Marker<'l> {
    mark: &'l str,
    rest: &'l str,
    ordered: bool,
    /// Whether it is a bullet or the number 1, which may interrupt a paragraph.
    is_first: bool,
}

impl<'l> Marker<'l> {
    fn open(body: &'l str) -> Option<Self> {
        let (mark, rest) = body.split_once(' ')?;
        let rest = rest.trim_start();
        let digits = mark.trim_end_matches(['.', ')']);
        let ordered = mark.len() == digits.len() + 1
            && (1..=9).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_digit());
        // An item without text cannot interrupt a paragraph, and a rule is not an item.
        let is_item =
            (ordered || matches!(mark, "-" | "*" | "+")) && !rest.is_empty() && !is_rule(body);
        is_item.then_some(Self {
            mark,
            rest,
            ordered,
            is_first: !ordered || digits == "1",
        })
    }
}

/// Text that begins neither a quotation, a list item, a heading nor a fence.
fn plain(body: &str) -> String {
    let escape = match body.as_bytes() {
        [b'>', ..] => true,
        // A line of these underlines the one above; alone they begin an empty item.
        [b'-' | b'=' | b'+' | b'*', ..] => body
            .bytes()
            .all(|byte| Some(&byte) == body.as_bytes().first()),
        [b'~', b'~', b'~', ..] => true,
        _ => false,
    };
    let digits = body.bytes().take_while(u8::is_ascii_digit).count();
    let is_number = digits > 0 && matches!(body.as_bytes().get(digits), Some(b'.' | b')'));
    if escape {
        format!("\\{}", inline(body))
    } else if is_number
        && body
            .as_bytes()
            .get(digits + 1)
            .is_none_or(|byte| *byte == b' ')
    {
        let (number, rest) = body.split_at(digits);
        format!("{number}\\{}", inline(rest))
    } else {
        inline(body)
    }
}

/// `***`, `- - -` and the like.
fn is_rule(body: &str) -> bool {
    let mut marks = body.chars().filter(|c| *c != ' ');
    match marks.next() {
        Some(first @ ('*' | '-' | '_')) => {
            let mut others = 0;
            marks.all(|c| {
                others += 1;
                c == first
            }) && others >= 2
        }
        _ => false,
    }
}

/// The marks and the text of a heading.
fn heading(body: &str) -> Option<(&str, &str)> {
    let text = body.trim_start_matches('#');
    let marks = body.get(..body.len() - text.len())?;
    ((1..=6).contains(&marks.len()) && text.starts_with(' ')).then(|| (marks, text.trim()))
}

/// The language of fenced code, if it is known not to be Rust.
fn language(info: &str) -> &'static str {
    const HARMLESS: &[&str] = &[
        "bash",
        "c",
        "console",
        "cpp",
        "css",
        "csv",
        "diff",
        "go",
        "html",
        "http",
        "ini",
        "java",
        "javascript",
        "js",
        "json",
        "kotlin",
        "mermaid",
        "proto",
        "protobuf",
        "py",
        "python",
        "sh",
        "shell",
        "sql",
        "swift",
        "toml",
        "ts",
        "typescript",
        "xml",
        "yaml",
        "yml",
    ];
    let word = info
        .trim()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .next()
        .unwrap_or_default();
    HARMLESS
        .iter()
        .find(|language| word.eq_ignore_ascii_case(language))
        .copied()
        .unwrap_or("text")
}

/// The length of the longest run of backticks.
fn longest_run(line: &str) -> usize {
    line.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// The number of spaces that a line begins with.
fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}
