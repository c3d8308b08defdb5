//! The descriptor pool, which resolves what the model does not need: names and options as protobuf has them.

use std::collections::HashSet;

use prost_reflect::DescriptorPool;

use super::files::{Files, Origin};
use super::options;
use super::pool_errors;
use super::report::Report;
use super::symbols::Symbols;

/// Builds the pool, without positions and comments; `None` if there are mistakes, which are reported.
pub(crate) fn build(
    files: &Files,
    symbols: &Symbols<'_>,
    report: &mut Report,
) -> Option<DescriptorPool> {
    let types = symbols.names(files);
    let options: Vec<String> = options::NAMES
        .iter()
        .map(|name| format!("msip.{name}"))
        .collect();
    let known = pool_errors::Known {
        types: &types,
        options: &options,
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
        match pool.add_file_descriptor_proto(file.descriptor.clone()) {
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
    for file in &files.files {
        let mut descriptor = file.descriptor.clone();
        descriptor.source_code_info = None;
        if let Err(error) = bare.add_file_descriptor_proto(descriptor) {
            pool_errors::pool_error(error, file.source_info.file(), &known, report);
            return None;
        }
    }
    Some(bare)
}
