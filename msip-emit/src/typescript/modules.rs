//! The modules that are written, what each has, and where each type is found.

use std::collections::{BTreeMap, BTreeSet};

use msip_schema::{Direction, FieldType, MessageType, Payload, Schema, TypeDef, TypeName};

use super::claim::claim;
use super::names::{file_name, lower_first, type_name};
use super::part::Part;
use super::protocol_names::ProtocolNames;
use crate::{Compilation, SourceFile};

/// All modules of a run.
pub(super) struct Modules<'a> {
    pub(super) compilation: &'a Compilation,
    /// The package that generated code imports.
    pub(super) core: &'a str,
    /// What clients are made of beside their core.
    pub(super) parts: &'a [Part],
    modules: BTreeMap<&'a str, Module<'a>>,
    types: BTreeMap<&'a TypeName, (&'a str, Identifiers)>,
}

/// The module of one package.
pub(super) struct Module<'a> {
    pub(super) package: &'a str,
    /// The name of its file, without its extension.
    pub(super) file: String,
    /// Its types, outer ones first.
    pub(super) types: Vec<(&'a TypeName, &'a TypeDef)>,
    pub(super) protocol: Option<ProtocolNames<'a>>,
    /// Every identifier that it declares.
    pub(super) declared: BTreeSet<String>,
}

/// The identifiers of one message or enum.
#[derive(Debug, Clone)]
pub(super) struct Identifiers {
    /// The interface of a message; the type and the object of an enum.
    pub(super) name: String,
}

/// Where a type is found.
pub(super) struct Home<'m> {
    /// The module to import it from; none if it is of the module that asks.
    pub(super) module: Option<String>,
    pub(super) identifiers: &'m Identifiers,
}

/// Types of `google.protobuf` that the core has. The type in TypeScript stands beside those that are no objects of their own.
const CORE_TYPES: &[(&str, Option<&str>)] = &[
    ("Any", None),
    ("BoolValue", Some("boolean")),
    ("BytesValue", Some("Uint8Array")),
    ("DoubleValue", Some("number")),
    ("Duration", None),
    ("Empty", None),
    ("FieldMask", None),
    ("FloatValue", Some("number")),
    ("Int32Value", Some("number")),
    ("Int64Value", Some("bigint")),
    ("ListValue", Some("JsonValue[]")),
    ("NullValue", None),
    ("StringValue", Some("string")),
    ("Struct", Some("JsonObject")),
    ("Timestamp", None),
    ("UInt32Value", Some("number")),
    ("UInt64Value", Some("bigint")),
    ("Value", Some("JsonValue")),
];

/// What the core has of a type: its name there, and its type in TypeScript if that is not it.
pub(super) fn core_type(name: &TypeName) -> Option<(&'static str, Option<&'static str>)> {
    let short = name.as_str().strip_prefix("google.protobuf.")?;
    CORE_TYPES.iter().find(|(core, _)| *core == short).copied()
}

impl Module<'_> {
    /// What other modules import it by.
    pub(super) fn import_path(&self) -> String {
        format!("./{}.js", self.file)
    }
}

impl Identifiers {
    pub(super) fn encode(&self) -> String {
        format!("encode{}", self.name)
    }

    pub(super) fn decode(&self) -> String {
        format!("decode{}", self.name)
    }

    pub(super) fn create(&self) -> String {
        format!("create{}", self.name)
    }

    pub(super) fn write(&self) -> String {
        format!("write{}", self.name)
    }

    pub(super) fn read(&self) -> String {
        format!("read{}", self.name)
    }

    pub(super) fn to_json(&self) -> String {
        format!("{}ToJson", lower_first(&self.name))
    }

    pub(super) fn of_json(&self) -> String {
        format!("{}FromJson", lower_first(&self.name))
    }

    pub(super) fn message_type(&self) -> String {
        format!("{}_type", self.name)
    }

    pub(super) fn fields(&self) -> String {
        format!("{}_fields", self.name)
    }

    pub(super) fn enum_names(&self) -> String {
        format!("{}_names", self.name)
    }

    fn all(&self, ty: &TypeDef) -> Vec<String> {
        match ty {
            TypeDef::Message(_) => vec![
                self.name.clone(),
                self.encode(),
                self.decode(),
                self.create(),
                self.write(),
                self.read(),
                self.to_json(),
                self.of_json(),
                self.message_type(),
                self.fields(),
            ],
            TypeDef::Enum(_) => vec![self.name.clone(), self.enum_names()],
        }
    }
}

impl<'a> Modules<'a> {
    pub(super) fn new(compilation: &'a Compilation, core: &'a str, parts: &'a [Part]) -> Self {
        let mut packages: BTreeMap<&str, Vec<(&TypeName, &TypeDef)>> = BTreeMap::new();
        for package in compilation.packages() {
            packages.insert(package, Vec::new());
        }
        for (name, ty) in written_types(compilation) {
            packages.entry(ty.package()).or_default().push((name, ty));
        }
        let mut modules = Self {
            compilation,
            core,
            parts,
            modules: BTreeMap::new(),
            types: BTreeMap::new(),
        };
        let mut files = BTreeSet::new();
        for (package, types) in packages {
            let schemas = compilation.protocols.iter();
            let mut schemas = schemas.map(|protocol| &protocol.schema);
            let schema = schemas.find(|schema| schema.package() == package);
            if !types.is_empty() || schema.is_some() {
                modules.add(package, types, schema, &mut files);
            }
        }
        modules
    }

    fn add(
        &mut self,
        package: &'a str,
        mut types: Vec<(&'a TypeName, &'a TypeDef)>,
        schema: Option<&'a Schema>,
        files: &mut BTreeSet<String>,
    ) {
        // Outer types have their names first.
        types.sort_by_key(|(name, _)| (name.as_str().matches('.').count(), name.as_str()));
        let mut declared = BTreeSet::new();
        for &(name, ty) in &types {
            let identifiers = claim(&mut declared, path(name, package), |name| {
                Identifiers { name }.all(ty)
            });
            let identifiers = Identifiers { name: identifiers };
            self.types.insert(name, (package, identifiers));
        }
        let protocol = schema.map(|schema| ProtocolNames::new(schema, &mut declared));
        let mut file = file_name(package);
        // Some file systems do not tell upper from lower case.
        while !files.insert(file.to_lowercase()) {
            file.push('_');
        }
        let module = Module {
            package,
            file,
            types,
            protocol,
            declared,
        };
        self.modules.insert(package, module);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Module<'a>> {
        self.modules.values()
    }

    /// The module of messages.
    pub(super) fn messages(&self) -> String {
        format!("{}/message", self.core)
    }

    /// The module of servers.
    pub(super) fn server(&self) -> String {
        format!("{}/server", self.core)
    }

    /// Where a type is found by the module of a package, or by one that has no types; `None` for a type of the core.
    pub(super) fn home(&self, asking: Option<&str>, name: &TypeName) -> Option<Home<'_>> {
        let (package, identifiers) = self.types.get(name)?;
        let module = self.modules.get(package)?;
        Some(Home {
            module: (Some(*package) != asking).then(|| module.import_path()),
            identifiers,
        })
    }

    /// The messages that an `Any` of a protocol may hold: those of its files and of their imports.
    pub(super) fn messages_of(&self, file: usize) -> Vec<&'a TypeName> {
        let files = self.compilation.with_imports([file]);
        let files = files
            .iter()
            .filter_map(|&at| self.compilation.files.get(at));
        let packages: BTreeSet<&str> = files.map(|file| file.package.as_str()).collect();
        let modules = self.modules.values();
        let modules = modules.filter(|module| packages.contains(module.package));
        let types = modules.flat_map(|module| &module.types);
        let messages = types.filter(|(_, ty)| matches!(ty, TypeDef::Message(_)));
        messages.map(|(name, _)| *name).collect()
    }

    /// The first line of a module.
    pub(super) fn header(&self, package: &str) -> String {
        let is_of_package = |file: &&SourceFile| file.package == package;
        let files = || self.compilation.files.iter().filter(is_of_package);
        let named: Vec<&SourceFile> = match files().any(|file| file.is_input) {
            true => files().filter(|file| file.is_input).collect(),
            false => files().collect(),
        };
        // A path outside of the project differs between machines.
        let is_elsewhere = |path: &str| path.starts_with('/') || path.contains(':');
        let named = named.iter().map(|file| match is_elsewhere(&file.path) {
            true => file.name.as_str(),
            false => file.path.as_str(),
        });
        format!(
            "// Generated by msip-emit {} from {}; do not edit.",
            env!("CARGO_PKG_VERSION"),
            named.collect::<Vec<_>>().join(", ")
        )
    }
}

/// What the identifiers of a type are made of.
pub(super) fn path(name: &TypeName, package: &str) -> String {
    let full = name.as_str();
    let path = full.strip_prefix(package).unwrap_or(full);
    type_name(path.strip_prefix('.').unwrap_or(path))
}

/// The types of the packages that were asked for, and what they hold.
fn written_types(compilation: &Compilation) -> BTreeMap<&TypeName, &TypeDef> {
    let asked = compilation.packages();
    let envelopes: BTreeSet<String> = compilation
        .protocols
        .iter()
        .flat_map(|protocol| {
            [Direction::ClientToServer, Direction::ServerToClient]
                .map(|side| format!("{}.{}", protocol.schema.package(), side.envelope_name()))
        })
        .collect();
    let own = compilation
        .types
        .iter()
        .filter(|(name, ty)| asked.contains(ty.package()) && !envelopes.contains(name.as_str()));
    let mut open: Vec<&TypeName> = own.map(|(name, _)| name).collect();
    for protocol in &compilation.protocols {
        // Payloads of other packages, and those of Google's, which are no types of a schema.
        open.extend(protocol.schema.types().keys());
        let members = [Direction::ClientToServer, Direction::ServerToClient]
            .map(|side| &protocol.schema.envelope(side).members);
        open.extend(
            members
                .into_iter()
                .flatten()
                .filter_map(|member| match &member.payload {
                    Payload::Message(name) => Some(name),
                    Payload::Empty => None,
                }),
        );
    }
    let mut written = BTreeMap::new();
    while let Some(name) = open.pop() {
        let Some((name, ty)) = compilation.types.get_key_value(name) else {
            continue;
        };
        if core_type(name).is_some() || written.insert(name, ty).is_some() {
            continue;
        }
        if let TypeDef::Message(message) = ty {
            open.extend(held(message));
        }
    }
    written
}

/// The types of a message's fields.
fn held(message: &MessageType) -> impl Iterator<Item = &TypeName> {
    message.fields.iter().filter_map(|field| match &field.ty {
        FieldType::Message(name) | FieldType::Enum(name) => Some(name),
        _ => None,
    })
}
