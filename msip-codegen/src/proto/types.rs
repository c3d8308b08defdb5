//! Lowering of messages and enums from descriptors to the model.

use std::collections::{HashMap, HashSet};

use msip_schema::{
    Cardinality, Code, Diagnostic, EnumType, EnumValue, Field, FieldType, MessageType, Oneof,
    TypeDef, TypeName, Types, map_entry_name,
};
use prost_types::field_descriptor_proto::Label;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
};

use super::deprecated::is_deprecated;
use super::files::Files;
use super::node_path::NodePath;
use super::packed::is_expanded;
use super::report::Report;
use super::reserved::{ReservedValues, reserved_numbers};
use super::scalars::{SCALARS, meant_scalar, scalar, well_known_file};
use super::source_info::tag;
use super::symbols::{Lookup, Node, Symbol, Symbols, is_map_entry, meant};

/// Lowers descriptors to types of the model.
pub(crate) struct Lowering<'a> {
    pub(crate) files: &'a Files,
    pub(crate) symbols: &'a Symbols<'a>,
    pub(crate) report: &'a mut Report,
    /// The names to suggest for an unknown type, once there is one.
    names: Option<Vec<&'a str>>,
    types: Types,
}

impl<'a> Lowering<'a> {
    pub(crate) fn new(files: &'a Files, symbols: &'a Symbols<'a>, report: &'a mut Report) -> Self {
        Self {
            files,
            symbols,
            report,
            names: None,
            types: Types::new(),
        }
    }

    /// Every type of every file.
    pub(crate) fn all_types(mut self) -> Types {
        for (index, file) in self.files.files.iter().enumerate() {
            let root = NodePath {
                index,
                file,
                path: Vec::new(),
                full: file.package().to_owned(),
            };
            for (position, message) in file.descriptor.message_type.iter().enumerate() {
                self.message(
                    &root.below(tag::FILE_MESSAGE, position, message.name()),
                    message,
                );
            }
            for (position, enumeration) in file.descriptor.enum_type.iter().enumerate() {
                self.enumeration(
                    &root.below(tag::FILE_ENUM, position, enumeration.name()),
                    enumeration,
                );
            }
        }
        self.types
    }

    fn message(&mut self, at: &NodePath<'a>, message: &'a DescriptorProto) {
        for (position, nested) in message.nested_type.iter().enumerate() {
            if !is_map_entry(nested) {
                self.message(
                    &at.below(tag::MESSAGE_NESTED, position, nested.name()),
                    nested,
                );
            }
        }
        for (position, nested) in message.enum_type.iter().enumerate() {
            self.enumeration(
                &at.below(tag::MESSAGE_ENUM, position, nested.name()),
                nested,
            );
        }
        let entries = message.nested_type.iter();
        let entries = entries.filter(|nested| is_map_entry(nested));
        let scope = Scope {
            full: &at.full,
            message,
            entries: entries.map(|entry| (entry.name(), entry)).collect(),
        };
        let fields = message.field.iter().enumerate();
        let fields = fields.map(|(position, field)| {
            let at = at.below(tag::MESSAGE_FIELD, position, field.name());
            self.field(&at, &scope, field)
        });
        let fields: Vec<Field> = fields.collect();
        let oneofs = self.oneofs(at, message);
        self.refuse_reserved_names(at, message);
        let options = message.options.as_ref();
        let def = MessageType {
            package: at.file.package().to_owned(),
            doc: at.doc(),
            deprecated: options.is_some_and(|options| {
                is_deprecated(options.deprecated(), &options.uninterpreted_option)
            }),
            span: at.span(&[tag::NAME], self.report),
            fields,
            oneofs,
            reserved_numbers: reserved_numbers(message),
            reserved_names: message.reserved_name.clone(),
        };
        self.types
            .insert(TypeName::new(&at.full), TypeDef::Message(def));
    }

    /// The oneofs of a message, without those of proto3 `optional` fields.
    fn oneofs(&mut self, at: &NodePath<'a>, message: &DescriptorProto) -> Vec<Oneof> {
        let mut oneofs = Vec::new();
        let optional: HashSet<usize> = message
            .field
            .iter()
            .filter(|field| field.proto3_optional())
            .filter_map(|field| usize::try_from(field.oneof_index?).ok())
            .collect();
        for (position, oneof) in message.oneof_decl.iter().enumerate() {
            if optional.contains(&position) {
                continue;
            }
            let at = at.below(tag::MESSAGE_ONEOF, position, oneof.name());
            oneofs.push(Oneof {
                name: oneof.name().to_owned(),
                doc: at.doc(),
                span: at.span(&[tag::NAME], self.report),
            });
        }
        oneofs
    }

    /// Reports reserved names of fields: the pool checks numbers only.
    fn refuse_reserved_names(&mut self, at: &NodePath<'a>, message: &DescriptorProto) {
        let reserved: HashSet<&str> = message.reserved_name.iter().map(String::as_str).collect();
        for (position, field) in message.field.iter().enumerate() {
            if reserved.contains(field.name()) {
                let span = at
                    .below(tag::MESSAGE_FIELD, position, field.name())
                    .span(&[tag::NAME], self.report);
                let text = format!(
                    "the name `{}` is reserved in `{}`",
                    field.name(),
                    message.name()
                );
                let help = "choose another name, or remove it from `reserved` if no old peer means something else by it";
                self.report
                    .push(Diagnostic::new(Code::NUMBER_RESERVED, span, text).help(help));
            }
        }
    }

    fn enumeration(&mut self, at: &NodePath<'a>, enumeration: &EnumDescriptorProto) {
        let mut values = Vec::new();
        let reserved = ReservedValues::new(enumeration);
        for (position, value) in enumeration.value.iter().enumerate() {
            let at = at.below(tag::ENUM_VALUE, position, value.name());
            self.refuse_reserved_value(&at, &reserved, value);
            values.push(EnumValue {
                name: value.name().to_owned(),
                number: value.number(),
                doc: at.doc(),
                deprecated: value.options.as_ref().is_some_and(|options| {
                    is_deprecated(options.deprecated(), &options.uninterpreted_option)
                }),
                span: at.span(&[tag::NAME], self.report),
            });
        }
        let options = enumeration.options.as_ref();
        let def = EnumType {
            package: at.file.package().to_owned(),
            doc: at.doc(),
            deprecated: options.is_some_and(|options| {
                is_deprecated(options.deprecated(), &options.uninterpreted_option)
            }),
            values,
            span: at.span(&[tag::NAME], self.report),
        };
        self.types
            .insert(TypeName::new(&at.full), TypeDef::Enum(def));
    }

    /// Reports a reserved number or name of a value: the pool gives the position of the range, and does not check names.
    fn refuse_reserved_value(
        &mut self,
        at: &NodePath<'a>,
        reserved: &ReservedValues<'_>,
        value: &EnumValueDescriptorProto,
    ) {
        let number = value.number();
        let what = if reserved.has_number(number) {
            format!("the number {number}")
        } else if reserved.names.contains(value.name()) {
            format!("the name `{}`", value.name())
        } else {
            return;
        };
        let span = at.span(&[], self.report);
        let text = format!("{what} is reserved in `{}`", reserved.ty);
        let help = "choose another, or remove it from `reserved` if no old peer means something else by it";
        self.report
            .push(Diagnostic::new(Code::NUMBER_RESERVED, span, text).help(help));
    }

    fn field(
        &mut self,
        at: &NodePath<'a>,
        scope: &Scope<'_, 'a>,
        field: &'a FieldDescriptorProto,
    ) -> Field {
        let entry = scope.map_entry(field);
        let (ty, cardinality) = match entry {
            Some((key, value)) => {
                // Types inside `map<…>` are resolved in the scope of the message that has the map.
                let ty = self.field_type(at, scope.full, value);
                (ty, Cardinality::Map(scalar(key.r#type())))
            }
            None => {
                let ty = self.field_type(at, scope.full, field);
                let cardinality = match field.label() {
                    Label::Repeated => Cardinality::Repeated,
                    _ if field.proto3_optional() || matches!(ty, FieldType::Message(_)) => {
                        Cardinality::Optional
                    }
                    _ if field.oneof_index.is_some() => Cardinality::Optional,
                    _ => Cardinality::Implicit,
                };
                (ty, cardinality)
            }
        };
        let oneof = field.oneof_index.filter(|_| !field.proto3_optional());
        let oneof =
            oneof.and_then(|index| scope.message.oneof_decl.get(usize::try_from(index).ok()?));
        let expanded = is_expanded(field.options.as_ref(), &cardinality, &ty);
        Field {
            name: field.name().to_owned(),
            json_name: field.json_name.clone(),
            number: u32::try_from(field.number()).unwrap_or(0),
            ty,
            cardinality,
            oneof: oneof.map(|oneof| oneof.name().to_owned()),
            expanded,
            doc: at.doc(),
            deprecated: field.options.as_ref().is_some_and(|options| {
                is_deprecated(options.deprecated(), &options.uninterpreted_option)
            }),
            span: at.span(&[tag::NAME], self.report),
        }
    }

    fn field_type(
        &mut self,
        at: &NodePath<'a>,
        scope: &str,
        field: &FieldDescriptorProto,
    ) -> FieldType {
        if field.type_name.is_none() {
            return scalar(field.r#type());
        }
        // The message itself is a scope too: its nested types are seen without their prefix.
        match self.resolve(at, scope, field.type_name(), &[tag::FIELD_TYPE_NAME]) {
            Some((name, symbol)) => {
                self.refuse_proto2_types(at, &name, symbol);
                match symbol.node {
                    Node::Message(_) => FieldType::Message(name),
                    Node::Enum => FieldType::Enum(name),
                }
            }
            None => FieldType::Message(TypeName::new(field.type_name().trim_start_matches('.'))),
        }
    }

    /// Resolves the name of a type; reports it if it is unknown.
    pub(crate) fn resolve(
        &mut self,
        at: &NodePath<'_>,
        scope: &str,
        name: &str,
        part: &[i32],
    ) -> Option<(TypeName, Symbol<'a>)> {
        let help = match self.symbols.resolve(name, scope, at.index) {
            Lookup::Found(full, symbol) => {
                if matches!(symbol.node, Node::Message(message) if is_map_entry(message)) {
                    let full = full.to_owned();
                    self.refuse_map_entry(at, name, &full, part);
                    return None;
                }
                return Some((TypeName::new(full), symbol));
            }
            Lookup::NotImported(file) => {
                let file = self.files.files.get(file).map_or("", |file| &file.name);
                Some(format!("add `import \"{file}\";`"))
            }
            Lookup::Unknown if SCALARS.contains(&name) => Some(format!(
                "only a message can be here: declare one with a field of type `{name}`"
            )),
            // It is not shown.
            Lookup::Unknown if self.report.is_full() => None,
            Lookup::Unknown => well_known_file(name)
                .map(|file| format!("add `import \"{file}\";`"))
                .or_else(|| meant_scalar(name))
                .or_else(|| {
                    let names = || self.symbols.names(self.files);
                    meant(name, self.names.get_or_insert_with(names))
                }),
        };
        // It may be defined by a broken import, which is reported.
        if at.file.imports.len() < at.file.descriptor.dependency.len() {
            return None;
        }
        let span = at.span(part, self.report);
        let text = if SCALARS.contains(&name) {
            format!("`{name}` is not a message")
        } else {
            format!("type `{name}` is not defined")
        };
        let mut diagnostic = Diagnostic::new(Code::UNKNOWN_TYPE, span, text);
        diagnostic.help = help;
        self.report.push(diagnostic);
        None
    }

    /// Reports the mention of a map's entry, a message that is not declared but generated.
    fn refuse_map_entry(&mut self, at: &NodePath<'_>, name: &str, full: &str, part: &[i32]) {
        let span = at.span(part, self.report);
        let text = format!("`{name}` is the entry of a map here, which cannot be used as a type");
        let mut diagnostic = Diagnostic::new(Code::INVALID_SCHEMA, span, text);
        // A message of this name that the entry hides.
        let outer = full.rsplit_once('.').map_or("", |(message, _)| message);
        let outer = outer.rsplit_once('.').map_or("", |(scope, _)| scope);
        diagnostic = match self.symbols.resolve(name, outer, at.index) {
            Lookup::Found(hidden, _) if hidden != full => {
                diagnostic.help(format!("it hides another type: write `.{hidden}`"))
            }
            _ => diagnostic.help("declare a message with the fields `key` and `value`"),
        };
        self.report.push(diagnostic);
    }

    /// Reports fields whose type is declared in proto2, which is not supported.
    fn refuse_proto2_types(&mut self, at: &NodePath<'a>, name: &TypeName, symbol: Symbol<'_>) {
        let Some(file) = self.files.files.get(symbol.file) else {
            return;
        };
        if file.is_users() && !file.is_proto3() && at.file.is_proto3() {
            let span = at.span(&[tag::FIELD_TYPE_NAME], self.report);
            let text = format!(
                "`{name}` is declared in `{}`, which is written in proto2",
                file.shown
            );
            let help = "rewrite that file in proto3; only files that declare options may be proto2";
            self.report
                .push(Diagnostic::new(Code::UNSUPPORTED_SYNTAX, span, text).help(help));
        }
    }
}

/// A message in which fields are read.
struct Scope<'s, 'a> {
    full: &'s str,
    message: &'a DescriptorProto,
    /// The entries of its maps, by name.
    entries: HashMap<&'a str, &'a DescriptorProto>,
}

impl<'a> Scope<'_, 'a> {
    /// The key and value of a map field.
    fn map_entry(
        &self,
        field: &FieldDescriptorProto,
    ) -> Option<(&'a FieldDescriptorProto, &'a FieldDescriptorProto)> {
        // A field that mentions the entry of another map is none.
        if field.label() != Label::Repeated || !is_entry_of(field.name(), field.type_name()) {
            return None;
        }
        let name = field.type_name();
        let own = name.strip_prefix('.');
        let own = own.and_then(|name| name.strip_prefix(self.full)?.strip_prefix('.'));
        let entry = self.entries.get(own.unwrap_or(name))?;
        Some((entry.field.first()?, entry.field.get(1)?))
    }
}

/// Whether a type is named as the entry of the map `field`: `cache_size` has `CacheSizeEntry`.
pub(crate) fn is_entry_of(field: &str, ty: &str) -> bool {
    ty.rsplit('.').next() == Some(map_entry_name(field).as_str())
}
