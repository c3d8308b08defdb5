//! The Rust emitter: whole files with prost's messages and the protocol's items, one for each package.

mod lints;
mod messages;
mod names;
mod print;
mod renames;
mod settings;
mod tree;

use std::collections::{BTreeMap, BTreeSet};

use msip_emit::rust::{self, Target};
use msip_emit::{Compilation, EmitError, Emitter, OutputFile, Protocol};
use msip_schema::{Diagnostic, Direction, OPTIONS_FILE, Outline, Schema, TypeDef, TypeName, Types};
use proc_macro2::TokenStream;
use prost::Message as _;
use prost_types::FileDescriptorProto;
use quote::quote;
use syn::Item;

use messages::Packages;
use names::{ExternPaths, type_name, type_path};
use print::Text;
use renames::Renames;
pub(crate) use settings::Settings;
use tree::{Content, Tree};

/// Writes Rust: for each package that was asked for its file and, if it is a protocol, its descriptors; and one file
/// with all packages as a tree of modules.
#[derive(Debug)]
pub(crate) struct RustEmitter {
    settings: Settings,
}

impl RustEmitter {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Emitter for RustEmitter {
    fn language(&self) -> &str {
        "rust"
    }

    fn check(&self, outline: &Outline<'_>, out: &mut Vec<Diagnostic>) {
        rust::check(outline, out);
    }

    fn emit(&self, compilation: &Compilation) -> Result<Vec<OutputFile>, EmitError> {
        let packages = self.packages(compilation)?;
        let asked = compilation.packages();
        let mut contents: BTreeMap<&str, Content<'_>> = packages
            .iter()
            .map(|(package, items)| (package.as_str(), Content::Items(items)))
            .collect();
        let mut out = Vec::new();
        for &package in &asked {
            let (text, is_flat) = package_file(package, compilation, &packages);
            let name = format!("{}.rs", file_stem(package));
            // The tree includes such a file, instead of repeating its items.
            let items = packages.get(package).map_or(&[][..], Vec::as_slice);
            let names = packages.keys().map(String::as_str);
            let content = if is_flat && !tree::shares_a_module(package, items, names) {
                Content::File(name.clone())
            } else {
                Content::Items(items)
            };
            contents.insert(package, content);
            out.push(OutputFile::new(name, text));
        }
        for protocol in &compilation.protocols {
            let name = descriptors_name(protocol.schema.package());
            let files = in_import_order(compilation, protocol.file);
            out.push(OutputFile::new(name, compilation.descriptor_set(files)));
        }
        if !(self.settings.omits_single_tree && asked.len() == 1) {
            let mut all = Text::new(&[header(compilation, None)]);
            Tree::new(contents.into_iter()).print(&mut all);
            out.push(OutputFile::new("packages.rs", all.finish()));
        }
        Ok(out)
    }
}

impl RustEmitter {
    /// The items of every package that has any.
    fn packages(&self, compilation: &Compilation) -> Result<Packages, EmitError> {
        let settings = &self.settings;
        let externs = ExternPaths::new(&settings.extern_paths);
        let envelopes: Vec<String> = compilation.protocols.iter().flat_map(envelopes).collect();
        let mut descriptors = descriptors(compilation)?;
        let renames = renames(compilation, &descriptors, &externs);
        for descriptor in &mut descriptors {
            renames.apply(descriptor);
        }
        let types = renames.types(&compilation.types);
        let mut packages = messages::write(descriptors, &envelopes, &types, settings)?;
        for protocol in &compilation.protocols {
            let items = protocol_items(protocol, &types, &renames, settings, &externs)?;
            packages
                .entry(protocol.schema.package().to_owned())
                .or_default()
                .splice(0..0, items);
        }
        // Packages without items, such as one that only declares options, need no module.
        packages.retain(|_, items| !items.is_empty());
        Ok(packages)
    }
}

/// A file and all that it imports, each after its imports: in an order that depends on no other file of the run.
fn in_import_order(compilation: &Compilation, root: usize) -> Vec<usize> {
    let imports = |file: usize| {
        let file = compilation.files.get(file);
        file.map_or(&[][..], |file| &file.imports)
    };
    let mut order = Vec::new();
    let mut seen = BTreeSet::from([root]);
    let mut open = vec![(root, imports(root).iter())];
    while let Some((file, rest)) = open.last_mut() {
        match rest.next() {
            Some(&import) => {
                if seen.insert(import) {
                    open.push((import, imports(import).iter()));
                }
            }
            None => {
                order.push(*file);
                open.pop();
            }
        }
    }
    order
}

/// The name of a package's file, without its extension. Packages are identifiers with dots between them, so it is always
/// a file name.
fn file_stem(package: &str) -> &str {
    if package.is_empty() { "_" } else { package }
}

fn descriptors_name(package: &str) -> String {
    format!("{}.descriptors.bin", file_stem(package))
}

fn header(compilation: &Compilation, package: Option<&str>) -> String {
    let inputs = compilation
        .files
        .iter()
        .filter(|file| file.is_input && package.is_none_or(|package| file.package == package));
    // A path outside of the project differs between machines.
    let mut inputs: Vec<&str> = inputs
        .map(|file| {
            if file.path.starts_with('/') || file.path.contains(':') {
                &file.name
            } else {
                &file.path
            }
        })
        .map(String::as_str)
        .collect();
    inputs.sort_unstable();
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "Generated by msip-codegen {version} from {}; do not edit.",
        inputs.join(", ")
    )
}

/// The file of one package: its items or, if it needs other packages, the tree of all of them. Also returns whether it
/// has the items themselves.
fn package_file(package: &str, compilation: &Compilation, packages: &Packages) -> (String, bool) {
    let mut text = Text::new(&[header(compilation, Some(package))]);
    let needed = needed_packages(package, compilation);
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
        // In a private module some of them may be unused.
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

/// A package and those that its files import, directly or not.
fn needed_packages<'a>(package: &str, compilation: &'a Compilation) -> BTreeSet<&'a str> {
    let files = compilation.files.iter().enumerate();
    let roots = files.filter(|(_, file)| file.package == package);
    compilation
        .with_imports(roots.map(|(index, _)| index))
        .into_iter()
        .filter_map(|index| compilation.files.get(index))
        .map(|file| file.package.as_str())
        .collect()
}

/// The descriptors of every file except that of MSIP's options, whose types no message contains. Prost writes nothing for
/// external types, but must know them to decide which messages may derive `Copy` and `Eq`.
fn descriptors(compilation: &Compilation) -> Result<Vec<FileDescriptorProto>, EmitError> {
    let files = compilation.files.iter();
    files
        .filter(|file| file.name != OPTIONS_FILE)
        .map(|file| FileDescriptorProto::decode(file.descriptor.as_slice()).map_err(EmitError::new))
        .collect()
}

/// The new names of what imported files declare.
fn renames(
    compilation: &Compilation,
    descriptors: &[FileDescriptorProto],
    externs: &ExternPaths,
) -> Renames {
    let inputs = compilation.files.iter().filter(|file| file.is_input);
    let inputs: BTreeSet<&str> = inputs.map(|file| file.name.as_str()).collect();
    let mut imported = BTreeSet::new();
    for file in descriptors
        .iter()
        .filter(|file| !inputs.contains(file.name()))
    {
        let messages = file.message_type.iter().map(|message| message.name());
        let enums = file.enum_type.iter().map(|enumeration| enumeration.name());
        imported.extend(messages.chain(enums).map(|name| match file.package() {
            "" => name.to_owned(),
            package => format!("{package}.{name}"),
        }));
    }
    // A nested type is imported with its outermost message.
    let is_imported = |full: &str| {
        let outer = full.match_indices('.').filter_map(|(at, _)| full.get(..at));
        outer.chain([full]).any(|name| imported.contains(name))
    };
    Renames::new(&compilation.types, is_imported, externs)
}

fn envelopes(protocol: &Protocol) -> [String; 2] {
    let package = protocol.schema.package();
    [Direction::ClientToServer, Direction::ServerToClient]
        .map(|direction| format!("{package}.{}", direction.envelope_name()))
}

fn protocol_items(
    protocol: &Protocol,
    types: &Types,
    renames: &Renames,
    settings: &Settings,
    externs: &ExternPaths,
) -> Result<Vec<Item>, EmitError> {
    let schema = &protocol.schema;
    let package = schema.package();
    let path = |name: &TypeName| type_path(&renames.full(name.as_str()), package, externs);
    let own: BTreeSet<String> = types
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
        .descriptors(quote!(::core::include_bytes!(#descriptors)))
        .message_sizes(message_sizes(schema, settings, &path));
    let mut items = Vec::new();
    for tokens in rust::items(schema, &target) {
        let mut item: Item = syn::parse2(tokens).map_err(EmitError::new)?;
        if let Item::Enum(envelope) = &mut item {
            let full = format!("{package}.{}", envelope.ident);
            let attributes = settings
                .type_attributes
                .iter()
                .filter(|(path, _)| applies(path, &full));
            for (_, attribute) in attributes {
                let parse = syn::parse::Parser::parse_str(syn::Attribute::parse_outer, attribute);
                envelope.attrs.extend(parse.map_err(EmitError::new)?);
            }
        }
        items.push(item);
    }
    Ok(items)
}

/// The sizes of the Rust types of a protocol's messages. The runtime knows those of `google.protobuf`.
fn message_sizes(
    schema: &Schema,
    settings: &Settings,
    path: &dyn Fn(&TypeName) -> TokenStream,
) -> TokenStream {
    let messages = schema.types().iter().filter(|(name, ty)| {
        matches!(ty, TypeDef::Message(_)) && !name.as_str().starts_with("google.protobuf.")
    });
    // Which maps are trees would be a matter of each field; that all may be is a bound.
    let trees = (!settings.btree_maps.is_empty()).then(|| quote!(.with_tree_maps()));
    let sizes: Vec<_> = messages
        .map(|(name, _)| {
            let (full, path) = (name.as_str(), path(name));
            quote!(::msip_runtime::MessageSize::new(#full, ::core::mem::size_of::<#path>()) #trees)
        })
        .collect();
    if sizes.is_empty() {
        return quote!(&[]);
    }
    quote! {
        #[allow(deprecated)]
        const SIZES: &[::msip_runtime::MessageSize] = &[#(#sizes),*];
        SIZES
    }
}

/// Whether a path, as prost reads it, matches this type: `.` matches everything, `.chat` everything in it,
/// `ClientToServer` the end of a name.
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
