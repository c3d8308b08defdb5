//! The descriptor pool, which resolves what the model does not need: names and options as protobuf has them.

use std::collections::HashSet;

use prost::encoding::{DecodeContext, decode_key, skip_field};
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorProto;

use super::files::{Files, Origin};
use super::float_options::FloatOptions;
use super::options;
use super::pool_errors;
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
    let types = symbols.names(files);
    let options: Vec<String> = options::NAMES
        .iter()
        .map(|name| format!("msip.{name}"))
        .collect();
    let known = pool_errors::Known {
        types: &types,
        options: &options,
    };
    let floats = FloatOptions::new(files, symbols);
    let mut pool = DescriptorPool::new();
    let mut sound = HashSet::new();
    for (index, file) in files.files.iter().enumerate() {
        let imports_are_sound = file.imports.len() == file.descriptor.dependency.len()
            && file.imports.iter().all(|import| sound.contains(import));
        // A file cannot be checked without its imports.
        if file.origin != Origin::WellKnown && !imports_are_sound {
            continue;
        }
        let mut descriptor = self_contained(index, files, symbols);
        floats.interpret(&mut descriptor);
        match pool.add_file_descriptor_proto(descriptor) {
            Ok(()) => {
                sound.insert(index);
            }
            Err(error) => pool_errors::pool_error(error, file.source_info.file(), &known, report),
        }
    }
    if sound.len() < files.files.len() || !report.is_clean() {
        return None;
    }
    // Again without positions and comments, which nothing needs from here on.
    let mut bare = DescriptorPool::new();
    let mut encoded = Vec::new();
    for (index, file) in files.files.iter().enumerate() {
        let mut descriptor = self_contained(index, files, symbols);
        descriptor.source_code_info = None;
        floats.interpret(&mut descriptor);
        if let Err(error) = bare.add_file_descriptor_proto(descriptor) {
            pool_errors::pool_error(error, file.source_info.file(), &known, report);
            return None;
        }
        let resolved = bare.get_file_by_name(&file.name)?.encode_to_vec();
        encoded.push(without_added_imports(
            &resolved,
            file.descriptor.dependency.len(),
        )?);
    }
    Some(encoded)
}

/// The descriptor of a file with all that it sees among its own imports: the pool follows public imports for one step
/// only.
fn self_contained(index: usize, files: &Files, symbols: &Symbols<'_>) -> FileDescriptorProto {
    let Some(file) = files.files.get(index) else {
        return FileDescriptorProto::default();
    };
    let mut descriptor = file.descriptor.clone();
    let mut seen: Vec<usize> = symbols
        .visible(index)
        .filter(|&seen| seen != index)
        .collect();
    seen.sort_unstable();
    for name in seen.into_iter().filter_map(|seen| files.files.get(seen)) {
        if !descriptor.dependency.contains(&name.name) {
            descriptor.dependency.push(name.name.clone());
        }
    }
    descriptor
}

/// An encoded file descriptor with its first `count` imports alone.
fn without_added_imports(encoded: &[u8], count: usize) -> Option<Vec<u8>> {
    let import = u32::try_from(tag::FILE_DEPENDENCY).ok()?;
    let mut out = Vec::with_capacity(encoded.len());
    let mut imports = 0;
    let mut rest = encoded;
    while !rest.is_empty() {
        let field = rest;
        // What the pool has encoded is decoded again.
        let (number, wire_type) = decode_key(&mut rest).ok()?;
        skip_field(wire_type, number, &mut rest, DecodeContext::default()).ok()?;
        let len = field.len() - rest.len();
        if number == import {
            imports += 1;
            if imports > count {
                continue;
            }
        }
        out.extend_from_slice(field.get(..len)?);
    }
    Some(out)
}
