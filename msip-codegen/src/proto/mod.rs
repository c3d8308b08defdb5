//! From `.proto` files to schemas: finds and parses the files, checks them, and fills the model.
//!
//! The stages tell all of their mistakes and go on with what is sound: files that do not parse are left out, an
//! envelope that is misspelt is read as if it were not, a member that is no message is skipped.

mod foreign;
mod guard;
mod load;
mod options;
mod places;
mod protocol;
mod report;
mod symbols;
mod types;
mod weight;

use std::collections::HashSet;
use std::path::PathBuf;

use msip_emit::rust;
use msip_schema::{Code, Diagnostic, Schema, SourceMap, Types};
use prost_reflect::DescriptorPool;

pub(crate) use load::show;
use load::{Files, Origin};
use report::Report;
use symbols::Symbols;
use types::Lowering;

/// What is to be compiled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) inputs: &'a [PathBuf],
    pub(crate) includes: &'a [PathBuf],
    /// Whether the inputs are no protocols.
    pub(crate) messages_only: bool,
}

/// Everything that an emitter needs to know of the files, free of mistakes.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// Each behind those that it imports.
    pub(crate) files: Vec<CompiledFile>,
    /// The protocols, in the order of the inputs.
    pub(crate) protocols: Vec<Protocol>,
    /// Every message and enum of every file.
    pub(crate) types: Types,
    /// All files with options resolved, without places and comments.
    pub(crate) pool: DescriptorPool,
}

/// One file.
#[derive(Debug)]
pub(crate) struct CompiledFile {
    /// As imports name it.
    pub(crate) name: String,
    /// As people find it.
    pub(crate) shown: String,
    pub(crate) package: String,
    /// Whether it is `msip/options.proto`.
    pub(crate) is_options: bool,
    pub(crate) is_input: bool,
    /// The files that it imports, by index.
    pub(crate) imports: Vec<usize>,
}

/// A protocol and the file that declares it.
#[derive(Debug)]
pub(crate) struct Protocol {
    pub(crate) file: usize,
    pub(crate) schema: Schema,
}

/// The result of a run, and the files on disk that it depends on, whatever the result is.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) read: Vec<PathBuf>,
    pub(crate) result: Result<Compiled, (SourceMap, Vec<Diagnostic>)>,
}

/// Reads and checks everything.
pub(crate) fn compile(request: Request<'_>) -> Outcome {
    let mut report = Report::new();
    let mut files = load::load(request.inputs, request.includes, &mut report);
    let read = std::mem::take(&mut files.read);
    let checked = check(&files, request.messages_only, &mut report);
    let result = match checked {
        Some(compiled) if report.is_clean() => Ok(compiled),
        _ => Err(report.finish()),
    };
    Outcome { read, result }
}

fn check(files: &Files, messages_only: bool, report: &mut Report) -> Option<Compiled> {
    let symbols = Symbols::new(files);
    let types = Lowering::new(files, &symbols, report).all_types();
    let protocols: &[usize] = if messages_only { &[] } else { &files.inputs };
    let mut lowering = Lowering::new(files, &symbols, report);
    protocol::refuse_misplaced_options(&mut lowering);
    let own = own_types(files, &symbols, &types);
    weight::check(&types, report);
    let mut schemas = Vec::new();
    for &file in protocols {
        let mut reading = protocol::read(file, &mut Lowering::new(files, &symbols, report), &types);
        reading.draft.types = own.clone();
        schemas.extend(check_protocol(file, reading, report));
    }
    if messages_only {
        for mistake in msip_schema::check_types(own, rust::check) {
            report.push_unless_known(mistake);
        }
    }
    let pool = build_pool(files, &symbols, report)?;
    let inputs: HashSet<usize> = files.inputs.iter().copied().collect();
    let compiled = files
        .files
        .iter()
        .enumerate()
        .map(|(index, file)| CompiledFile {
            name: file.name.clone(),
            shown: file.shown.clone(),
            package: file.package().to_owned(),
            is_options: file.origin == Origin::Options,
            is_input: inputs.contains(&index),
            imports: file.imports.clone(),
        });
    Some(Compiled {
        files: compiled.collect(),
        protocols: schemas,
        types,
        pool,
    })
}

/// The types of the files on disk, which become Rust whether or not a protocol reaches them. The envelopes do
/// not: they are enums of ours.
fn own_types(files: &Files, symbols: &Symbols<'_>, types: &Types) -> Types {
    let own = types.iter().filter(|(name, _)| {
        let symbol = symbols.get(name.as_str());
        let file = symbol.and_then(|(_, symbol)| files.files.get(symbol.file));
        let is_envelope = file.is_some_and(|file| {
            let own = name
                .as_str()
                .strip_prefix(file.package())
                .map(|rest| rest.trim_start_matches('.'));
            matches!(own, Some("ClientToServer" | "ServerToClient"))
        });
        file.is_some_and(|file| file.is_ours()) && !is_envelope
    });
    own.map(|(name, def)| (name.clone(), def.clone())).collect()
}

fn check_protocol(
    file: usize,
    reading: protocol::Reading,
    report: &mut Report,
) -> Option<Protocol> {
    let protocol::Reading {
        mut draft,
        is_partial,
    } = reading;
    let all = std::mem::take(&mut draft.types);
    let reached = protocol::reached(&draft, &all);
    // Once with every type of the files, for they all become Rust; then with those that belong to the protocol.
    let mut whole = draft.clone();
    whole.types = all;
    whole.types.extend(reached.clone());
    if let Err(mistakes) = whole.check_with(rust::check) {
        // What refers to a missing envelope cannot be found there.
        let follows = [
            Code::EMPTY_ENVELOPE,
            Code::RESPONSE_NOT_FOUND,
            Code::RESPONSE_MISSING,
            Code::METHOD_NOT_MEMBER,
        ];
        for mistake in mistakes {
            if !(is_partial && follows.contains(&mistake.code)) {
                report.push_unless_known(mistake);
            }
        }
        return None;
    }
    draft.types = reached;
    match draft.check() {
        Ok(schema) => Some(Protocol { file, schema }),
        Err(mistakes) => {
            mistakes
                .into_iter()
                .for_each(|mistake| report.push_unless_known(mistake));
            None
        }
    }
}

/// Resolves all names and options, and tells what is wrong with them that is not known yet.
fn build_pool(files: &Files, symbols: &Symbols<'_>, report: &mut Report) -> Option<DescriptorPool> {
    let types = symbols.names(files);
    let options: Vec<String> = options::NAMES
        .iter()
        .map(|name| format!("msip.{name}"))
        .collect();
    let known = foreign::Known {
        types: &types,
        options: &options,
    };
    let mut pool = DescriptorPool::new();
    let mut sound = HashSet::new();
    for (index, file) in files.files.iter().enumerate() {
        let imports_are_sound = file.imports.len() == file.descriptor.dependency.len()
            && file.imports.iter().all(|import| sound.contains(import));
        // Without its imports nothing could be said of a file.
        if file.origin != Origin::WellKnown && !imports_are_sound {
            continue;
        }
        match pool.add_file_descriptor_proto(file.descriptor.clone()) {
            Ok(()) => {
                sound.insert(index);
            }
            Err(error) => foreign::pool_error(error, file.places.file(), &known, report),
        }
    }
    if sound.len() < files.files.len() || !report.is_clean() {
        return None;
    }
    // Again without places and comments, which nothing behind this needs.
    let mut bare = DescriptorPool::new();
    for file in &files.files {
        let mut descriptor = file.descriptor.clone();
        descriptor.source_code_info = None;
        if let Err(error) = bare.add_file_descriptor_proto(descriptor) {
            foreign::pool_error(error, file.places.file(), &known, report);
            return None;
        }
    }
    Some(bare)
}
