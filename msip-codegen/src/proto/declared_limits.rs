//! Limits of what a file may declare, checked before anything is made of it.
//!
//! Each part of a message has a full name with that of the message in it, so one long name is copied for each of them.
//! The pool compares each field with each range that its message reserves.

use msip_schema::{Code, Diagnostic};
use prost_types::{DescriptorProto, EnumDescriptorProto};

use super::files::ProtoFile;
use super::node_path::NodePath;
use super::report::Report;
use super::source_info::tag;

/// The longest full name, in bytes.
pub(crate) const MAX_NAME_LEN: usize = 1_000;
/// The most ranges that a message or an enum may reserve, or leave to extensions.
pub(crate) const MAX_RANGES: usize = 1_000;

/// Whether a file is within the limits; the first that it exceeds is reported.
pub(crate) fn check(file: &ProtoFile, report: &mut Report) -> bool {
    let root = NodePath {
        // The file has no index yet, and no name of it is resolved.
        index: 0,
        file,
        path: Vec::new(),
        full: file.package().to_owned(),
    };
    let mistake = find(&root, file, report);
    let is_within = mistake.is_none();
    if let Some(mistake) = mistake {
        report.push(mistake);
    }
    is_within
}

fn find(root: &NodePath<'_>, file: &ProtoFile, report: &mut Report) -> Option<Diagnostic> {
    let descriptor = &file.descriptor;
    let messages = descriptor.message_type.iter().enumerate();
    let messages = messages.map(|(index, message)| (tag::FILE_MESSAGE, index, message));
    let enums = descriptor.enum_type.iter().enumerate();
    let enums = enums.map(|(index, ty)| (tag::FILE_ENUM, index, ty));
    let extensions = descriptor.extension.iter().enumerate();
    let mut extensions =
        extensions.map(|(index, field)| (tag::FILE_EXTENSION, index, field.name()));
    let services = descriptor.service.iter().enumerate();
    let mut services = services.map(|(index, service)| (tag::FILE_SERVICE, index, service));
    for (tag, index, message) in messages {
        if let Some(mistake) = in_message(root, (tag, index), message, report) {
            return Some(mistake);
        }
    }
    for (tag, index, ty) in enums {
        if let Some(mistake) = in_enum(root, (tag, index), ty, report) {
            return Some(mistake);
        }
    }
    extensions
        .find_map(|(tag, index, name)| too_long(root, (tag, index), name, report))
        .or_else(|| {
            services.find_map(|(tag, index, service)| {
                let name = service.name();
                too_long(root, (tag, index), name, report).or_else(|| {
                    let at = root.below(tag, index, name);
                    let mut methods = service.method.iter().enumerate();
                    methods.find_map(|(index, method)| {
                        too_long(&at, (tag::SERVICE_METHOD, index), method.name(), report)
                    })
                })
            })
        })
}

fn in_message(
    outer: &NodePath<'_>,
    place: (i32, usize),
    message: &DescriptorProto,
    report: &mut Report,
) -> Option<Diagnostic> {
    // As deep as the parser allows: 31 levels.
    if let Some(mistake) = too_long(outer, place, message.name(), report) {
        return Some(mistake);
    }
    let at = outer.below(place.0, place.1, message.name());
    let fields = message.field.iter().map(|field| field.name());
    let extensions = message.extension.iter().map(|field| field.name());
    let oneofs = message.oneof_decl.iter().map(|oneof| oneof.name());
    let fields = fields
        .enumerate()
        .map(|(index, name)| (tag::MESSAGE_FIELD, index, name));
    let extensions = extensions.enumerate();
    let extensions = extensions.map(|(index, name)| (tag::MESSAGE_EXTENSION, index, name));
    let oneofs = oneofs
        .enumerate()
        .map(|(index, name)| (tag::MESSAGE_ONEOF, index, name));
    let mut parts = fields.chain(extensions).chain(oneofs);
    let ranges = [
        (tag::MESSAGE_RESERVED_RANGE, message.reserved_range.len()),
        (tag::MESSAGE_EXTENSION_RANGE, message.extension_range.len()),
    ];
    parts
        .find_map(|(tag, index, name)| too_long(&at, (tag, index), name, report))
        .or_else(|| {
            let mut ranges = ranges.into_iter();
            ranges.find_map(|(tag, count)| too_many(&at, tag, count, report))
        })
        .or_else(|| {
            let mut enums = message.enum_type.iter().enumerate();
            enums.find_map(|(index, ty)| in_enum(&at, (tag::MESSAGE_ENUM, index), ty, report))
        })
        .or_else(|| {
            let mut nested = message.nested_type.iter().enumerate();
            nested.find_map(|(index, message)| {
                in_message(&at, (tag::MESSAGE_NESTED, index), message, report)
            })
        })
}

fn in_enum(
    outer: &NodePath<'_>,
    place: (i32, usize),
    ty: &EnumDescriptorProto,
    report: &mut Report,
) -> Option<Diagnostic> {
    if let Some(mistake) = too_long(outer, place, ty.name(), report) {
        return Some(mistake);
    }
    let at = outer.below(place.0, place.1, ty.name());
    let mut values = ty.value.iter().enumerate();
    values
        .find_map(|(index, value)| too_long(&at, (tag::ENUM_VALUE, index), value.name(), report))
        .or_else(|| {
            too_many(
                &at,
                tag::ENUM_RESERVED_RANGE,
                ty.reserved_range.len(),
                report,
            )
        })
}

fn too_long(
    outer: &NodePath<'_>,
    (tag, index): (i32, usize),
    name: &str,
    report: &mut Report,
) -> Option<Diagnostic> {
    let len = outer.full.len() + 1 + name.len();
    if len <= MAX_NAME_LEN {
        return None;
    }
    let span = outer.below(tag, index, "").span(&[tag::NAME], report);
    let text = format!(
        "the full name of `{}…` is {len} bytes long; {MAX_NAME_LEN} are allowed",
        name.get(..20).unwrap_or(name)
    );
    Some(Diagnostic::new(Code::INVALID_NAME, span, text).help("choose a shorter name"))
}

fn too_many(at: &NodePath<'_>, tag: i32, count: usize, report: &mut Report) -> Option<Diagnostic> {
    if count <= MAX_RANGES {
        return None;
    }
    let index = i32::try_from(MAX_RANGES).unwrap_or(i32::MAX);
    let span = at.span(&[tag, index], report);
    let text = format!(
        "`{}` has {count} ranges of numbers here; {MAX_RANGES} are allowed",
        at.full
    );
    let help = "write numbers that follow each other as one range, such as `5 to 9`";
    let diagnostic = Diagnostic::new(Code::INVALID_SCHEMA, span, text);
    Some(diagnostic.label("one range too many").help(help))
}
