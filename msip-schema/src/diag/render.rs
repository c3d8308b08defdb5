//! Rendering of diagnostics: the message, the lines that it refers to, and the help.

use std::fmt::Write as _;
use std::ops::Range;

use super::diagnostic::{Diagnostic, Label};
use super::source::{FileId, SourceFile, SourceMap};

/// How much of a line is shown, in columns; a longer one is cut to the part around the label.
const LINE_WIDTH: usize = 140;
/// How much is shown before a label in a line that is cut.
const LINE_LEAD: usize = 60;
/// How many bytes before and after a label can matter, escaped or not.
const NEAR: usize = 1024;
/// The distance of two lines up to which the lines between them are shown, instead of `...`.
const GAP: usize = 2;

impl SourceMap {
    /// One line with the position and the message: `proto/chat.proto:15:30: error[duplicate-number]: ...`.
    pub fn one_line(&self, diagnostic: &Diagnostic) -> String {
        let place = self
            .location(diagnostic.primary.span)
            .map_or_else(String::new, |location| {
                format!(
                    "{}:{}:{}: ",
                    escaped(location.file),
                    location.line,
                    location.column
                )
            });
        format!(
            "{place}error[{}]: {}",
            diagnostic.code,
            escaped(&diagnostic.message)
        )
    }

    /// The whole message, with the lines of the source that it is about, ending with a newline.
    ///
    /// ```text
    /// error[duplicate-number]: number 3 is used twice in ServerToClient
    ///   --> proto/chat.proto:15:30
    ///    |
    /// 14 |     ConnectRsp connect_rsp = 3;
    ///    |                              - first used here
    /// 15 |     MessageInd message_ind = 3;
    ///    |                              ^ used again here
    ///    |
    /// help: give message_ind a free number such as 4
    /// ```
    ///
    /// Control characters of the source and of names are escaped, tabs become spaces, long lines are cut.
    pub fn render(&self, diagnostic: &Diagnostic) -> String {
        let mut out = format!(
            "error[{}]: {}\n",
            diagnostic.code,
            escaped(&diagnostic.message)
        );
        let marks = self.marks(diagnostic);
        let last = marks.iter().map(|mark| mark.line + 1).max().unwrap_or(0);
        let gutter = " ".repeat(last.to_string().len());

        let mut is_boxed = false;
        for (index, group) in marks.chunk_by(|a, b| a.id == b.id).enumerate() {
            if group.iter().any(|mark| !mark.file.is_whole) {
                self.write_positions(&mut out, &gutter, group);
                continue;
            }
            is_boxed = true;
            // The group of the primary label comes first, so its first position is the one to jump to.
            let Some(head) = group.iter().find(|mark| mark.primary).or(group.first()) else {
                continue;
            };
            if index > 0 {
                // Writing into a String cannot fail.
                let _ = writeln!(out, "{gutter} |");
            }
            let arrow = if index == 0 { "-->" } else { ":::" };
            let column = self
                .location(head.label.span)
                .map_or(1, |location| location.column);
            // Writing into a String cannot fail.
            let _ = writeln!(
                out,
                "{gutter}{arrow} {}:{}:{column}",
                escaped(&head.file.name),
                head.line + 1
            );
            let _ = writeln!(out, "{gutter} |");
            write_lines(&mut out, &gutter, group);
        }
        if is_boxed {
            let _ = writeln!(out, "{gutter} |");
        }
        for label in diagnostic
            .secondary
            .iter()
            .filter(|label| self.place(label.span).is_none())
        {
            if !label.text.is_empty() {
                let _ = writeln!(out, "note: {}", escaped(&label.text));
            }
        }
        if let Some(help) = &diagnostic.help {
            for (index, line) in help.lines().enumerate() {
                let _ = writeln!(
                    out,
                    "{}{}",
                    if index == 0 { "help: " } else { "      " },
                    escaped(line)
                );
            }
        }
        out
    }

    /// All of them, sorted, separated by empty lines.
    pub fn render_all(&self, diagnostics: &[Diagnostic]) -> String {
        let mut sorted = diagnostics.to_vec();
        self.sort(&mut sorted);
        sorted
            .iter()
            .map(|diagnostic| self.render(diagnostic))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Where the labels are in a file whose lines are not known: the primary one first.
    fn write_positions(&self, out: &mut String, gutter: &str, marks: &[Mark<'_>]) {
        let (primary, others): (Vec<_>, Vec<_>) = marks.iter().partition(|mark| mark.primary);
        for mark in primary.into_iter().chain(others) {
            let Some(at) = self.location(mark.label.span) else {
                continue;
            };
            let line = format!(
                "{gutter}{} {}:{}:{} {}",
                if mark.primary { "-->" } else { ":::" },
                escaped(at.file),
                at.line,
                at.column,
                escaped(&mark.label.text)
            );
            // Writing into a String cannot fail.
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }

    /// The labels that have a position: those in the primary label's file first, by position within a file.
    fn marks<'a>(&'a self, diagnostic: &'a Diagnostic) -> Vec<Mark<'a>> {
        let main = self.place(diagnostic.primary.span).map(|place| place.id);
        let labels = std::iter::once((true, &diagnostic.primary))
            .chain(diagnostic.secondary.iter().map(|label| (false, label)));
        let mut marks: Vec<_> = labels
            .filter_map(|(primary, label)| {
                let place = self.place(label.span)?;
                let line = place.file.line_of(place.bytes.start);
                Some(Mark {
                    id: place.id,
                    file: place.file,
                    line,
                    bytes: place.bytes,
                    primary,
                    label,
                })
            })
            .collect();
        marks.sort_by_key(|mark| {
            (
                Some(mark.id) != main,
                mark.id,
                mark.bytes.start,
                !mark.primary,
            )
        });
        marks
    }
}

/// A label and its position.
struct Mark<'a> {
    id: FileId,
    file: &'a SourceFile,
    /// From 0.
    line: usize,
    bytes: Range<usize>,
    primary: bool,
    label: &'a Label,
}

/// The lines of one file that have labels, each with its marks below it.
fn write_lines(out: &mut String, gutter: &str, marks: &[Mark<'_>]) {
    let width = gutter.len();
    let mut shown: Option<usize> = None;
    for group in marks.chunk_by(|a, b| a.line == b.line) {
        let Some(first) = group.first() else { continue };
        if let Some(previous) = shown {
            if first.line - previous > GAP {
                out.push_str("...\n");
            } else {
                for line in previous + 1..first.line {
                    let text = Shown::new(first.file, line, 0).text;
                    let _ = writeln!(
                        out,
                        "{}",
                        format!("{:>width$} | {text}", line + 1).trim_end()
                    );
                }
            }
        }
        let shown_line = Shown::new(first.file, first.line, first.bytes.start);
        let _ = writeln!(
            out,
            "{}",
            format!("{:>width$} | {}", first.line + 1, shown_line.text).trim_end()
        );
        for mark in group {
            let (from, to) = (
                shown_line.column(mark.bytes.start),
                shown_line.column(mark.bytes.end),
            );
            let sign = if mark.primary { "^" } else { "-" };
            let line = format!(
                "{gutter} | {}{} {}",
                " ".repeat(from),
                sign.repeat(to.saturating_sub(from).max(1)),
                escaped(&mark.label.text)
            );
            let _ = writeln!(out, "{}", line.trim_end());
        }
        shown = Some(first.line);
    }
}

/// A line as it is printed, and the column of each of its characters.
struct Shown {
    text: String,
    /// Byte in the file and column of each character that is shown, and of the end.
    columns: Vec<(usize, usize)>,
}

impl Shown {
    /// The line, counted from 0; if it is too long, the part around a byte of the file.
    fn new(file: &SourceFile, line: usize, around: usize) -> Self {
        let whole = file.line_bytes(line);
        // A line may be as long as the file, so only the part that could be shown is examined.
        let start = file.boundary(around.saturating_sub(NEAR)).max(whole.start);
        let end = file
            .boundary(around.max(start).saturating_add(NEAR))
            .min(whole.end);
        let pieces = pieces(file.slice(start..end), start);
        let total: usize = pieces.iter().map(|piece| piece.width).sum();
        let before = pieces
            .iter()
            .filter(|piece| piece.byte < around)
            .map(|piece| piece.width)
            .sum::<usize>();
        let from = before
            .saturating_sub(LINE_LEAD)
            .min(total.saturating_sub(LINE_WIDTH));
        let mut column = 0;
        let kept: Vec<_> = pieces
            .into_iter()
            .filter(|piece| {
                let start = column;
                column += piece.width;
                start >= from && column <= from + LINE_WIDTH
            })
            .collect();
        let is_cut_before = from > 0 || start > whole.start;
        let is_cut_after = from + LINE_WIDTH < total || end < whole.end;
        let last = if is_cut_after {
            kept.last().map_or(end, |piece| piece.byte + 1)
        } else {
            end
        };
        Self::of(
            &kept,
            if is_cut_before { "…" } else { "" },
            if is_cut_after { "…" } else { "" },
            last,
        )
    }

    fn of(pieces: &[Piece], head: &str, tail: &str, end: usize) -> Self {
        let mut shown = Self {
            text: head.to_owned(),
            columns: Vec::new(),
        };
        let mut column = head.chars().count();
        for piece in pieces {
            shown.columns.push((piece.byte, column));
            shown.text.push_str(&piece.text);
            column += piece.width;
        }
        shown.columns.push((end, column));
        shown.text.push_str(tail);
        shown
    }

    /// The column of a byte of the file; the nearest one for a byte that is cut off.
    fn column(&self, byte: usize) -> usize {
        let index = self.columns.partition_point(|&(at, _)| at < byte);
        self.columns
            .get(index)
            .or(self.columns.last())
            .map_or(0, |&(_, column)| column)
    }
}

/// A character of a line, as it is printed.
struct Piece {
    byte: usize,
    text: String,
    width: usize,
}

/// The characters of a line whose first byte is at `start`.
fn pieces(line: &str, start: usize) -> Vec<Piece> {
    let mut column = 0;
    line.char_indices()
        .map(|(at, c)| {
            let (text, width) = match c {
                '\t' => {
                    let width = 4 - column % 4;
                    (" ".repeat(width), width)
                }
                _ if is_hidden(c) => {
                    let text = c.escape_default().to_string();
                    let width = text.len();
                    (text, width)
                }
                _ => (c.to_string(), width_of(c)),
            };
            column += width;
            Piece {
                byte: start + at,
                text,
                width,
            }
        })
        .collect()
}

/// Text of a schema, escaped for a terminal.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a character would control a terminal, or change the order or look of the text around it.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// How many columns a terminal gives a character: a short form of Unicode's table, enough to keep the marks in
/// place below East Asian text and emoji.
fn width_of(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f680}'..='\u{1f6ff}'
        | '\u{1f900}'..='\u{1f9ff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}
