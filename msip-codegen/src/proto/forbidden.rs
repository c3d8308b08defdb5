//! Checks that neither the parser nor the pool makes of protobuf's rules: options where they have no effect, ranges that
//! reserve nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, UninterpretedOption,
};

use msip_schema::{Code, Diagnostic};

use super::files::Files;
use super::node_path::NodePath;
use super::option_lists;
use super::report::Report;
use super::source_info::tag;
use super::symbols::{Lookup, Node, Symbols, is_map_entry};

/// Reports what is forbidden in the files of the user.
pub(crate) fn check(files: &Files, symbols: &Symbols<'_>, report: &mut Report) {
    let mut extended = HashMap::new();
    for (index, file) in files.files.iter().enumerate() {
        let root = NodePath {
            index,
            file,
            path: Vec::new(),
            full: file.package().to_owned(),
        };
        let mut checker = Checker {
            symbols,
            report,
            extended: &mut extended,
        };
        // What is not the user's is checked elsewhere; its extensions have taken their numbers.
        if file.is_users() {
            checker.features(&root);
        }
        for (position, message) in file.descriptor.message_type.iter().enumerate() {
            let at = root.below(tag::FILE_MESSAGE, position, message.name());
            checker.message(&at, message);
        }
        for (position, enumeration) in file.descriptor.enum_type.iter().enumerate() {
            let at = root.below(tag::FILE_ENUM, position, enumeration.name());
            checker.enumeration(&at, enumeration);
        }
        for (position, field) in file.descriptor.extension.iter().enumerate() {
            let at = root.below(tag::FILE_EXTENSION, position, field.name());
            checker.extension(&at, file.package(), field);
        }
    }
}

struct Checker<'a> {
    symbols: &'a Symbols<'a>,
    report: &'a mut Report,
    /// The extensions so far, by the message that they extend and their numbers.
    extended: &'a mut HashMap<(String, i32), String>,
}

/// A range with both of its ends.
type Numbers = (i64, i64);

/// Ranges so far, none of which overlaps another: their ends by their starts.
#[derive(Default)]
struct Ranges(BTreeMap<i64, i64>);

impl Ranges {
    /// Adds a range, unless it overlaps one of those, which is returned.
    fn add(&mut self, (start, end): Numbers) -> Option<Numbers> {
        let before = self.0.range(..=end).next_back();
        let other = before.filter(|(_, last)| **last >= start);
        if let Some((&first, &last)) = other {
            return Some((first, last));
        }
        self.0.insert(start, end);
        None
    }
}

impl Checker<'_> {
    fn refuse(&mut self, at: &NodePath<'_>, part: &[i32], text: impl Into<String>, help: &str) {
        let span = at.span(part, self.report);
        let diagnostic = Diagnostic::new(Code::INVALID_SCHEMA, span, text);
        self.report.push(diagnostic.help(help));
    }

    /// `features` on anything.
    fn features(&mut self, root: &NodePath<'_>) {
        let mut found = Vec::new();
        option_lists::visit(&mut root.file.descriptor.clone(), &mut |list, options| {
            for (index, option) in (0..).zip(options.iter()) {
                let first = option.name.first();
                if first.is_some_and(|part| part.name_part == "features" && !part.is_extension) {
                    let path = [tag::UNINTERPRETED_OPTION, index];
                    found.push([list.path.as_slice(), &path].concat());
                }
            }
        });
        for path in found {
            let text = "`features` can be set in files of an edition only";
            let help = "remove it; in proto3, `optional` gives a field explicit presence";
            self.refuse(root, &path, text, help);
        }
    }

    fn message(&mut self, at: &NodePath<'_>, message: &DescriptorProto) {
        if is_map_entry(message) {
            return;
        }
        let options = message.options.as_ref();
        let options = options.map_or(&[][..], |options| &options.uninterpreted_option);
        if let Some(index) = position(options, "map_entry") {
            let part = option_path(tag::MESSAGE_OPTIONS, index);
            let help = "declare a field of type `map<…>` instead";
            self.refuse(at, &part, "`map_entry` cannot be set by hand", help);
        }
        if let Some(index) = position(options, "message_set_wire_format")
            && at.file.is_proto3()
            && is_true(options, index)
        {
            let part = option_path(tag::MESSAGE_OPTIONS, index);
            let help =
                "remove the option; a field of type `google.protobuf.Any` can hold any message";
            self.refuse(at, &part, "proto3 has no message sets", help);
        }
        if at.file.is_proto3() && !message.extension_range.is_empty() {
            let part = [tag::MESSAGE_EXTENSION_RANGE, 0];
            let help =
                "remove `extensions`; a field of type `google.protobuf.Any` can hold any message";
            self.refuse(at, &part, "proto3 has no extension ranges", help);
        }
        self.reserved(at, message);
        for (position, field) in message.field.iter().enumerate() {
            let at_field = at.below(tag::MESSAGE_FIELD, position, field.name());
            self.field(&at_field, &at.full, field);
            self.json_name(&at_field, field);
        }
        for (position, field) in message.extension.iter().enumerate() {
            let at_field = at.below(tag::MESSAGE_EXTENSION, position, field.name());
            self.extension(&at_field, &at.full, field);
        }
        for (position, nested) in message.nested_type.iter().enumerate() {
            let at = at.below(tag::MESSAGE_NESTED, position, nested.name());
            self.message(&at, nested);
        }
        for (position, nested) in message.enum_type.iter().enumerate() {
            let at = at.below(tag::MESSAGE_ENUM, position, nested.name());
            self.enumeration(&at, nested);
        }
    }

    /// The ranges and names that a message reserves, and those that it leaves to extensions.
    fn reserved(&mut self, at: &NodePath<'_>, message: &DescriptorProto) {
        // Descriptors end these ranges after the last number.
        let numbers = |start: i32, end: i32| (i64::from(start), i64::from(end) - 1);
        let reserved = message.reserved_range.iter();
        let reserved: Vec<Numbers> = reserved
            .map(|range| numbers(range.start(), range.end()))
            .collect();
        let extensions = message.extension_range.iter();
        let extensions: Vec<Numbers> = extensions
            .map(|range| numbers(range.start(), range.end()))
            .collect();
        let ranges = [
            (tag::MESSAGE_RESERVED_RANGE, &reserved),
            (tag::MESSAGE_EXTENSION_RANGE, &extensions),
        ];
        self.ranges(at, &ranges);
        self.names(at, tag::MESSAGE_RESERVED_NAME, &message.reserved_name);
    }

    /// Reports ranges that end before they begin, and those that overlap an earlier one.
    fn ranges(&mut self, at: &NodePath<'_>, kinds: &[(i32, &Vec<Numbers>)]) {
        let all = kinds.iter().flat_map(|(tag, ranges)| {
            let ranges = (0..).zip(ranges.iter());
            ranges.map(move |(index, range)| ([*tag, index], *range))
        });
        let mut earlier = Ranges::default();
        for (part, (start, end)) in all {
            if end < start {
                let text = format!("the range {start} to {end} ends before it begins");
                let help = format!("write `{end} to {start}`");
                self.refuse(at, &part, text, &help);
                continue;
            }
            if let Some((first, last)) = earlier.add((start, end)) {
                let shown = |(start, end): Numbers| {
                    if start == end {
                        start.to_string()
                    } else {
                        format!("{start} to {end}")
                    }
                };
                let (this, that) = (shown((start, end)), shown((first, last)));
                let text = format!("{this} overlaps the earlier range {that}");
                self.refuse(at, &part, text, "name each number once");
            }
        }
    }

    /// Reports names that are reserved twice.
    fn names(&mut self, at: &NodePath<'_>, tag: i32, names: &[String]) {
        let mut earlier = HashSet::new();
        for (index, name) in (0..).zip(names) {
            if !earlier.insert(name) {
                let text = format!("the name `{name}` is reserved twice");
                self.refuse(at, &[tag, index], text, "remove one of the two");
            }
        }
    }

    /// The options of a field or an extension that need a type.
    fn field(&mut self, at: &NodePath<'_>, scope: &str, field: &FieldDescriptorProto) {
        let options = field.options.as_ref();
        let options = options.map_or(&[][..], |options| &options.uninterpreted_option);
        for (index, option) in options.iter().enumerate() {
            let [name] = option.name.as_slice() else {
                continue;
            };
            if name.is_extension {
                continue;
            }
            let wanted = match name.name_part.as_str() {
                "packed" if is_true(options, index) => "repeated numbers, booleans and enums",
                "lazy" | "unverified_lazy" if is_true(options, index) => "fields of a message type",
                "jstype" if option.identifier_value() != "JS_NORMAL" => "64-bit integers",
                _ => continue,
            };
            let is_repeated = field.label() == Label::Repeated;
            let fits = match (name.name_part.as_str(), self.type_of(at, scope, field)) {
                // An unknown type is reported elsewhere.
                (_, None) => true,
                ("packed", Some(ty)) => {
                    let lens = [Type::String, Type::Bytes, Type::Message, Type::Group];
                    is_repeated && !lens.contains(&ty)
                }
                ("jstype", Some(ty)) => matches!(
                    ty,
                    Type::Int64 | Type::Uint64 | Type::Sint64 | Type::Fixed64 | Type::Sfixed64
                ),
                (_, Some(ty)) => matches!(ty, Type::Message | Type::Group),
            };
            if !fits {
                let text = format!("`{}` is for {wanted} only", name.name_part);
                let part = option_path(tag::FIELD_OPTIONS, index);
                self.refuse(at, &part, text, "remove the option");
            }
        }
    }

    fn type_of(
        &self,
        at: &NodePath<'_>,
        scope: &str,
        field: &FieldDescriptorProto,
    ) -> Option<Type> {
        if field.type_name.is_none() || field.r#type == Some(Type::Group as i32) {
            return Some(field.r#type());
        }
        match self.symbols.resolve(field.type_name(), scope, at.index) {
            Lookup::Found(_, symbol) => Some(match symbol.node {
                Node::Message(_) => Type::Message,
                Node::Enum => Type::Enum,
            }),
            _ => None,
        }
    }

    fn json_name(&mut self, at: &NodePath<'_>, field: &FieldDescriptorProto) {
        let name = field.json_name();
        if name.contains('\0') {
            let text = "the `json_name` contains the character NUL";
            self.refuse(at, &[tag::FIELD_JSON_NAME], text, "remove `\\0`");
        } else if name.starts_with('[') && name.ends_with(']') {
            let text = format!("the `json_name` `{name}` is kept for extensions");
            let help = "choose a name without brackets around it";
            self.refuse(at, &[tag::FIELD_JSON_NAME], text, help);
        }
    }

    fn extension(&mut self, at: &NodePath<'_>, scope: &str, field: &FieldDescriptorProto) {
        self.field(at, scope, field);
        let written = [tag::FIELD_JSON_NAME];
        if at
            .file
            .source_info
            .bytes(&[at.path.as_slice(), &written].concat())
            .is_some()
        {
            let text = "an extension cannot have a `json_name`";
            self.refuse(at, &written, text, "remove the option");
        }
        // An unknown message is reported elsewhere.
        let extended = match self.symbols.resolve(field.extendee(), scope, at.index) {
            Lookup::Found(full, _) => full.to_owned(),
            _ => return,
        };
        let number = (extended.clone(), field.number());
        if let Some(earlier) = self.extended.insert(number, at.full.clone()) {
            let text = format!(
                "the number {} of `{extended}` is taken by the extension `{earlier}`",
                field.number()
            );
            let help = "give one of the two another number";
            self.refuse(at, &[tag::FIELD_NUMBER], text, help);
        }
        if !at.file.is_proto3() {
            return;
        }
        let short = extended.strip_prefix("google.protobuf.");
        if !short.is_some_and(|short| OPTIONS_MESSAGES.contains(&short)) {
            let text = format!("proto3 can extend options only, and not `{extended}`");
            let help = "add the field to the message itself";
            self.refuse(at, &[tag::FIELD_EXTENDEE], text, help);
        }
    }

    fn enumeration(&mut self, at: &NodePath<'_>, enumeration: &EnumDescriptorProto) {
        let ranges: Vec<Numbers> = enumeration
            .reserved_range
            .iter()
            .map(|range| (i64::from(range.start()), i64::from(range.end())))
            .collect();
        self.ranges(at, &[(tag::ENUM_RESERVED_RANGE, &ranges)]);
        self.names(at, tag::ENUM_RESERVED_NAME, &enumeration.reserved_name);
        let options = enumeration.options.as_ref();
        let options = options.map_or(&[][..], |options| &options.uninterpreted_option);
        if let Some(index) = position(options, "allow_alias") {
            let numbers: HashSet<i32> = enumeration
                .value
                .iter()
                .map(|value| value.number())
                .collect();
            let part = option_path(tag::ENUM_OPTIONS, index);
            if !is_true(options, index) {
                let text = "`allow_alias = false` has no effect";
                self.refuse(at, &part, text, "remove the option");
            } else if numbers.len() == enumeration.value.len() {
                let text = format!("no two values of `{}` have one number", enumeration.name());
                self.refuse(at, &part, text, "remove `allow_alias`");
            }
        }
    }
}

/// The messages of `google/protobuf/descriptor.proto` that proto3 may extend.
const OPTIONS_MESSAGES: [&str; 11] = [
    "FileOptions",
    "MessageOptions",
    "FieldOptions",
    "OneofOptions",
    "ExtensionRangeOptions",
    "EnumOptions",
    "EnumValueOptions",
    "ServiceOptions",
    "MethodOptions",
    "StreamOptions",
    "FeatureSet",
];

/// The index of one of protobuf's own options.
fn position(options: &[UninterpretedOption], wanted: &str) -> Option<usize> {
    options.iter().position(|option| {
        matches!(option.name.as_slice(), [part] if part.name_part == wanted && !part.is_extension)
    })
}

fn is_true(options: &[UninterpretedOption], index: usize) -> bool {
    options
        .get(index)
        .is_some_and(|option| option.identifier_value() == "true")
}

fn option_path(list: i32, index: usize) -> [i32; 3] {
    let index = i32::try_from(index).unwrap_or(i32::MAX);
    [list, tag::UNINTERPRETED_OPTION, index]
}
