//! Where each type is written, and what it is called there.

use std::collections::{BTreeMap, BTreeSet};

use msip_schema::{
    Cardinality, Direction, EnumType, Field, FieldType, MessageType, OPTIONS_FILE, TypeDef,
    TypeName, Types,
};

use super::imports::relative_imports;
use super::names;
use super::standard_modules;
use super::well_known::WellKnown;
use crate::Compilation;

/// The names of everything that is written.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    pub(super) packages: BTreeMap<&'a str, Package<'a>>,
    types: BTreeMap<&'a str, Place<'a>>,
}

/// One package: a folder with one module.
#[derive(Debug)]
pub(super) struct Package<'a> {
    /// Its name in the schema.
    pub(super) name: &'a str,
    /// Its folders.
    pub(super) segments: Vec<String>,
    /// The classes of the module, in the order of the source.
    pub(super) classes: Vec<Class<'a>>,
    /// The names of the module: those of its classes, and of the packages that it may import.
    pub(super) taken: BTreeSet<String>,
    /// What imported packages are called in the module.
    aliases: BTreeMap<&'a str, String>,
}

/// A class: of a message, of an enum, or of an envelope that only has types in it.
#[derive(Debug)]
pub(super) struct Class<'a> {
    /// The full name in the schema.
    pub(super) full_name: &'a str,
    pub(super) name: String,
    pub(super) kind: ClassKind<'a>,
}

#[derive(Debug)]
pub(super) enum ClassKind<'a> {
    Enum {
        ty: &'a EnumType,
        values: Vec<String>,
    },
    Message(Box<MessageClass<'a>>),
    /// An envelope, whose only use is as a place of these types.
    Scope(Vec<Class<'a>>),
}

#[derive(Debug)]
pub(super) struct MessageClass<'a> {
    pub(super) ty: &'a MessageType,
    pub(super) nested: Vec<Class<'a>>,
    /// The attribute of each field that is in no oneof, and of each oneof, by its name in the schema.
    pub(super) attributes: BTreeMap<&'a str, String>,
    /// The class of each member of a oneof, by the field's name.
    pub(super) oneof_classes: BTreeMap<&'a str, String>,
}

/// Where the class of a type is.
#[derive(Debug)]
struct Place<'a> {
    package: &'a str,
    /// Its path in its module.
    path: Vec<String>,
    /// The names of an enum's values.
    zero: Option<String>,
}

impl<'a> Layout<'a> {
    pub(super) fn new(compilation: &'a Compilation) -> Self {
        let wanted = wanted_types(compilation);
        let mut children: BTreeMap<&str, Vec<(&'a TypeName, &'a TypeDef)>> = BTreeMap::new();
        let mut names: BTreeSet<&'a str> = compilation
            .protocols
            .iter()
            .map(|protocol| protocol.schema.package())
            .collect();
        for (name, ty) in &wanted {
            names.insert(ty.package());
            children.entry(scope(name)).or_default().push((*name, *ty));
        }
        for siblings in children.values_mut() {
            siblings.sort_by_key(|(name, ty)| (ty.span(), name.as_str()));
        }
        let mut layout = Self {
            packages: BTreeMap::new(),
            types: BTreeMap::new(),
        };
        let mut roots = BTreeMap::new();
        for &name in &names {
            let package = layout.package(
                name,
                &names,
                children.get(name).map_or(&[], Vec::as_slice),
                &mut roots,
            );
            layout.packages.insert(name, package);
        }
        let builder = Builder {
            roots: &roots,
            children: &children,
            packages: &layout.packages,
        };
        let mut classes = BTreeMap::new();
        for &name in &names {
            let siblings = children.get(name).map_or(&[][..], Vec::as_slice);
            let made: Vec<_> = siblings
                .iter()
                .map(|(name, ty)| builder.class(name, ty))
                .collect();
            classes.insert(name, made);
        }
        for (name, classes) in classes {
            for class in &classes {
                layout.place(name, &[], class);
            }
            if let Some(package) = layout.packages.get_mut(name) {
                package.classes = classes;
            }
        }
        layout
    }

    /// A package with its module-level names, and no classes yet.
    fn package(
        &self,
        name: &'a str,
        names: &BTreeSet<&'a str>,
        types: &[(&'a TypeName, &'a TypeDef)],
        roots: &mut BTreeMap<&'a str, String>,
    ) -> Package<'a> {
        let mut taken = BTreeSet::new();
        // A package inside of this one is an attribute of its module once it is imported.
        for other in names {
            let inner = other
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('.'));
            if let Some(inner) = inner {
                taken.insert(names::segment(inner.split('.').next().unwrap_or(inner)));
            }
        }
        for (full_name, _) in types {
            let root = names::module_name(full_name.short(), &taken);
            taken.insert(root.clone());
            roots.insert(full_name.as_str(), root);
        }
        let mut aliases = BTreeMap::new();
        for other in names.iter().filter(|other| **other != name) {
            let alias = names::module_name(&segments(other).join("_"), &taken);
            taken.insert(alias.clone());
            aliases.insert(*other, alias);
        }
        Package {
            name,
            segments: segments(name),
            classes: Vec::new(),
            taken,
            aliases,
        }
    }

    fn place(&mut self, package: &'a str, outer: &[String], class: &Class<'a>) {
        let mut path = outer.to_vec();
        path.push(class.name.clone());
        let mut zero = None;
        match &class.kind {
            ClassKind::Enum { ty, values } => {
                let index = ty
                    .values
                    .iter()
                    .position(|value| value.number == 0)
                    .unwrap_or(0);
                zero = values.get(index).cloned();
            }
            ClassKind::Message(message) => {
                for nested in &message.nested {
                    self.place(package, &path, nested);
                }
            }
            ClassKind::Scope(nested) => {
                for nested in nested {
                    self.place(package, &path, nested);
                }
            }
        }
        self.types.insert(
            class.full_name,
            Place {
                package,
                path,
                zero,
            },
        );
    }

    /// The path of a type's class in the module of `from`, and the package that has to be imported for it.
    pub(super) fn path(&self, from: &Package<'_>, name: &TypeName) -> (String, Option<&'a str>) {
        let Some(place) = self.types.get(name.as_str()) else {
            // Every type that is referred to is placed.
            return (name.short().to_owned(), None);
        };
        let path = place.path.join(".");
        if place.package == from.name {
            return (path, None);
        }
        match from.aliases.get(place.package) {
            Some(alias) => (format!("{alias}.{path}"), Some(place.package)),
            None => (path, None),
        }
    }

    /// The class path in its own module, its package and the name of its zero, of an enum.
    pub(super) fn enum_zero(&self, name: &TypeName) -> Option<(&str, &[String], &str)> {
        let place = self.types.get(name.as_str())?;
        Some((place.package, &place.path, place.zero.as_deref()?))
    }
}

impl Package<'_> {
    /// The lines that import other packages into this module.
    pub(super) fn imports<'o>(&self, others: impl Iterator<Item = &'o str>) -> Vec<String> {
        let modules = others.map(|other| {
            (
                segments(other),
                self.aliases.get(other).map_or(other, String::as_str),
            )
        });
        relative_imports(&self.segments, modules)
    }
}

/// Makes classes, once the names of all modules are known.
struct Builder<'b, 'a> {
    roots: &'b BTreeMap<&'a str, String>,
    children: &'b BTreeMap<&'b str, Vec<(&'a TypeName, &'a TypeDef)>>,
    packages: &'b BTreeMap<&'a str, Package<'a>>,
}

impl<'a> Builder<'_, 'a> {
    fn class(&self, name: &'a TypeName, ty: &'a TypeDef) -> Class<'a> {
        let root = self.roots.get(name.as_str());
        let own = root.cloned().unwrap_or_else(|| name.short().to_owned());
        self.named_class(name, ty, own)
    }

    fn named_class(&self, name: &'a TypeName, ty: &'a TypeDef, own: String) -> Class<'a> {
        let kind = match ty {
            TypeDef::Enum(ty) => {
                let values = ty.values.iter().map(|value| value.name.as_str());
                ClassKind::Enum {
                    ty,
                    values: names::value_names(name.short(), values),
                }
            }
            TypeDef::Message(_) if is_envelope(name, ty) => {
                ClassKind::Scope(self.nested(name, &mut BTreeSet::new()))
            }
            TypeDef::Message(message) => ClassKind::Message(Box::new(self.message(name, message))),
        };
        Class {
            full_name: name.as_str(),
            name: own,
            kind,
        }
    }

    fn nested(&self, name: &TypeName, taken: &mut BTreeSet<String>) -> Vec<Class<'a>> {
        let nested = self
            .children
            .get(name.as_str())
            .map_or(&[][..], Vec::as_slice);
        let mut classes = Vec::new();
        for (name, ty) in nested {
            let own = names::class_name(name.short(), taken);
            taken.insert(own.clone());
            classes.push(self.named_class(name, ty, own));
        }
        classes
    }

    fn message(&self, name: &TypeName, ty: &'a MessageType) -> MessageClass<'a> {
        let mut taken = self.referred(name, ty);
        let nested = self.nested(name, &mut taken);
        let mut oneof_classes = BTreeMap::new();
        for field in ty.fields.iter().filter(|field| field.oneof.is_some()) {
            let class = names::oneof_class(&field.name, &taken);
            taken.insert(class.clone());
            oneof_classes.insert(field.name.as_str(), class);
        }
        let mut attributes = BTreeMap::new();
        for attribute in attributes_in_order(ty) {
            let own = names::class_name(attribute, &taken);
            taken.insert(own.clone());
            attributes.insert(attribute, own);
        }
        MessageClass {
            ty,
            nested,
            attributes,
            oneof_classes,
        }
    }

    /// The module-level names that the body of a message's class refers to.
    fn referred(&self, name: &TypeName, ty: &MessageType) -> BTreeSet<String> {
        let package = self.packages.get(ty.package.as_str());
        let mut referred = BTreeSet::new();
        if !ty.oneofs.is_empty() || ty.fields.iter().any(|field| field.oneof.is_some()) {
            referred.extend(self.root_of(name));
        }
        for field in &ty.fields {
            let (FieldType::Message(target) | FieldType::Enum(target)) = &field.ty else {
                continue;
            };
            if WellKnown::of(target).is_some() {
                continue;
            }
            let root = self.root_of(target);
            // A type of another package is reached by the name of that.
            let alias = package.and_then(|package| {
                package
                    .aliases
                    .iter()
                    .filter(|(other, _)| is_in(target, other))
                    .max_by_key(|(other, _)| other.len())
            });
            referred.extend(root);
            referred.extend(alias.map(|(_, alias)| alias.clone()));
        }
        referred
    }

    /// The module-level class that a type is in, or is itself.
    fn root_of(&self, name: &TypeName) -> Option<String> {
        let mut full = name.as_str();
        loop {
            if let Some(root) = self.roots.get(full) {
                return Some(root.clone());
            }
            full = full.rsplit_once('.')?.0;
        }
    }
}

/// Whether a type is in a package.
fn is_in(name: &TypeName, package: &str) -> bool {
    let rest = name.as_str().strip_prefix(package);
    rest.is_some_and(|rest| rest.starts_with('.'))
}

/// The names of a message's attributes: each field that is in no oneof, and each oneof in the place of its first member.
pub(super) fn attributes_in_order(ty: &MessageType) -> Vec<&str> {
    let mut attributes: Vec<&str> = Vec::new();
    for field in &ty.fields {
        let attribute = field.oneof.as_deref().unwrap_or(&field.name);
        if !attributes.contains(&attribute) {
            attributes.push(attribute);
        }
    }
    attributes
}

/// The field of this name that is in no oneof.
pub(super) fn plain_field<'m>(ty: &'m MessageType, name: &str) -> Option<&'m Field> {
    ty.fields
        .iter()
        .find(|field| field.oneof.is_none() && field.name == name)
}

/// The members of a oneof.
pub(super) fn members<'f>(ty: &'f MessageType, oneof: &'f str) -> impl Iterator<Item = &'f Field> {
    ty.fields
        .iter()
        .filter(move |field| field.oneof.as_deref() == Some(oneof))
}

/// Whether a field's value is a list that may be packed.
pub(super) fn is_packable(field: &Field) -> bool {
    let is_sized = matches!(
        field.ty,
        FieldType::String | FieldType::Bytes | FieldType::Message(_)
    );
    field.cardinality == Cardinality::Repeated && !is_sized
}

fn is_envelope(name: &TypeName, ty: &TypeDef) -> bool {
    scope(name) == ty.package()
        && [Direction::ClientToServer, Direction::ServerToClient]
            .iter()
            .any(|direction| direction.envelope_name() == name.short())
}

/// The full name of what a type is declared in: a message, or the package.
fn scope(name: &TypeName) -> &str {
    name.as_str()
        .rsplit_once('.')
        .map_or("", |(scope, _)| scope)
}

/// From this many fields on, pyright may refuse to analyse a function that handles each of them.
const COMPLEX: usize = 40;

/// What tells pyright that a function over all fields of a message may be too long for it. Mypy checks it all the same.
pub(super) fn complexity_mark(message: &MessageClass<'_>) -> &'static str {
    if message.ty.fields.len() < COMPLEX {
        ""
    } else {
        "  # pyright: ignore[reportGeneralTypeIssues]"
    }
}

pub(super) fn segments(package: &str) -> Vec<String> {
    if package.is_empty() {
        // The root belongs to the user.
        return vec!["no_package".to_owned()];
    }
    let mut segments: Vec<String> = package.split('.').map(names::segment).collect();
    if let Some(root) = segments.first_mut()
        && standard_modules::is_taken(root)
    {
        root.push('_');
    }
    segments
}

/// The types that are written: all of the user's files, and what they refer to of Google's that Python has no type for.
fn wanted_types(compilation: &Compilation) -> BTreeMap<&TypeName, &TypeDef> {
    let types = &compilation.types;
    let options_package = compilation
        .files
        .iter()
        .find(|file| file.name == OPTIONS_FILE)
        .map(|file| file.package.as_str());
    let mut wanted: BTreeMap<&TypeName, &TypeDef> = types
        .iter()
        .filter(|(name, ty)| !name.is_well_known() && options_package != Some(ty.package()))
        .collect();
    let mut open: Vec<&TypeDef> = wanted.values().copied().collect();
    while let Some(ty) = open.pop() {
        let TypeDef::Message(message) = ty else {
            continue;
        };
        for field in &message.fields {
            if let FieldType::Message(name) | FieldType::Enum(name) = &field.ty {
                add_with_scopes(name, types, &mut wanted, &mut open);
            }
        }
    }
    // An envelope without types in it is no class.
    let scopes: BTreeSet<&str> = wanted.keys().map(|name| scope(name)).collect();
    wanted.retain(|name, ty| !is_envelope(name, ty) || scopes.contains(name.as_str()));
    wanted
}

/// Adds a type, and the messages that it is declared in.
fn add_with_scopes<'a>(
    name: &TypeName,
    types: &'a Types,
    wanted: &mut BTreeMap<&'a TypeName, &'a TypeDef>,
    open: &mut Vec<&'a TypeDef>,
) {
    let mut name = name.clone();
    while WellKnown::of(&name).is_none()
        && let Some((key, ty)) = types.get_key_value(&name)
        && wanted.insert(key, ty).is_none()
    {
        open.push(ty);
        name = TypeName::new(scope(key));
    }
}
