//! The fields of a message, as TypeScript sees them.

use std::collections::BTreeSet;

use msip_schema::{Cardinality, Field, FieldType, MessageType, TypeName};

use super::modules::{Home, Identifiers, Module, Modules, core_type};
use super::names::property_name;
use crate::write::{CodeEscape, StringLiterals, Writer};

const LITERALS: StringLiterals = StringLiterals {
    quote: '"',
    code: CodeEscape::Surrogates,
    special: &[],
};

/// How long a line may be that can be broken.
pub(super) const LINE: usize = 120;

/// A string of TypeScript.
pub(super) fn literal(text: &str) -> String {
    LITERALS.literal(text)
}

/// A property of a message.
pub(super) enum Slot<'a> {
    Field(Property<'a>),
    Oneof(Oneof<'a>),
}

/// A field that is a property, or the value of a oneof.
pub(super) struct Property<'a> {
    pub(super) field: &'a Field,
    /// The name of the property, or of the case of the oneof.
    pub(super) name: String,
}

/// A oneof.
pub(super) struct Oneof<'a> {
    pub(super) doc: &'a str,
    /// The name of the property.
    pub(super) name: String,
    pub(super) cases: Vec<Property<'a>>,
}

/// The properties of a message in the order of the source, each with a name of its own.
pub(super) fn slots(message: &MessageType) -> Vec<Slot<'_>> {
    let mut taken = BTreeSet::new();
    let mut own_name = |name: &str| {
        let mut name = property_name(name);
        while !taken.insert(name.clone()) {
            name.push('_');
        }
        name
    };
    let mut slots: Vec<Slot<'_>> = Vec::new();
    let mut oneofs: Vec<(&str, usize)> = Vec::new();
    for field in &message.fields {
        let Some(oneof) = field.oneof.as_deref() else {
            let name = own_name(&field.name);
            slots.push(Slot::Field(Property { field, name }));
            continue;
        };
        let found = oneofs.iter().find(|(name, _)| *name == oneof);
        let at = found.map_or(slots.len(), |(_, at)| *at);
        if at == slots.len() {
            oneofs.push((oneof, at));
            let declared = message.oneofs.iter().find(|one| one.name == oneof);
            slots.push(Slot::Oneof(Oneof {
                doc: declared.map_or("", |one| &one.doc),
                name: own_name(oneof),
                cases: Vec::new(),
            }));
        }
        if let Some(Slot::Oneof(oneof)) = slots.get_mut(at) {
            let mut name = property_name(&field.name);
            while oneof.cases.iter().any(|case| case.name == name) {
                name.push('_');
            }
            oneof.cases.push(Property { field, name });
        }
    }
    slots
}

/// The number and the wire type of a field, as one number.
pub(super) fn tag(number: u32, wire_type: u32) -> u32 {
    number << 3 | wire_type
}

/// The wire type of a value.
pub(super) fn wire_type(ty: &FieldType) -> u32 {
    match ty {
        FieldType::Double | FieldType::Fixed64 | FieldType::Sfixed64 => 1,
        FieldType::Float | FieldType::Fixed32 | FieldType::Sfixed32 => 5,
        FieldType::String | FieldType::Bytes | FieldType::Message(_) => LENGTH_DELIMITED,
        _ => 0,
    }
}

/// The wire type of what has a length before it.
pub(super) const LENGTH_DELIMITED: u32 = 2;

/// Whether many values of the type may be packed.
pub(super) fn is_packed(ty: &FieldType) -> bool {
    wire_type(ty) != LENGTH_DELIMITED
}

/// The methods of the core's reader and writer for a scalar or an enum.
pub(super) fn method(ty: &FieldType) -> &'static str {
    ty.scalar_name().unwrap_or("int32")
}

fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The value of a field that is absent.
pub(super) fn zero(ty: &FieldType) -> &'static str {
    match ty {
        FieldType::Int64
        | FieldType::Uint64
        | FieldType::Sint64
        | FieldType::Fixed64
        | FieldType::Sfixed64 => "0n",
        FieldType::Bool => "false",
        FieldType::String => "\"\"",
        FieldType::Bytes => "new Uint8Array(0)",
        FieldType::Message(_) => "undefined",
        _ => "0",
    }
}

/// All types, seen from a module.
pub(super) struct Types<'m, 'a> {
    pub(super) modules: &'m Modules<'a>,
    /// The module of the package.
    pub(super) module: &'m Module<'a>,
    /// Whether the types of the package are in another module than the one that is written.
    pub(super) is_beside: bool,
}

impl<'m> Types<'m, '_> {
    /// Where a type is found; `None` for a type of the core.
    pub(super) fn home(&self, name: &TypeName) -> Option<Home<'m>> {
        let asking = (!self.is_beside).then_some(self.module.package);
        self.modules.home(asking, name)
    }

    /// The module of the package, if it is not the one that is written.
    pub(super) fn messages_module(&self) -> Option<String> {
        self.is_beside.then(|| self.module.import_path())
    }

    /// The type of one value.
    pub(super) fn value(&self, ty: &FieldType, out: &mut Writer) -> String {
        match ty {
            FieldType::Message(name) | FieldType::Enum(name) => self.named(name, out),
            FieldType::Int64
            | FieldType::Uint64
            | FieldType::Sint64
            | FieldType::Fixed64
            | FieldType::Sfixed64 => "bigint".to_owned(),
            FieldType::Bool => "boolean".to_owned(),
            FieldType::String => "string".to_owned(),
            FieldType::Bytes => "Uint8Array".to_owned(),
            _ => "number".to_owned(),
        }
    }

    /// The type of a message or an enum.
    pub(super) fn named(&self, name: &TypeName, out: &mut Writer) -> String {
        match core_type(name) {
            None => self.import(name, out, |home| home.name.clone()),
            Some((core, None)) => self.import_type(core, out),
            Some((_, Some(ty))) => {
                let (base, list) = match ty.strip_suffix("[]") {
                    Some(base) => (base, "[]"),
                    None => (ty, ""),
                };
                let is_imported = base.starts_with("Json");
                match is_imported {
                    true => format!("{}{list}", self.import_type(base, out)),
                    false => ty.to_owned(),
                }
            }
        }
    }

    /// A type of the core.
    pub(super) fn import_type(&self, name: &str, out: &mut Writer) -> String {
        out.import(&type_module(&self.modules.messages()), name)
    }

    /// The function of the core that writes a value of this type: `put`, or reads one: `take`.
    pub(super) fn scalar(&self, verb: &str, ty: &FieldType, out: &mut Writer) -> String {
        self.wire(&format!("{verb}{}", capitalized(method(ty))), out)
    }

    /// A function of the core that reads or writes protobuf. A bundle has those that are imported, and no others.
    pub(super) fn wire(&self, name: &str, out: &mut Writer) -> String {
        out.import(&self.modules.messages(), name)
    }

    /// A function of a message: `write`, `read`, `encode` or `decode`.
    pub(super) fn function(&self, verb: &str, name: &TypeName, out: &mut Writer) -> String {
        match core_type(name) {
            Some((core, _)) => out.import(&self.modules.messages(), &format!("{verb}{core}")),
            None => self.import_value(name, out, |own| format!("{verb}{}", own.name)),
        }
    }

    /// The table of a message's fields, or of an enum's names.
    pub(super) fn table(&self, name: &TypeName, suffix: &str, out: &mut Writer) -> String {
        match core_type(name) {
            Some((core, _)) => out.import(&self.modules.messages(), &format!("{core}_{suffix}")),
            None => self.import_value(name, out, |own| format!("{}_{suffix}", own.name)),
        }
    }

    fn import(
        &self,
        name: &TypeName,
        out: &mut Writer,
        of: impl FnOnce(&Identifiers) -> String,
    ) -> String {
        self.found(name, out, of, true)
    }

    /// What another module declares for a type, as a value.
    pub(super) fn import_value(
        &self,
        name: &TypeName,
        out: &mut Writer,
        of: impl FnOnce(&Identifiers) -> String,
    ) -> String {
        self.found(name, out, of, false)
    }

    fn found(
        &self,
        name: &TypeName,
        out: &mut Writer,
        of: impl FnOnce(&Identifiers) -> String,
        is_type: bool,
    ) -> String {
        match self.home(name) {
            // A checked schema has every type that it names.
            None => "unknown".to_owned(),
            Some(home) => {
                let identifier = of(home.identifiers);
                match home.module {
                    None => identifier,
                    Some(module) if is_type => out.import(&type_module(&module), &identifier),
                    Some(module) => out.import(&module, &identifier),
                }
            }
        }
    }
}

/// Marks a module whose types are imported: an import of types is a statement of its own.
pub(super) fn type_module(module: &str) -> String {
    format!("{module}{TYPES_ONLY}")
}

const TYPES_ONLY: char = '\u{1}';

/// Writes the imports of a module.
pub(super) fn write_imports(head: &mut Writer, imports: &crate::write::Imports) {
    for (module, names) in imports.iter() {
        let names: Vec<String> = names
            .map(|import| match import.name == import.local {
                true => import.name.to_owned(),
                false => format!("{} as {}", import.name, import.local),
            })
            .collect();
        let (keyword, module) = match module.strip_suffix(TYPES_ONLY) {
            Some(module) => ("import type", module),
            None => ("import", module),
        };
        let one_line = format!(
            "{keyword} {{ {} }} from {};",
            names.join(", "),
            literal(module)
        );
        if one_line.len() <= LINE {
            head.line(one_line);
            continue;
        }
        head.line(format_args!("{keyword} {{"));
        head.indent();
        for name in names {
            head.line(format_args!("{name},"));
        }
        head.dedent();
        head.line(format_args!("}} from {};", literal(module)));
    }
}

/// Whether a field may be absent, beyond being zero.
pub(super) fn is_optional(field: &Field) -> bool {
    field.cardinality == Cardinality::Optional
}

/// Whether the value of a field is a message.
pub(super) fn message_of(ty: &FieldType) -> Option<&TypeName> {
    match ty {
        FieldType::Message(name) => Some(name),
        _ => None,
    }
}
