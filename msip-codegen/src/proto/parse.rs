//! Parsing of one file into a descriptor.

use std::path::PathBuf;

use msip_schema::{Code, Diagnostic, FileId, Span};
use prost_types::FileDescriptorProto;

use super::declared_limits;
use super::dialect::Prepared;
use super::files::{Origin, ProtoFile};
use super::guard::{self, Language, MAX_FILE_LEN};
use super::outline_text::{OptionTexts, text_of};
use super::parser_errors;
use super::report::Report;
use super::source_info::{SourceInfo, package_name, tag};
use super::synthetic_oneofs;
use super::tokens::empty_extend;
use crate::paths::show;

/// The longest package, in bytes: `<package>.descriptors.bin` must be the name of a file. The wire allows 255.
const MAX_PACKAGE_LEN: usize = 255 - ".descriptors.bin".len();

/// Reads a file from disk; `None` if it is broken, which is reported.
pub(crate) fn read(
    name: &str,
    path: PathBuf,
    is_input: bool,
    report: &mut Report,
) -> Option<ProtoFile> {
    let shown = show(&path);
    let len = std::fs::metadata(&path).map(|metadata| metadata.len());
    if len.is_ok_and(|len| len > MAX_FILE_LEN as u64) {
        let text = format!("`{shown}` is larger than 4 MiB");
        let help = "split it into several files that import each other";
        report.push(Diagnostic::new(Code::FILE_TOO_LARGE, Span::NONE, text).help(help));
        return None;
    }
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let text = format!("`{shown}` cannot be read: {error}");
            report.push(Diagnostic::new(Code::FILE_UNREADABLE, Span::NONE, text));
            return None;
        }
    };
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => {
            let id = report.add_file(&shown, &String::from_utf8_lossy(&bytes));
            let at = error.valid_up_to();
            let span = report.span(id, at..at + 1);
            let text = format!("`{shown}` is not UTF-8 text");
            let help = "save the file as UTF-8";
            let diagnostic = Diagnostic::new(Code::FILE_NOT_UTF8, span, text);
            report.push(
                diagnostic
                    .label("the first byte that is not UTF-8")
                    .help(help),
            );
            return None;
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    parse(name, &shown, text, Origin::Disk(path), is_input, report)
}

/// Parses the text of a file; `None` if it is broken, which is reported.
pub(crate) fn parse(
    name: &str,
    shown: &str,
    text: &str,
    origin: Origin,
    is_input: bool,
    report: &mut Report,
) -> Option<ProtoFile> {
    let id = report.add_file(shown, text);
    if let Some(at) = guard::too_deep(text) {
        let span = report.span(id, at..at + 1);
        let message = format!(
            "brackets are nested more than {} deep",
            guard::MAX_BRACKET_DEPTH
        );
        report.push(
            Diagnostic::new(Code::NESTED_TOO_DEEP, span, message).label("this one is too deep"),
        );
        return None;
    }
    if let Some(diagnostic) = other_language(id, guard::language(text), is_input, report) {
        report.push(diagnostic);
        return None;
    }
    let prepared = Prepared::new(text);
    match protox_parse::parse(name, prepared.text()) {
        Ok(mut descriptor) => {
            if let Some(info) = &mut descriptor.source_code_info {
                prepared.restore(info);
            }
            synthetic_oneofs::rename(&mut descriptor.message_type);
            if let Some(bytes) = empty_extend(text) {
                let span = report.span(id, bytes);
                let message = "an `extend` must have at least one field";
                let help = "add a field such as `string text = 50000;`, or remove it";
                report.push(Diagnostic::new(Code::INVALID_SCHEMA, span, message).help(help));
            }
            let source_info = SourceInfo::new(id, text, descriptor.source_code_info.as_ref());
            if has_long_package(&descriptor, &source_info, report) {
                return None;
            }
            let file = ProtoFile {
                name: name.to_owned(),
                shown: shown.to_owned(),
                origin,
                source_info,
                descriptor,
                imports: Vec::new(),
            };
            declared_limits::check(&file, report).then_some(file)
        }
        Err(error) => {
            parser_errors::parse_error(&error, &prepared, id, report);
            None
        }
    }
}

/// A file of a descriptor set, of which there is no text; `None` if it cannot be used, which is reported.
pub(crate) fn of_set(
    name: &str,
    descriptor: FileDescriptorProto,
    options: &OptionTexts,
    is_input: bool,
    report: &mut Report,
) -> Option<ProtoFile> {
    let text = text_of(&descriptor, options);
    let id = report.add_outline(name, &text);
    let source_info = SourceInfo::new(id, &text, descriptor.source_code_info.as_ref());
    if is_input && descriptor.syntax() != "proto3" {
        // A set does not say proto2, but where it was written it has a position.
        let language = match source_info.bytes(&[tag::FILE_SYNTAX]) {
            Some(bytes) => Language::Syntax(bytes),
            None => Language::Undeclared(0..0),
        };
        if let Some(diagnostic) = other_language(id, language, is_input, report) {
            report.push(diagnostic);
        }
        return None;
    }
    if has_long_package(&descriptor, &source_info, report) {
        return None;
    }
    let file = ProtoFile {
        name: name.to_owned(),
        shown: name.to_owned(),
        origin: Origin::Disk(PathBuf::from(name)),
        source_info,
        descriptor,
        imports: Vec::new(),
    };
    declared_limits::check(&file, report).then_some(file)
}

/// Whether the package is too long, which is reported.
fn has_long_package(
    descriptor: &FileDescriptorProto,
    source_info: &SourceInfo,
    report: &mut Report,
) -> bool {
    let len = descriptor.package().len();
    if len > MAX_PACKAGE_LEN {
        let span = package_name(source_info, report).unwrap_or(Span::NONE);
        let text = format!("the package is {len} bytes long; {MAX_PACKAGE_LEN} are allowed");
        let help = "choose a shorter name: generated files are named after it";
        report.push(Diagnostic::new(Code::PACKAGE_TOO_LONG, span, text).help(help));
    }
    len > MAX_PACKAGE_LEN
}

/// What is wrong with a file that is not proto3. An import may be proto2, since it may only declare options.
pub(crate) fn other_language(
    id: FileId,
    language: Language,
    is_input: bool,
    report: &mut Report,
) -> Option<Diagnostic> {
    let (bytes, message, help) = match language {
        Language::Edition(bytes) => (
            bytes,
            "the file is written in an edition of protobuf, and only proto3 is supported",
            "write `syntax = \"proto3\";` instead, and remove the `features` options",
        ),
        Language::Syntax(bytes) if is_input => (
            bytes,
            "the file is written in proto2, and only proto3 is supported",
            "write `syntax = \"proto3\";`, remove `required`, default values, groups and extensions, and begin \
             each enum with a zero",
        ),
        Language::Undeclared(bytes) if is_input => (
            bytes,
            "the file does not say its syntax, which means proto2, and only proto3 is supported",
            "begin the file with `syntax = \"proto3\";`",
        ),
        _ => return None,
    };
    let span = report.span(id, bytes);
    Some(Diagnostic::new(Code::UNSUPPORTED_SYNTAX, span, message).help(help))
}
