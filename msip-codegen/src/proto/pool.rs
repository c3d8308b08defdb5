//! The descriptor pool, which resolves what the model does not need: names and options as protobuf has them.

use std::collections::HashSet;

use prost::encoding::{DecodeContext, decode_key, skip_field};
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorProto;

use super::extensions::Extensions;
use super::files::{Files, Origin, ProtoFile};
use super::float_options::FloatOptions;
use super::options;
use super::pool_errors;
use super::pool_imports::PoolImports;
use super::pool_positions::Positions;
use super::report::Report;
use super::source_info::tag;
use super::symbols::Symbols;

/// Resolves all files; `None` if there are mistakes, which are reported. Returns the descriptor of each file, without
/// positions and comments.
///
/// Prost's own type would drop extensions, such as MSIP's options, so the descriptors are encoded.
pub(crate) fn build(
    files: &Files,
    symbols: &Symbols<'_>,
    report: &mut Report,
) -> Option<Vec<Vec<u8>>> {
    // What the pool finds would not be shown.
    if report.is_full() {
        return None;
    }
    let options: Vec<String> = options::NAMES
        .iter()
        .map(|name| format!("msip.{name}"))
        .collect();
    let known = pool_errors::Known::new(|| symbols.names(files), &options);
    let extensions = Extensions::new(files);
    let floats = FloatOptions::new(symbols, &extensions);
    let imports = PoolImports::new(files, symbols, &extensions);
    let descriptor = |index: usize, file: &ProtoFile| {
        let mut descriptor = file.descriptor.clone();
        imports.set(index, &mut descriptor);
        floats.interpret(&mut descriptor);
        // For each mistake the pool would search all positions, of which a file has any number.
        descriptor.source_code_info = None;
        descriptor
    };
    let mut pool = DescriptorPool::new();
    let mut sound = HashSet::new();
    for (index, file) in files.files.iter().enumerate() {
        let imports_are_sound = file.imports.len() == file.descriptor.dependency.len()
            && file.imports.iter().all(|import| sound.contains(import));
        // A file cannot be checked without its imports.
        if file.origin != Origin::WellKnown && !imports_are_sound {
            continue;
        }
        let Err(error) = pool.add_file_descriptor_proto(descriptor(index, file)) else {
            sound.insert(index);
            continue;
        };
        // Again with as many positions as the number of mistakes allows.
        let positions = Positions::new(file, pool_errors::count(&error));
        let mut descriptor = descriptor(index, file);
        descriptor.source_code_info = Some(positions.info());
        if let Err(error) = pool.add_file_descriptor_proto(descriptor) {
            pool_errors::pool_error(error, &positions, &known, report);
        }
        // What is found in further files would not be shown.
        if report.is_full() {
            return None;
        }
    }
    if sound.len() < files.files.len() || !report.is_clean() {
        return None;
    }
    let encoded = files.files.iter().map(|file| {
        let resolved = pool.get_file_by_name(&file.name)?.encode_to_vec();
        with_own_imports(&resolved, &file.descriptor)
    });
    encoded.collect()
}

/// An encoded file descriptor with the imports of the file as it was written.
fn with_own_imports(encoded: &[u8], written: &FileDescriptorProto) -> Option<Vec<u8>> {
    let [import, public] = [tag::FILE_DEPENDENCY, tag::FILE_PUBLIC_DEPENDENCY];
    let (import, public) = (u32::try_from(import).ok()?, u32::try_from(public).ok()?);
    let mut out = Vec::with_capacity(encoded.len());
    let mut imports = 0;
    let mut has_public = false;
    let mut rest = encoded;
    let mut add_public = |out: &mut Vec<u8>| {
        if !std::mem::replace(&mut has_public, true) {
            for index in &written.public_dependency {
                prost::encoding::int32::encode(public, index, out);
            }
        }
    };
    while !rest.is_empty() {
        let field = rest;
        // What the pool has encoded is decoded again.
        let (number, wire_type) = decode_key(&mut rest).ok()?;
        skip_field(wire_type, number, &mut rest, DecodeContext::default()).ok()?;
        let len = field.len() - rest.len();
        if number == import {
            imports += 1;
            if imports > written.dependency.len() {
                continue;
            }
        }
        // Fields are in the order of their numbers.
        if number > public {
            add_public(&mut out);
        }
        out.extend_from_slice(field.get(..len)?);
    }
    add_public(&mut out);
    Some(out)
}
