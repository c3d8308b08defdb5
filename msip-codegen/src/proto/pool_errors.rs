//! Mistakes that the descriptor pool finds, as diagnostics of ours.

use std::ops::Range;

use miette::Diagnostic as _;
use msip_schema::{Code, Diagnostic, Span, closest_name};

use super::foreign_labels::labels;
use super::pool_positions::Positions;
use super::report::Report;
use super::symbols::meant;

/// The number of mistakes that the pool found.
pub(crate) fn count(error: &prost_reflect::DescriptorError) -> usize {
    1 + error.related().into_iter().flatten().count()
}

/// Reports what the descriptor pool found in a file, except for what is known already.
pub(crate) fn pool_error(
    error: prost_reflect::DescriptorError,
    positions: &Positions<'_>,
    known: &Known<'_>,
    report: &mut Report,
) {
    let file = positions.file();
    let error = error.with_source_code(&positions.text());
    for mistake in std::iter::once(&error as &dyn miette::Diagnostic)
        .chain(error.related().into_iter().flatten())
    {
        let (primary, secondary) = labels(mistake);
        let mut places: Vec<Range<usize>> = primary
            .into_iter()
            .chain(secondary)
            .filter_map(|(offset, _)| positions.bytes(offset.start))
            .collect();
        // It is beyond the positions that were looked at.
        if places.is_empty() && !positions.are_all {
            report.count_more(1);
            continue;
        }
        let text = mistake.to_string();
        if report.is_full() {
            // It is counted, unless it is known, but not shown.
            let bytes = places.pop();
            let span = bytes.map_or(Span::NONE, |bytes| report.span(file, bytes));
            report.push_unless_known(Diagnostic::new(Code::INVALID_SCHEMA, span, text));
            continue;
        }
        // Of an aggregate, what is wrong inside of it.
        let inner =
            std::error::Error::source(mistake).map(|inner| inner.to_string().replace('\'', "`"));
        let help = mistake.help().map(|help| help.to_string()).or(inner);
        if text.starts_with("enum number") && text.contains("reserved range") {
            // Reported before, at the value itself.
            continue;
        }
        // Of two places that disagree the pool mostly names the later one, which is the mistake, last.
        let is_first = text.contains("' is not a");
        let bytes = match places.len() {
            0 => None,
            _ if is_first => Some(places.remove(0)),
            count => Some(places.remove(count - 1)),
        };
        let written = bytes
            .clone()
            .and_then(|bytes| report.text(file).get(bytes))
            .unwrap_or("");
        let (code, text, help) = pool_wording(&text, written, help, known);
        let span = bytes.map_or(Span::NONE, |bytes| report.span(file, bytes));
        let mut diagnostic = Diagnostic::new(code, span, text);
        let (here, there) = match code {
            Code::NUMBER_RESERVED => ("used here", "reserved here"),
            Code::DUPLICATE_NUMBER | Code::DUPLICATE_NAME | Code::NAME_COLLISION => {
                ("again here", "first here")
            }
            _ => ("used here", "declared here"),
        };
        if !places.is_empty() {
            diagnostic = diagnostic.label(here);
        }
        diagnostic.help = help;
        for bytes in places {
            let span = report.span(file, bytes);
            diagnostic = diagnostic.also(span, there);
        }
        report.push_unless_known(diagnostic);
    }
}

/// Names that could have been meant.
pub(crate) struct Known<'a> {
    /// Found when they are needed.
    types: Box<dyn Fn() -> Vec<&'a str> + 'a>,
    options: &'a [String],
}

impl<'a> Known<'a> {
    pub(crate) fn new(types: impl Fn() -> Vec<&'a str> + 'a, options: &'a [String]) -> Self {
        Self {
            types: Box::new(types),
            options,
        }
    }
}

/// The code, text and help for a mistake of the pool's, which has no codes.
fn pool_wording(
    text: &str,
    written: &str,
    help: Option<String>,
    known: &Known<'_>,
) -> (Code, String, Option<String>) {
    let quoted = text.split('\'').nth(1).unwrap_or("");
    let words = text.replace('\'', "`");
    let some = |help: &str| Some(help.to_owned());
    let is_unknown_name = text.starts_with("name '") && text.ends_with("is not defined");
    let is_hidden_name = text.contains("' resolves to '");
    // Names of types are never in parentheses.
    let is_option = text.starts_with("option field '")
        || ((is_unknown_name || is_hidden_name) && written.starts_with('('));
    if is_unknown_name && !is_option {
        return (
            Code::UNKNOWN_TYPE,
            format!("type `{quoted}` is not defined"),
            help.or_else(|| meant(quoted, &(known.types)())),
        );
    }
    if is_hidden_name && !is_option {
        return (Code::UNKNOWN_TYPE, words, help);
    }
    if is_option && text.ends_with("has already been set") {
        let name = text.strip_prefix("option field '").unwrap_or(text);
        let name = name.strip_suffix("' has already been set").unwrap_or(name);
        return (
            Code::OPTION_VALUE,
            format!("option `{name}` is set twice"),
            some("remove one of the two"),
        );
    }
    if is_option {
        let options: Vec<&str> = known.options.iter().map(String::as_str).collect();
        let name = quoted.trim_matches(['(', ')']);
        let help = match closest_name(name, options.iter().copied()) {
            Some(close) => Some(format!("did you mean `({close})`?")),
            None => options
                .iter()
                .find(|option| option.strip_prefix("msip.") == Some(name))
                .map(|option| format!("MSIP's options are written in parentheses: `({option})`")),
        };
        let name = if written.starts_with('(') {
            format!("({name})")
        } else {
            name.to_owned()
        };
        return (
            Code::UNKNOWN_OPTION,
            format!("there is no option `{name}`"),
            help,
        );
    }
    match text {
        _ if text.starts_with("field number '") && text.ends_with("is already used") => (
            Code::DUPLICATE_NUMBER,
            format!("number {quoted} is used twice"),
            some("give the new field a free number; one that is in use on the wire stays as it is"),
        ),
        _ if text.starts_with("enum number '") && text.ends_with("already been used") => (
            Code::DUPLICATE_NUMBER,
            format!("number {quoted} is used twice"),
            some("give the new value a free number, or set `option allow_alias = true;`"),
        ),
        _ if text.contains("conflicts with reserved range")
            || text.contains("conflicts with extension range") =>
        {
            (
                Code::NUMBER_RESERVED,
                words,
                some("take a number outside the range"),
            )
        }
        _ if text.starts_with("invalid field number") => (Code::NUMBER_OUT_OF_RANGE, words, help),
        _ if text.starts_with("camel-case name of field")
            || text.starts_with("a field with JSON name") =>
        {
            (
                Code::NAME_COLLISION,
                words,
                some("give one of the two fields another name"),
            )
        }
        _ if text.ends_with("is defined twice") || text.contains("is already defined") => (
            Code::DUPLICATE_NAME,
            words,
            some("give one of the two another name"),
        ),
        _ if text.starts_with("expected a value of type")
            || text.starts_with("invalid value of type") =>
        {
            (Code::OPTION_VALUE, words, help)
        }
        _ if text.starts_with("expected an extension to type") => (
            Code::MISPLACED_OPTION,
            format!(
                "`({})` means nothing here",
                text.split('\'').nth(3).unwrap_or("")
            ),
            some(
                "MSIP's options belong on the members of the oneofs of ClientToServer and ServerToClient",
            ),
        ),
        _ if text.ends_with("has already been set") => {
            (Code::OPTION_VALUE, words, some("remove one of the two"))
        }
        "the first value for proto3 enums must be 0" => (
            Code::INVALID_SCHEMA,
            text.to_owned(),
            some("begin with a value such as `UNSPECIFIED = 0;`"),
        ),
        _ => (Code::INVALID_SCHEMA, words, help),
    }
}
