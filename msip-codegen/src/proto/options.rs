//! The options of a member: `(msip.kind)` and the others.
//!
//! They are read before the pool interprets them, so that each mistake has its own position and all are reported. The
//! pool then checks them again, together with other options.

use std::ops::Range;

use msip_schema::{
    Code, Compression, Diagnostic, MemberOptions, MsgKind, OPTIONS_FILE, Reply, Span, Spanned,
    closest_name,
};
use prost_types::UninterpretedOption;

use super::deprecated::is_deprecated;
use super::node_path::NodePath;
use super::report::Report;
use super::source_info::tag;

/// The names of MSIP's options, without `msip.`.
pub(crate) const NAMES: [&str; 10] = [
    "kind",
    "request",
    "reply",
    "response",
    "timeout_ms",
    "urgent",
    "compress",
    "idempotent",
    "key",
    "code",
];

const REPLIES: [(&str, Reply); 4] = [
    ("NONE", Reply::None),
    ("ACK", Reply::Ack),
    ("RESPONSE", Reply::Response),
    ("STREAM", Reply::Stream),
];

/// The name of an option without `msip.`, if it is one of MSIP's.
pub(crate) fn our_name(option: &UninterpretedOption) -> Option<String> {
    let (first, rest) = option.name.split_first()?;
    let name = first.name_part.trim_start_matches('.');
    let name = if first.is_extension {
        name.strip_prefix("msip.")?.to_owned()
    } else {
        return None;
    };
    Some(
        rest.iter()
            .fold(name, |name, part| format!("{name}.{}", part.name_part)),
    )
}

/// Reads the options of a member. `are_declared` says whether its file sees the declarations of MSIP's options.
pub(crate) fn member_options(
    at: &NodePath<'_>,
    options: &[UninterpretedOption],
    are_declared: bool,
    report: &mut Report,
) -> MemberOptions {
    let mut read = MemberOptions::default();
    let mut request = None;
    for (index, option) in options.iter().enumerate() {
        let Some(name) = our_name(option) else {
            continue;
        };
        let place = OptionSpans::new(at, index, report);
        if !are_declared {
            let text = format!("`(msip.{name})` is used without its declaration");
            let help =
                format!("add `import \"{OPTIONS_FILE}\";`; the file comes with msip-codegen");
            report.push(Diagnostic::new(Code::UNKNOWN_OPTION, place.name, text).help(help));
        }
        let mut reader = Reader {
            name: &name,
            option,
            place,
            report,
        };
        match name.as_str() {
            "kind" => {
                let kinds = MsgKind::ALL.map(|kind| (kind.name(), kind));
                reader.set(&mut read.kind, |reader| reader.one_of(&kinds));
            }
            "reply" => reader.set(&mut read.reply, |reader| reader.one_of(&REPLIES)),
            "request" => reader.set(&mut request, |reader| reader.one_of(&[("STREAM", ())])),
            "response" => reader.set(&mut read.response, Reader::text),
            "timeout_ms" => reader.set(&mut read.timeout_ms, Reader::number),
            "urgent" => reader.set(&mut read.urgent, Reader::flag),
            "compress" => reader.set(&mut read.compress, |reader| {
                reader.flag().map(|yes| {
                    if yes {
                        Compression::Negotiated
                    } else {
                        Compression::Never
                    }
                })
            }),
            "idempotent" => reader.set(&mut read.idempotent, Reader::flag),
            "key" => reader.set(&mut read.key, Reader::text),
            "code" => reader.set(&mut read.code, Reader::text),
            _ => reader.unknown(),
        }
    }
    read.request_stream = request.map(|stream| stream.span);
    read.deprecated = is_deprecated(false, options);
    read
}

/// Reports MSIP's options on something that is not a member of an envelope's oneof.
pub(crate) fn refuse(at: &NodePath<'_>, options: &[UninterpretedOption], report: &mut Report) {
    for (index, option) in options.iter().enumerate() {
        let Some(name) = our_name(option) else {
            continue;
        };
        let place = OptionSpans::new(at, index, report);
        let text = format!("`(msip.{name})` means nothing here");
        let help = "MSIP's options belong on the members of the oneofs of ClientToServer and ServerToClient";
        report.push(Diagnostic::new(Code::MISPLACED_OPTION, place.name, text).help(help));
    }
}

/// The spans of the two halves of an option.
#[derive(Clone, Copy)]
struct OptionSpans {
    name: Span,
    value: Span,
}

impl OptionSpans {
    fn new(at: &NodePath<'_>, index: usize, report: &mut Report) -> Self {
        let path = [
            tag::FIELD_OPTIONS,
            tag::UNINTERPRETED_OPTION,
            i32::try_from(index).unwrap_or(i32::MAX),
        ];
        let path: Vec<i32> = at.path.iter().copied().chain(path).collect();
        let Some(bytes) = at.file.source_info.bytes(&path) else {
            let span = at.span(&[], report);
            return Self {
                name: span,
                value: span,
            };
        };
        let file = at.file.source_info.file();
        let text = report.text(file).get(bytes.clone()).unwrap_or("");
        let (name, value) = halves(text);
        let shift = |half: Range<usize>| bytes.start + half.start..bytes.start + half.end;
        let (name, value) = (shift(name), shift(value));
        Self {
            name: report.span(file, name),
            value: report.span(file, value),
        }
    }
}

/// The bytes of the name and of the value in `(msip.kind) = COMMAND`.
fn halves(text: &str) -> (Range<usize>, Range<usize>) {
    let Some(equals) = text.find('=') else {
        return (0..text.len(), 0..text.len());
    };
    let name = text.get(..equals).unwrap_or("").trim_end();
    let value = text.get(equals + 1..).unwrap_or("");
    let start = text.len() - value.trim_start().len();
    (0..name.len(), start..start + value.trim().len())
}

/// One option that is being read.
struct Reader<'a> {
    name: &'a str,
    option: &'a UninterpretedOption,
    place: OptionSpans,
    report: &'a mut Report,
}

impl Reader<'_> {
    /// Sets the value, unless the option has been set before.
    fn set<T>(&mut self, slot: &mut Option<Spanned<T>>, read: impl FnOnce(&mut Self) -> Option<T>) {
        if let Some(earlier) = slot {
            let text = format!("`(msip.{})` is set twice", self.name);
            let diagnostic =
                Diagnostic::new(Code::OPTION_VALUE, self.place.name, text).label("set again here");
            self.report.push(
                diagnostic
                    .also(earlier.span, "first set here")
                    .help("remove one of the two"),
            );
            return;
        }
        if let Some(value) = read(self) {
            *slot = Some(Spanned::new(value, self.place.value));
        }
    }

    fn unknown(&mut self) {
        let text = format!("there is no option `(msip.{})`", self.name);
        let all = || NAMES.map(|name| format!("(msip.{name})")).join(", ");
        let help = match closest_name(self.name, NAMES) {
            Some(close) => format!("did you mean `(msip.{close})`?"),
            None => format!("the options are {}", all()),
        };
        self.report
            .push(Diagnostic::new(Code::UNKNOWN_OPTION, self.place.name, text).help(help));
    }

    fn wrong(&mut self, wanted: &str, help: String) {
        let text = format!("`(msip.{})` is {wanted}", self.name);
        let diagnostic = Diagnostic::new(Code::OPTION_VALUE, self.place.value, text);
        self.report.push(diagnostic.help(help));
    }

    fn one_of<T: Copy>(&mut self, values: &[(&str, T)]) -> Option<T> {
        let said = self.option.identifier_value();
        if let Some((_, value)) = values.iter().find(|(name, _)| *name == said) {
            return Some(*value);
        }
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        let list = format!("the values are {}", names.join(", "));
        // `"COMMAND"` in quotes was probably meant the same way.
        let quoted = String::from_utf8_lossy(self.option.string_value()).into_owned();
        let said = if said.is_empty() {
            quoted
        } else {
            said.to_owned()
        };
        let help = match closest_name(&said, names.iter().copied()) {
            Some(close) => format!("did you mean `{close}`? {list}"),
            None => list,
        };
        self.wrong("one of a few words, without quotes", help);
        None
    }

    fn text(&mut self) -> Option<String> {
        let text = self
            .option
            .string_value
            .as_ref()
            .and_then(|bytes| String::from_utf8(bytes.clone()).ok());
        if text.is_none() {
            let help = format!(
                "write `(msip.{}) = \"{}\"`",
                self.name,
                match self.name {
                    "key" => "id",
                    "code" => "connect",
                    _ => "connect_rsp",
                }
            );
            self.wrong("a text in quotes", help);
        }
        text
    }

    fn number(&mut self) -> Option<u32> {
        let number = self
            .option
            .positive_int_value
            .and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            let help = format!(
                "write milliseconds, such as `(msip.{}) = 5000`; the largest is {}",
                self.name,
                u32::MAX
            );
            self.wrong("a whole number of milliseconds", help);
        }
        number
    }

    fn flag(&mut self) -> Option<bool> {
        match self.option.identifier_value() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.wrong(
                    "`true` or `false`",
                    format!("write `(msip.{}) = true`, without quotes", self.name),
                );
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_falls_into_name_and_value() {
        for (text, name, value) in [
            ("(msip.kind) = COMMAND", "(msip.kind)", "COMMAND"),
            ("(msip.key)=\"a=b\"", "(msip.key)", "\"a=b\""),
            ("odd", "odd", "odd"),
            ("(a) =", "(a)", ""),
        ] {
            let (first, second) = halves(text);
            assert_eq!((&text[first], &text[second]), (name, value), "{text}");
        }
    }
}
