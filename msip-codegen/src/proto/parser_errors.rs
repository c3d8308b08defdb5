//! Mistakes that the parser finds, as diagnostics of ours.

use miette::Diagnostic as _;
use msip_schema::{Code, Diagnostic, FileId};

use super::dialect::Prepared;
use super::foreign_labels::labels;
use super::report::Report;
use super::tokens::enclosing_message;

/// Reports what the parser found.
pub(crate) fn parse_error(
    error: &protox_parse::ParseError,
    prepared: &Prepared<'_>,
    file: FileId,
    report: &mut Report,
) {
    for mistake in std::iter::once(error as &dyn miette::Diagnostic)
        .chain(error.related().into_iter().flatten())
    {
        if report.is_full() {
            report.count_more(1);
            continue;
        }
        let (primary, secondary) = labels(mistake);
        let text = mistake.to_string();
        let is_nested_comment = text.contains("nested") && text.contains("comment");
        let end = report.text(file).len();
        let bytes = primary
            .as_ref()
            .map_or(end..end, |(bytes, _)| prepared.written(bytes.clone()));
        let source = report.text(file);
        let found = source.get(bytes.clone()).unwrap_or("");
        let help = mistake.help().map(|help| help.to_string());
        let (code, text, help) = match text.as_str() {
            "a oneof must have at least one field" => empty_oneof(source, bytes.start),
            _ if is_inner_map(source, bytes.start) && found == "<" => (
                Code::INVALID_SCHEMA,
                "the value of a map cannot be a map".to_owned(),
                Some("declare a message that has the inner map, and write its name".to_owned()),
            ),
            _ => parse_wording(&text, found, help),
        };
        let span = report.span(file, bytes);
        let mut diagnostic = Diagnostic::new(code, span, text);
        diagnostic.help = help;
        for (bytes, label) in secondary {
            let span = report.span(file, prepared.written(bytes));
            diagnostic = diagnostic.also(span, label);
        }
        report.push(diagnostic);
        // The parser goes on as if comments could be nested, so every later one is a mistake to it.
        if is_nested_comment {
            break;
        }
    }
}

/// Whether a map begins here.
fn is_inner_map(source: &str, at: usize) -> bool {
    let before = source.get(..at).unwrap_or("").trim_end();
    let word = before.strip_suffix("map");
    word.is_some_and(|before| before.ends_with(|c: char| c == ',' || c.is_ascii_whitespace()))
}

/// A oneof without fields: of an envelope, or of another message.
fn empty_oneof(source: &str, at: usize) -> (Code, String, Option<String>) {
    let is_envelope = matches!(
        enclosing_message(source, at),
        Some(("ClientToServer" | "ServerToClient", true))
    );
    let (code, help) = if is_envelope {
        let help = "add a member, such as `PingReq ping_req = 1;`";
        (Code::EMPTY_ENVELOPE, help)
    } else {
        let help = "add a field such as `string text = 1;`, or remove the oneof";
        (Code::INVALID_SCHEMA, help)
    };
    let text = "a oneof must have at least one field".to_owned();
    (code, text, Some(help.to_owned()))
}

/// Characters that are meant as others, by what they are and what they are meant as.
const MISTAKEN: [(char, &str, &str); 12] = [
    ('\u{a0}', "a no-break space", "a plain space"),
    ('\u{202f}', "a narrow no-break space", "a plain space"),
    ('\u{3000}', "an ideographic space", "a plain space"),
    ('\u{200b}', "a zero-width space", "nothing"),
    ('\u{feff}', "a byte order mark", "nothing"),
    ('\u{201c}', "a typographic quote", "`\"`"),
    ('\u{201d}', "a typographic quote", "`\"`"),
    ('\u{201e}', "a typographic quote", "`\"`"),
    ('\u{2018}', "a typographic quote", "`'`"),
    ('\u{2019}', "a typographic quote", "`'`"),
    ('\u{2013}', "a dash", "`-`"),
    ('\u{37e}', "a Greek question mark", "`;`"),
];

/// A character that no token begins with.
fn invalid_token(found: &str) -> (Code, String, Option<String>) {
    let Some(char) = found.chars().next() else {
        return (Code::SYNTAX_ERROR, "invalid token".to_owned(), None);
    };
    let number = u32::from(char);
    match MISTAKEN.iter().find(|(mistaken, ..)| *mistaken == char) {
        Some((_, name, meant)) => {
            let text = format!("invalid character U+{number:04X}, {name}");
            let help = format!("write {meant} in its place");
            (Code::SYNTAX_ERROR, text, Some(help))
        }
        None if char.is_ascii_graphic() => {
            let text = format!("invalid character `{char}`");
            (Code::SYNTAX_ERROR, text, None)
        }
        None => {
            let text = format!("invalid character U+{number:04X}");
            let help = "names consist of ASCII letters, digits and underscores; other characters belong in strings and comments";
            (Code::SYNTAX_ERROR, text, Some(help.to_owned()))
        }
    }
}

/// The code, text and help for a mistake of the parser's, which has no codes.
fn parse_wording(text: &str, found: &str, help: Option<String>) -> (Code, String, Option<String>) {
    let some = |help: &str| Some(help.to_owned());
    // The parser uses one text for two mistakes.
    if help
        .as_deref()
        .is_some_and(|help| help.starts_with("imports may not contain"))
    {
        let text = "invalid import";
        return (
            Code::SYNTAX_ERROR,
            text.to_owned(),
            some("write the path from an include folder, with `/`, without `.` or `..`"),
        );
    }
    match text {
        _ if text.starts_with("unknown syntax") => (
            Code::UNSUPPORTED_SYNTAX,
            text.replace('\'', "`"),
            some("write `syntax = \"proto3\";`"),
        ),
        _ if text.starts_with("reached maximum recursion limit") => (
            Code::NESTED_TOO_DEEP,
            "messages are nested too deeply".to_owned(),
            help,
        ),
        _ if text.starts_with("message numbers must be") => {
            let text = "the number of a field is at least 1 and at most 536,870,911";
            (Code::NUMBER_OUT_OF_RANGE, text.to_owned(), help)
        }
        _ if text.starts_with("enum numbers must be") => {
            (Code::NUMBER_OUT_OF_RANGE, text.to_owned(), help)
        }
        "nested block comments are not supported" => (
            Code::SYNTAX_ERROR,
            "a comment begins inside of a comment".to_owned(),
            some("end the first one before it, or begin each line of it with `//`"),
        ),
        "invalid token" => invalid_token(found),
        _ if text.starts_with("expected a positive integer or string, but found") => (
            Code::SYNTAX_ERROR,
            text.replace('\'', "`"),
            Some(format!("write the name in quotes: `reserved \"{found}\";`")),
        ),
        "groups are not allowed in proto3 syntax" => (
            Code::INVALID_SCHEMA,
            "proto3 has no groups".to_owned(),
            some("declare a message, and write a field of that type"),
        ),
        "required fields are not allowed in proto3 syntax" => (
            Code::INVALID_SCHEMA,
            "proto3 has no required fields".to_owned(),
            some(
                "remove `required`; a field that is absent reads as its type's zero, or write `optional`",
            ),
        ),
        "default values are not allowed in proto3" => (
            Code::INVALID_SCHEMA,
            "proto3 has no default values".to_owned(),
            some(
                "remove the default; a field that is absent reads as its type's zero, or write `optional`",
            ),
        ),
        "oneof fields cannot have labels" => (
            Code::INVALID_SCHEMA,
            format!("a member of a oneof cannot be `{found}`"),
            some("remove the word; to send several, use a message with a repeated field"),
        ),
        _ if text.ends_with("fields are not allowed in a oneof") => (
            Code::INVALID_SCHEMA,
            text.to_owned(),
            some("use a message that has such a field"),
        ),
        _ => (Code::SYNTAX_ERROR, text.replace('\'', "`"), help),
    }
}
