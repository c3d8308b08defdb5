//! Whole Rust files: prost's messages and the protocol's items, one file for each package.

mod messages;
pub(crate) mod names;
mod print;
mod tree;

use std::collections::{BTreeMap, BTreeSet};

use msip_emit::rust::{self as emit, Sides, Target};
use msip_schema::{Direction, TypeName};
use proc_macro2::TokenStream;
use prost_types::FileDescriptorProto;
use quote::quote;
use syn::Item;

use crate::proto::{Compiled, Protocol};
use names::{ExternPaths, type_name, type_path};
use print::Text;
use tree::{Content, Tree};

/// How the Rust is to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) sides: Sides,
    /// Attributes by the path of a type, as prost reads paths.
    pub(crate) type_attributes: Vec<(String, String)>,
    pub(crate) field_attributes: Vec<(String, String)>,
    pub(crate) extern_paths: Vec<(String, String)>,
    /// Paths of fields that are `Bytes`.
    pub(crate) bytes: Vec<String>,
    /// Paths of fields that are `BTreeMap`.
    pub(crate) btree_maps: Vec<String>,
    /// Paths of messages without `Debug`.
    pub(crate) skip_debug: Vec<String>,
}

/// A file that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputFile {
    /// Its name, without a folder.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// What the settings made impossible, such as an attribute that is no Rust.
#[derive(Debug)]
pub(crate) struct GenerateError(pub(crate) String);

impl GenerateError {
    fn new(error: &dyn std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Writes everything: for each package that was asked for its file and, where it is a protocol, its descriptors;
/// and one file with all packages.
pub(crate) fn generate(
    compiled: &Compiled,
    settings: &Settings,
) -> Result<Vec<OutputFile>, GenerateError> {
    let externs = ExternPaths::new(&settings.extern_paths);
    let descriptors = descriptors(compiled);
    let envelopes: Vec<String> = compiled.protocols.iter().flat_map(envelopes).collect();
    let mut packages = messages::write(
        descriptors,
        &envelopes,
        &compiled.types,
        &compiled.oneof_docs,
        settings,
    )?;
    for protocol in &compiled.protocols {
        let items = protocol_items(protocol, compiled, settings, &externs)?;
        packages
            .entry(protocol.schema.package().to_owned())
            .or_default()
            .splice(0..0, items);
    }
    // Packages without items, such as one that only declares options, need no module.
    packages.retain(|_, items| !items.is_empty());

    let asked: BTreeSet<&str> = compiled
        .files
        .iter()
        .filter(|file| file.is_input)
        .map(|file| file.package.as_str())
        .collect();
    let mut contents: BTreeMap<&str, Content<'_>> = packages
        .iter()
        .map(|(package, items)| (package.as_str(), Content::Items(items)))
        .collect();
    let mut out = Vec::new();
    for package in &asked {
        let (text, is_flat) = package_file(package, compiled, &packages);
        let name = format!("{}.rs", file_stem(package));
        // The tree takes such a file in as it is, which is less to write and to read.
        let content = if is_flat {
            Content::File(name.clone())
        } else {
            Content::Items(packages.get(*package).map_or(&[], Vec::as_slice))
        };
        contents.insert(*package, content);
        out.push(OutputFile {
            name,
            bytes: text.into_bytes(),
        });
    }
    for protocol in &compiled.protocols {
        let name = descriptors_name(protocol.schema.package());
        out.push(OutputFile {
            name,
            bytes: descriptor_set(compiled, protocol.file),
        });
    }
    let mut all = Text::new(&[header(compiled, None)]);
    Tree::new(contents.into_iter()).print(&mut all);
    out.push(OutputFile {
        name: "packages.rs".to_owned(),
        bytes: all.finish().into_bytes(),
    });
    Ok(out)
}

/// The name of a package's file, without its ending. Packages are identifiers with dots between them, so it names
/// a file in the folder and nothing else.
fn file_stem(package: &str) -> &str {
    if package.is_empty() { "_" } else { package }
}

fn descriptors_name(package: &str) -> String {
    format!("{}.descriptors.bin", file_stem(package))
}

fn header(compiled: &Compiled, package: Option<&str>) -> String {
    let inputs = compiled
        .files
        .iter()
        .filter(|file| file.is_input && package.is_none_or(|package| file.package == package));
    // A path outside of the project is not the same everywhere.
    let inputs: Vec<&str> = inputs
        .map(|file| {
            if file.shown.starts_with('/') || file.shown.contains(':') {
                &file.name
            } else {
                &file.shown
            }
        })
        .map(String::as_str)
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "Generated by msip-codegen {version} from {}; do not edit.",
        inputs.join(", ")
    )
}

/// The file of one package: its items or, where it needs other packages, the tree of all of them. And whether it
/// holds the items themselves.
fn package_file(
    package: &str,
    compiled: &Compiled,
    packages: &messages::Packages,
) -> (String, bool) {
    let mut text = Text::new(&[header(compiled, Some(package))]);
    let needed = needed_packages(package, compiled);
    let needed = packages
        .iter()
        .filter(|(name, _)| needed.contains(name.as_str()));
    let needed: Vec<(&str, &[Item])> = needed
        .map(|(name, items)| (name.as_str(), items.as_slice()))
        .collect();
    if let [(only, items)] = needed.as_slice()
        && *only == package
    {
        items.iter().for_each(|item| text.item(item.clone()));
        return (text.finish(), true);
    }
    if !packages.get(package).is_none_or(Vec::is_empty) {
        let path: Vec<String> = names::package_modules(package);
        // In a private module some of it may not be used.
        text.verbatim(&[
            "#[allow(unused_imports)]",
            &format!("pub use self::packages::{}::*;", path.join("::")),
        ]);
    }
    text.open("Every package that the schema needs.", "packages");
    Tree::new(
        needed
            .into_iter()
            .map(|(name, items)| (name, Content::Items(items))),
    )
    .print(&mut text);
    text.close();
    (text.finish(), false)
}

/// A package and those that its files import, however far.
fn needed_packages<'a>(package: &str, compiled: &'a Compiled) -> BTreeSet<&'a str> {
    let roots = compiled
        .files
        .iter()
        .enumerate()
        .filter(|(_, file)| file.package == package);
    let mut open: Vec<usize> = roots.map(|(index, _)| index).collect();
    reached_files(&mut open, compiled)
        .into_iter()
        .filter_map(|index| compiled.files.get(index))
        .map(|file| file.package.as_str())
        .collect()
}

/// The files that these import, however far, and these.
fn reached_files(open: &mut Vec<usize>, compiled: &Compiled) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    while let Some(index) = open.pop() {
        if seen.insert(index) {
            open.extend(
                compiled
                    .files
                    .get(index)
                    .into_iter()
                    .flat_map(|file| file.imports.iter().copied()),
            );
        }
    }
    seen
}

/// Every file but our options, whose types no message holds. Prost writes nothing for types that are elsewhere,
/// but must know them to see which messages it may derive `Copy` and `Eq` for.
fn descriptors(compiled: &Compiled) -> Vec<FileDescriptorProto> {
    let files = compiled.files.iter().filter(|file| !file.is_options);
    let descriptors = files.filter_map(|file| compiled.pool.get_file_by_name(&file.name));
    descriptors
        .map(|file| file.file_descriptor_proto().clone())
        .collect()
}

fn envelopes(protocol: &Protocol) -> [String; 2] {
    let package = protocol.schema.package();
    [Direction::ClientToServer, Direction::ServerToClient]
        .map(|direction| format!("{package}.{}", direction.envelope_name()))
}

/// The schema as an encoded `FileDescriptorSet`: the protocol's file and all that it imports, options included.
fn descriptor_set(compiled: &Compiled, file: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Files stand behind what they import, and so they do in a set.
    for index in reached_files(&mut vec![file], compiled) {
        let file = compiled
            .files
            .get(index)
            .and_then(|file| compiled.pool.get_file_by_name(&file.name));
        if let Some(file) = file {
            // Field 1 of the set, once for each file; read from the pool, since prost's own type drops options.
            let encoded = file.encode_to_vec();
            prost::encoding::bytes::encode(1, &encoded, &mut bytes);
        }
    }
    bytes
}

fn protocol_items(
    protocol: &Protocol,
    compiled: &Compiled,
    settings: &Settings,
    externs: &ExternPaths,
) -> Result<Vec<Item>, GenerateError> {
    let schema = &protocol.schema;
    let package = schema.package();
    let path = |name: &TypeName| type_path(name.as_str(), package, externs);
    let own: BTreeSet<String> = compiled
        .types
        .keys()
        .filter_map(|name| name.as_str().strip_prefix(package)?.strip_prefix('.'))
        .filter(|short| !short.contains('.'))
        .map(type_name)
        .collect();
    let taken = |name: &str| own.contains(name);
    let descriptors = descriptors_name(package);
    let target = Target::new(&path)
        .sides(settings.sides)
        .taken(&taken)
        .fingerprint(hex(schema.fingerprint()))
        .descriptors(quote!(::core::include_bytes!(#descriptors)));
    let mut items = Vec::new();
    for tokens in emit::items(schema, &target) {
        let mut item: Item = syn::parse2(tokens).map_err(|error| GenerateError::new(&error))?;
        if let Item::Enum(envelope) = &mut item {
            let full = format!("{package}.{}", envelope.ident);
            let attributes = settings
                .type_attributes
                .iter()
                .filter(|(path, _)| applies(path, &full));
            for (_, attribute) in attributes {
                let parse = syn::parse::Parser::parse_str(syn::Attribute::parse_outer, attribute);
                envelope
                    .attrs
                    .extend(parse.map_err(|error| GenerateError::new(&error))?);
            }
        }
        items.push(item);
    }
    Ok(items)
}

/// Whether a path as prost reads it means this type: `.` means all, `.chat` all in it, `ClientToServer` the end of
/// its name.
fn applies(path: &str, full: &str) -> bool {
    match path.strip_prefix('.') {
        Some("") => true,
        Some(prefix) => full
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
        None => full
            .strip_suffix(path)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
    }
}

/// `0x0123_4567_89ab_cdef`
fn hex(number: u64) -> TokenStream {
    let parts = [48, 32, 16, 0].map(|shift| format!("{:04x}", (number >> shift) & 0xffff));
    // Hexadecimal digits with underscores between them are always a literal.
    format!("0x{}", parts.join("_"))
        .parse()
        .unwrap_or_else(|_| quote!(#number))
}
