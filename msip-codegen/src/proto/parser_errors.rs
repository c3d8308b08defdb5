//! Mistakes that the parser finds, as diagnostics of ours.

use miette::Diagnostic as _;
use msip_schema::{Code, Diagnostic, FileId};

use super::foreign_labels::labels;
use super::report::Report;

/// Reports what the parser found.
pub(crate) fn parse_error(error: &protox_parse::ParseError, file: FileId, report: &mut Report) {
    for mistake in std::iter::once(error as &dyn miette::Diagnostic)
        .chain(error.related().into_iter().flatten())
    {
        let (primary, secondary) = labels(mistake);
        let text = mistake.to_string();
        let end = report.text(file).len();
        let bytes = primary
            .as_ref()
            .map_or(end..end, |(bytes, _)| bytes.clone());
        let found = report
            .text(file)
            .get(bytes.clone())
            .unwrap_or("")
            .to_owned();
        let (code, text, help) =
            parse_wording(&text, &found, mistake.help().map(|help| help.to_string()));
        let span = report.span(file, bytes);
        let mut diagnostic = Diagnostic::new(code, span, text);
        diagnostic.help = help;
        for (bytes, label) in secondary {
            let span = report.span(file, bytes);
            diagnostic = diagnostic.also(span, label);
        }
        report.push(diagnostic);
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
        "a oneof must have at least one field" => (
            Code::EMPTY_ENVELOPE,
            text.to_owned(),
            some("add a member, such as `PingReq ping_req = 1;`"),
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
