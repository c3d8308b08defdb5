//! Files of a descriptor set, as if they had been parsed: what a compiler of protobuf has written, read by programs that run.

use std::collections::HashMap;

use msip_schema::{Code, Diagnostic, Direction, Span, json_name};
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value,
};
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FieldOptions, FileDescriptorProto, FileDescriptorSet,
    UninterpretedOption, uninterpreted_option::NamePart,
};

use super::guard::Language;
use super::outline_text::OptionTexts;
use super::parse;
use super::report::Report;
use super::source_info::tag;

/// The largest set that is read, in bytes.
const MAX_SET_LEN: usize = 16 * 1024 * 1024;

/// The files of a set by their names, and the names of those that declare protocols.
#[derive(Debug, Default)]
pub(crate) struct SetFiles {
    pub(crate) files: HashMap<String, SetFile>,
    pub(crate) protocols: Vec<String>,
}

/// A file of a set.
#[derive(Debug)]
pub(crate) struct SetFile {
    pub(crate) descriptor: FileDescriptorProto,
    /// What its options of MSIP were written as.
    pub(crate) options: OptionTexts,
}

/// Reads an encoded set; what is wrong with it is reported.
pub(crate) fn read(encoded: &[u8], report: &mut Report) -> Option<SetFiles> {
    if encoded.len() > MAX_SET_LEN {
        report.push(wrong("the descriptor set is larger than 16 MiB".to_owned()));
        return None;
    }
    let set = match FileDescriptorSet::decode(encoded) {
        Ok(set) => set,
        Err(error) => {
            report.push(wrong(format!("the descriptor set is malformed: {error}")));
            return None;
        }
    };
    // The pool would panic on them.
    let mut are_known = true;
    for file in &set.file {
        if !matches!(file.syntax.as_deref(), None | Some("proto2" | "proto3")) {
            let id = report.add_outline(file.name(), "");
            let other = parse::other_language(id, Language::Edition(0..0), true, report);
            other.into_iter().for_each(|other| report.push(other));
            are_known = false;
        }
    }
    if !are_known {
        return None;
    }
    // It keeps options that are extensions, which the types of prost drop.
    let pool = match DescriptorPool::decode(encoded) {
        Ok(pool) => pool,
        Err(error) => {
            let error = error.to_string();
            let line = error.lines().next().unwrap_or_default();
            let text = format!("the descriptor set cannot be used: {line}");
            report.push(wrong(text));
            return None;
        }
    };
    let mut read = SetFiles::default();
    for mut descriptor in set.file {
        let name = descriptor.name().to_owned();
        let prefix = match descriptor.package() {
            "" => String::new(),
            package => format!("{package}."),
        };
        let mut options = OwnOptions::default();
        for (index, message) in (0..).zip(&mut descriptor.message_type) {
            let full = format!("{prefix}{}", message.name());
            let path = [tag::FILE_MESSAGE, index];
            options.message_as_parsed(&path, message, pool.get_message_by_name(&full));
        }
        if let Some(info) = &mut descriptor.source_code_info {
            for location in &mut info.location {
                if let Some(path) = options.paths.get(&location.path) {
                    location.path.clone_from(path);
                }
            }
        }
        let mut messages = descriptor.message_type.iter();
        let envelopes = [Direction::ClientToServer, Direction::ServerToClient];
        if messages.any(|message| {
            envelopes
                .iter()
                .any(|direction| direction.envelope_name() == message.name())
        }) {
            read.protocols.push(name.clone());
        }
        let options = options.texts;
        read.files.insert(
            name,
            SetFile {
                descriptor,
                options,
            },
        );
    }
    Some(read)
}

fn wrong(text: String) -> Diagnostic {
    let help =
        "write the set anew, with all imports: `protoc --include_imports --descriptor_set_out`";
    Diagnostic::new(Code::INVALID_SCHEMA, Span::NONE, text).help(help)
}

/// MSIP's options of a file, which a set has interpreted: where they were written, and what was.
#[derive(Debug, Default)]
struct OwnOptions {
    /// The path of each option as the parser leaves it, by its path in the set.
    paths: HashMap<Vec<i32>, Vec<i32>>,
    texts: OptionTexts,
}

impl OwnOptions {
    /// A message as the parser leaves it: MSIP's options are not interpreted, and names in JSON are there where they were written.
    fn message_as_parsed(
        &mut self,
        path: &[i32],
        message: &mut DescriptorProto,
        descriptor: Option<MessageDescriptor>,
    ) {
        for (index, field) in (0..).zip(&mut message.field) {
            let known = descriptor.as_ref();
            let known = known.and_then(|known| known.get_field_by_name(field.name()));
            let path = [path, &[tag::MESSAGE_FIELD, index]].concat();
            self.field_as_parsed(&path, field, known.as_ref());
        }
        for (index, nested) in (0..).zip(&mut message.nested_type) {
            let known = descriptor.as_ref().and_then(|known| {
                let mut all = known.child_messages();
                all.find(|child| child.name() == nested.name())
            });
            let path = [path, &[tag::MESSAGE_NESTED, index]].concat();
            self.message_as_parsed(&path, nested, known);
        }
    }

    fn field_as_parsed(
        &mut self,
        path: &[i32],
        field: &mut FieldDescriptorProto,
        descriptor: Option<&FieldDescriptor>,
    ) {
        if field.json_name.as_deref() == Some(&*json_name(field.name())) {
            field.json_name = None;
        }
        let Some(set) = descriptor.map(FieldDescriptor::options) else {
            return;
        };
        for (extension, value) in set.extensions() {
            let Some((option, text)) = own_option(&extension, value) else {
                continue;
            };
            let name = format!("({})", extension.full_name());
            let options = field.options.get_or_insert_with(FieldOptions::default);
            let list = &mut options.uninterpreted_option;
            let index = i32::try_from(list.len()).unwrap_or(i32::MAX);
            let parsed = [
                path,
                &[tag::FIELD_OPTIONS, tag::UNINTERPRETED_OPTION, index],
            ]
            .concat();
            let number = i32::try_from(extension.number()).unwrap_or(i32::MAX);
            let interpreted = [path, &[tag::FIELD_OPTIONS, number]].concat();
            self.texts.insert(parsed.clone(), [name, text]);
            self.paths.insert(interpreted, parsed);
            list.push(option);
        }
    }
}

/// An option of MSIP's as the parser leaves it, and its value as it is written; `None` for one of others.
fn own_option(
    extension: &ExtensionDescriptor,
    value: &Value,
) -> Option<(UninterpretedOption, String)> {
    if !extension.full_name().starts_with("msip.") {
        return None;
    }
    let mut option = UninterpretedOption {
        name: vec![NamePart {
            name_part: extension.full_name().to_owned(),
            is_extension: true,
        }],
        ..UninterpretedOption::default()
    };
    let text = match (extension.kind(), value) {
        (Kind::Enum(values), Value::EnumNumber(number)) => {
            let text = values.get_value(*number)?.name().to_owned();
            option.identifier_value = Some(text.clone());
            text
        }
        (_, Value::Bool(value)) => {
            option.identifier_value = Some(value.to_string());
            value.to_string()
        }
        (_, Value::U32(value)) => {
            option.positive_int_value = Some((*value).into());
            value.to_string()
        }
        (_, Value::String(value)) => {
            option.string_value = Some(value.clone().into_bytes());
            format!("\"{value}\"")
        }
        // MSIP has options of no other type.
        _ => return None,
    };
    Some((option, text))
}
