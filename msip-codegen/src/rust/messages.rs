//! Messages: prost's output with the schema's comments and without the envelopes.

use std::collections::BTreeMap;

use msip_emit::EmitError;
use msip_emit::rust::doc;
use msip_schema::{EnumType, MessageType, TypeDef, TypeName, Types};
use proc_macro2::TokenStream;
use prost_build::{Config, Module};
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};
use quote::quote;
use syn::{Attribute, ImplItem, Item, ItemEnum, ItemImpl, ItemMod, ItemStruct, parse_quote};

use super::lints::{field_lints, variant_lints};
use super::names::{PROST, PROST_TYPES, field_name, type_name};
use super::settings::Settings;

/// The Rust of each package, by the package's name.
pub(crate) type Packages = BTreeMap<String, Vec<Item>>;

/// Writes the messages of these files.
///
/// `envelopes` are the full names of the messages that are left out.
pub(crate) fn write(
    files: Vec<FileDescriptorProto>,
    envelopes: &[String],
    types: &Types,
    settings: &Settings,
) -> Result<Packages, EmitError> {
    let mut packages: BTreeMap<String, Vec<FileDescriptorProto>> = BTreeMap::new();
    for file in files {
        packages
            .entry(file.package().to_owned())
            .or_default()
            .push(file);
    }
    let requests = packages.iter().flat_map(|(package, files)| {
        let module = Module::from_protobuf_package_name(package);
        files.iter().map(move |file| {
            (
                module.clone(),
                FileDescriptorProto {
                    service: Vec::new(),
                    ..file.clone()
                },
            )
        })
    });
    let mut written = config(settings)
        .generate(requests.collect())
        .map_err(EmitError::new)?;
    let mut out = Packages::new();
    for (package, files) in packages {
        let module = Module::from_protobuf_package_name(&package);
        // The same types by their usual paths.
        let text = written
            .remove(&module)
            .unwrap_or_default()
            .replace(&format!("{PROST}::alloc::"), "::std::");
        let file = syn::parse_file(&text).map_err(EmitError::new)?;
        let mut names = Names::default();
        for file in &files {
            collect(
                &mut names,
                &mut Vec::new(),
                &package,
                &file.message_type,
                &file.enum_type,
            );
        }
        let mut pass = Pass {
            names: &names,
            envelopes,
            types,
            modules: Vec::new(),
            oneofs: Oneofs::default(),
        };
        out.insert(package, pass.items(file.items));
    }
    Ok(out)
}

fn config(settings: &Settings) -> Config {
    let mut config = Config::new();
    config.prost_path(PROST).prost_types_path(PROST_TYPES);
    for (path, attribute) in &settings.type_attributes {
        config.type_attribute(path, attribute);
    }
    for (path, attribute) in &settings.field_attributes {
        config.field_attribute(path, attribute);
    }
    for (proto, rust) in &settings.extern_paths {
        config.extern_path(proto, rust);
    }
    config
        .bytes(&settings.bytes)
        .btree_map(&settings.btree_maps)
        .skip_debug(&settings.skip_debug);
    config
}

/// The full names in the schema of the types and modules in a package's Rust.
#[derive(Default)]
struct Names {
    /// Messages and enums, by their modules and Rust names.
    types: BTreeMap<(Vec<String>, String), String>,
    /// The messages whose nested types are in a module.
    owners: BTreeMap<Vec<String>, String>,
}

fn collect(
    names: &mut Names,
    modules: &mut Vec<String>,
    scope: &str,
    messages: &[DescriptorProto],
    enums: &[EnumDescriptorProto],
) {
    let full = |short: &str| {
        if scope.is_empty() {
            short.to_owned()
        } else {
            format!("{scope}.{short}")
        }
    };
    for enumeration in enums {
        names.types.insert(
            (modules.clone(), type_name(enumeration.name())),
            full(enumeration.name()),
        );
    }
    for message in messages {
        names.types.insert(
            (modules.clone(), type_name(message.name())),
            full(message.name()),
        );
        modules.push(field_name(message.name()));
        names.owners.insert(modules.clone(), full(message.name()));
        // As deep as the parser allows: 31 levels.
        collect(
            names,
            modules,
            &full(message.name()),
            &message.nested_type,
            &message.enum_type,
        );
        modules.pop();
    }
}

/// Rewrites the items of one package.
struct Pass<'a> {
    names: &'a Names,
    envelopes: &'a [String],
    types: &'a Types,
    /// The path of the current module.
    modules: Vec<String>,
    /// The oneofs of the message whose module this is.
    oneofs: Oneofs<'a>,
}

/// The oneofs of a message by name: their fields, the names of their enums, and their comments.
#[derive(Default)]
struct Oneofs<'a> {
    fields: BTreeMap<&'a str, Vec<&'a msip_schema::Field>>,
    names: BTreeMap<String, &'a str>,
    known: BTreeMap<&'a str, &'a msip_schema::Oneof>,
}

impl<'a> Oneofs<'a> {
    fn new(message: &'a MessageType) -> Self {
        let known = message.oneofs.iter();
        let mut oneofs = Self {
            known: known.map(|oneof| (oneof.name.as_str(), oneof)).collect(),
            ..Self::default()
        };
        for field in &message.fields {
            let Some(oneof) = field.oneof.as_deref() else {
                continue;
            };
            let fields = oneofs.fields.entry(oneof).or_default();
            fields.push(field);
            if fields.len() == 1 {
                // If a nested type has its name, prost adds `OneOf`.
                let ident = type_name(oneof);
                let longer = format!("{ident}OneOf");
                for ident in [ident, longer] {
                    oneofs.names.entry(ident).or_insert(oneof);
                }
            }
        }
        oneofs
    }
}

impl<'a> Pass<'a> {
    fn items(&mut self, items: Vec<Item>) -> Vec<Item> {
        items
            .into_iter()
            .filter_map(|item| self.item(item))
            .collect()
    }

    fn item(&mut self, item: Item) -> Option<Item> {
        match item {
            Item::Struct(item) => self.message(item).map(Item::Struct),
            Item::Enum(item) if derives(&item.attrs, "Oneof") => self.oneof(item).map(Item::Enum),
            Item::Enum(item) => Some(Item::Enum(self.enumeration(item))),
            Item::Impl(item) => Some(Item::Impl(enum_methods(item))),
            Item::Mod(item) => self.module(item).map(Item::Mod),
            other => Some(other),
        }
    }

    fn full_name(&self, ident: &str) -> Option<&String> {
        self.names
            .types
            .get(&(self.modules.clone(), ident.to_owned()))
    }

    /// The message whose module this is.
    fn owner(&self) -> Option<&String> {
        self.names.owners.get(&self.modules)
    }

    fn message_type(&self, full: &str) -> Option<&'a MessageType> {
        match self.types.get(&TypeName::new(full))? {
            TypeDef::Message(message) => Some(message),
            TypeDef::Enum(_) => None,
        }
    }

    fn message(&self, mut item: ItemStruct) -> Option<ItemStruct> {
        let full = self.full_name(&item.ident.to_string())?;
        if self.envelopes.contains(full) {
            return None;
        }
        let message = self.message_type(full)?;
        let mut docs = Docs::default();
        let own = docs.attributes(&message.doc, || format!("The message `{full}`."));
        let plain = message.fields.iter().filter(|field| field.oneof.is_none());
        let plain: BTreeMap<String, &msip_schema::Field> = plain
            .map(|field| (field_name(&field.name), field))
            .collect();
        let oneofs = message.oneofs.iter().rev();
        let oneofs: BTreeMap<String, &msip_schema::Oneof> = oneofs
            .map(|oneof| (field_name(&oneof.name), oneof))
            .collect();
        for field in &mut item.fields {
            let name = field
                .ident
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            let attributes = match plain.get(&name) {
                Some(known) => docs.attributes(&known.doc, || {
                    format!("`{}`, field {}.", known.name, known.number)
                }),
                None => {
                    let known = oneofs.get(&name);
                    let (oneof, comment) =
                        known.map_or((name.as_str(), ""), |known| (&known.name, &known.doc));
                    docs.attributes(comment, || {
                        format!("The oneof `{oneof}`: none or one of its fields.")
                    })
                }
            };
            prepend(&mut field.attrs, attributes);
        }
        let mut lints = docs.lints();
        lints.extend(field_lints(&item));
        prepend(&mut item.attrs, own);
        allow(
            &mut item.attrs,
            &lints,
            "the fields and comments are the schema's",
        );
        Some(item)
    }

    fn oneof(&self, mut item: ItemEnum) -> Option<ItemEnum> {
        let owner = self.owner()?;
        if self.envelopes.contains(owner) {
            return None;
        }
        let ident = item.ident.to_string();
        let oneof = *self.oneofs.names.get(&ident)?;
        let mut docs = Docs::default();
        let known = self.oneofs.known.get(oneof);
        let comment = known.map_or("", |known| &known.doc);
        let own = docs.attributes(comment, || format!("The oneof `{oneof}` of `{owner}`."));
        let members = self.oneofs.fields.get(oneof).into_iter().flatten();
        let members: BTreeMap<String, &msip_schema::Field> = members
            .map(|field| (type_name(&field.name), *field))
            .collect();
        for variant in &mut item.variants {
            if let Some(field) = members.get(&variant.ident.to_string()) {
                let attributes = docs.attributes(&field.doc, || {
                    format!("`{}`, field {}.", field.name, field.number)
                });
                prepend(&mut variant.attrs, attributes);
            }
        }
        let mut lints = docs.lints();
        lints.extend(variant_lints(&item));
        lints.push(quote!(clippy::large_enum_variant));
        prepend(&mut item.attrs, own);
        allow(
            &mut item.attrs,
            &lints,
            "the fields and comments are the schema's",
        );
        Some(item)
    }

    fn enumeration(&self, mut item: ItemEnum) -> ItemEnum {
        let Some(full) = self.full_name(&item.ident.to_string()).cloned() else {
            return item;
        };
        let Some(TypeDef::Enum(enumeration)) = self.types.get(&TypeName::new(&full)) else {
            return item;
        };
        let mut docs = Docs::default();
        let own = docs.attributes(&enumeration.doc, || format!("The enum `{full}`."));
        let mut values = generated_values(enumeration);
        for variant in &mut item.variants {
            if let Some(value) = values.next() {
                let attributes = docs.attributes(&value.doc, || {
                    format!("`{}`, number {}.", value.name, value.number)
                });
                prepend(&mut variant.attrs, attributes);
            }
        }
        let mut lints = docs.lints();
        lints.extend(variant_lints(&item));
        prepend(&mut item.attrs, own);
        allow(
            &mut item.attrs,
            &lints,
            "the values and comments are the schema's",
        );
        item
    }

    fn module(&mut self, mut item: ItemMod) -> Option<ItemMod> {
        let (brace, items) = item.content.take()?;
        self.modules.push(item.ident.to_string());
        let owner = self.owner().cloned();
        let message = owner.as_deref().and_then(|owner| self.message_type(owner));
        let oneofs = message.map_or_else(Oneofs::default, Oneofs::new);
        let outer = std::mem::replace(&mut self.oneofs, oneofs);
        let items = self.items(items);
        self.oneofs = outer;
        self.modules.pop();
        if items.is_empty() {
            return None;
        }
        let owner = owner.unwrap_or_else(|| item.ident.to_string());
        item.attrs = doc_attributes(&[format!("Types that are declared inside `{owner}`.")]);
        item.content = Some((brace, items));
        Some(item)
    }
}

/// The values that become variants: of several with the same number, the first.
fn generated_values(enumeration: &EnumType) -> impl Iterator<Item = &msip_schema::EnumValue> {
    let mut numbers = std::collections::HashSet::new();
    enumeration
        .values
        .iter()
        .filter(move |value| numbers.insert(value.number))
}

/// The methods of an enum, with our comments and the attributes that pedantic lints require.
fn enum_methods(mut item: ItemImpl) -> ItemImpl {
    for method in &mut item.items {
        let ImplItem::Fn(method) = method else {
            continue;
        };
        let line = match method.sig.ident.to_string().as_str() {
            "as_str_name" => "The value's name, as the schema spells it.",
            "from_str_name" => "The value of this name, as the schema spells it.",
            _ => continue,
        };
        method.attrs = doc_attributes(&[line.to_owned()]);
        method.attrs.push(parse_quote!(#[must_use]));
    }
    let lints = [quote!(clippy::trivially_copy_pass_by_ref)];
    allow(
        &mut item.attrs,
        &lints,
        "a method of prost's enums takes `&self`",
    );
    item
}

/// Makes doc comments, and collects the lints that they need.
#[derive(Default)]
struct Docs {
    lacks_backticks: bool,
}

impl Docs {
    fn attributes(&mut self, comment: &str, otherwise: impl FnOnce() -> String) -> Vec<Attribute> {
        let lines = doc::sanitise(comment);
        if lines.is_empty() {
            return doc_attributes(&[otherwise()]);
        }
        self.lacks_backticks |= doc::lacks_backticks(&lines);
        doc_attributes(&lines)
    }

    fn lints(&self) -> Vec<TokenStream> {
        if self.lacks_backticks {
            vec![quote!(clippy::doc_markdown)]
        } else {
            Vec::new()
        }
    }
}

fn doc_attributes(lines: &[String]) -> Vec<Attribute> {
    let lines = lines.iter().map(|line| {
        if line.is_empty() {
            String::new()
        } else {
            format!(" {line}")
        }
    });
    lines.map(|line| parse_quote!(#[doc = #line])).collect()
}

fn prepend(attributes: &mut Vec<Attribute>, mut first: Vec<Attribute>) {
    first.append(attributes);
    *attributes = first;
}

/// Adds `#[allow(…)]` below the comments.
fn allow(attributes: &mut Vec<Attribute>, lints: &[TokenStream], reason: &str) {
    if lints.is_empty() {
        return;
    }
    let at = attributes
        .iter()
        .position(|attribute| !attribute.path().is_ident("doc"))
        .unwrap_or(attributes.len());
    attributes.insert(at, parse_quote!(#[allow(#(#lints),*, reason = #reason)]));
}

/// Whether `#[derive(…)]` has this name.
fn derives(attributes: &[Attribute], name: &str) -> bool {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive"))
        .any(|attribute| {
            let mut found = false;
            // What is not a list of paths has no such name.
            let _ = attribute.parse_nested_meta(|meta| {
                found |= meta
                    .path
                    .segments
                    .last()
                    .is_some_and(|segment| segment.ident == name);
                Ok(())
            });
            found
        })
}
