//! The request, as far as it is needed.

use prost::Message as _;
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
};
use prost_types::compiler::CodeGeneratorRequest;

/// The field of a request that holds a file.
const PROTO_FILE: u32 = 15;
/// The same of a descriptor set.
const SET_FILE: u32 = 1;

/// What a compiler asks for.
#[derive(Debug)]
pub(super) struct Request {
    /// The files to generate.
    pub(super) inputs: Vec<String>,
    pub(super) parameter: String,
    /// The names of all files, and their packages.
    pub(super) files: Vec<(String, String)>,
    /// All files as they were sent, which prost's types would not keep: options that are extensions are dropped by those.
    pub(super) descriptor_set: Vec<u8>,
}

/// What is no request.
#[derive(Debug, thiserror::Error)]
#[error("standard input is not a CodeGeneratorRequest, which protoc and buf write: {0}")]
pub struct RequestError(#[from] prost::DecodeError);

impl Request {
    pub(super) fn decode(encoded: &[u8]) -> Result<Self, RequestError> {
        let request = CodeGeneratorRequest::decode(encoded)?;
        let files = request.proto_file.iter();
        Ok(Self {
            files: files
                .map(|file| (file.name().to_owned(), file.package().to_owned()))
                .collect(),
            descriptor_set: descriptor_set(encoded)?,
            parameter: request.parameter().to_owned(),
            inputs: request.file_to_generate,
        })
    }
}

/// The files of a request as a descriptor set.
fn descriptor_set(mut request: &[u8]) -> Result<Vec<u8>, prost::DecodeError> {
    let mut set = Vec::with_capacity(request.len());
    while !request.is_empty() {
        let (number, wire_type) = decode_key(&mut request)?;
        let mut rest = request;
        skip_field(wire_type, number, &mut rest, DecodeContext::default())?;
        if number == PROTO_FILE && wire_type == WireType::LengthDelimited {
            let len = decode_varint(&mut request)?;
            encode_key(SET_FILE, WireType::LengthDelimited, &mut set);
            encode_varint(len, &mut set);
            // What was skipped behind the length.
            set.extend_from_slice(
                request
                    .get(..request.len() - rest.len())
                    .unwrap_or_default(),
            );
        }
        request = rest;
    }
    Ok(set)
}
