//! The response. It is encoded by hand: the contents of a file are a string to prost, and the descriptors of Rust's output are none.

use std::path::Path;

use prost::encoding::{bytes, string, uint64};

/// Field numbers of `CodeGeneratorResponse`.
const ERROR: u32 = 1;
const SUPPORTED_FEATURES: u32 = 2;
const FILE: u32 = 15;
const FILE_NAME: u32 = 1;
const FILE_CONTENT: u32 = 15;
/// `FEATURE_PROTO3_OPTIONAL`
const PROTO3_OPTIONAL: u64 = 1;

/// A response with these files.
pub(super) fn files<'a>(files: impl Iterator<Item = (&'a Path, &'a [u8])>) -> Vec<u8> {
    let mut response = Vec::new();
    uint64::encode(SUPPORTED_FEATURES, &PROTO3_OPTIONAL, &mut response);
    for (path, contents) in files {
        // Folders of the parameter and of emitters have `/` between them, except where the system writes it otherwise.
        let name = path.to_string_lossy().replace('\\', "/");
        let mut file = Vec::with_capacity(name.len() + contents.len() + 16);
        string::encode(FILE_NAME, &name, &mut file);
        bytes::encode(FILE_CONTENT, &contents.to_vec(), &mut file);
        bytes::encode(FILE, &file, &mut response);
    }
    response
}

/// A response that says what is wrong.
pub(super) fn error(text: &str) -> Vec<u8> {
    let mut response = Vec::new();
    string::encode(ERROR, &text.to_owned(), &mut response);
    uint64::encode(SUPPORTED_FEATURES, &PROTO3_OPTIONAL, &mut response);
    response
}
