//! The plugin, given requests that no compiler has written.

use std::path::Path;

use msip_codegen::Builder;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use prost::Message as _;
use prost_types::compiler::{CodeGeneratorRequest, CodeGeneratorResponse};
use prost_types::{
    FileDescriptorProto, FileDescriptorSet, SourceCodeInfo, source_code_info::Location,
};

use super::ROOT;

/// A request for `chat.proto` of the examples.
fn chat() -> CodeGeneratorRequest {
    let builder = Builder::new().include(Path::new(ROOT).join("examples/proto"));
    let read = builder.read(&["chat.proto"]).unwrap();
    let set = read.descriptor_set(0..read.files.len());
    CodeGeneratorRequest {
        file_to_generate: vec!["chat.proto".to_owned()],
        parameter: Some("rust".to_owned()),
        proto_file: FileDescriptorSet::decode(&*set).unwrap().file,
        ..CodeGeneratorRequest::default()
    }
}

fn respond(request: &CodeGeneratorRequest) -> CodeGeneratorResponse {
    let response = msip_cli::respond(&request.encode_to_vec()).unwrap();
    // The descriptors among Rust's files are no text.
    let text = String::from_utf8_lossy(&response);
    CodeGeneratorResponse::decode(&*response).unwrap_or_else(|_| CodeGeneratorResponse {
        error: text.contains("mistake").then(|| text.into_owned()),
        ..CodeGeneratorResponse::default()
    })
}

fn error(request: &CodeGeneratorRequest) -> String {
    let response = respond(request);
    assert_eq!(response.supported_features(), 1, "{response:?}");
    assert!(response.file.is_empty());
    response.error().to_owned()
}

#[test]
fn a_request_for_a_part_of_a_package_says_what_to_set() {
    let mut request = chat();
    request.proto_file.insert(
        0,
        FileDescriptorProto {
            name: Some("types/people.proto".to_owned()),
            package: Some("chat".to_owned()),
            syntax: Some("proto3".to_owned()),
            ..FileDescriptorProto::default()
        },
    );
    assert_eq!(
        error(&request),
        "the request holds only a part of package `chat`: `chat.proto` is to be generated and `types/people.proto` is not, but what \
         is generated for a package is one module. With buf, write `strategy: all` below this plugin in buf.gen.yaml; with protoc, name \
         all files of the package in one command"
    );
    request
        .file_to_generate
        .push("types/people.proto".to_owned());
    assert_eq!(respond(&request).error(), "");
}

#[test]
fn what_is_wrong_with_a_request_is_the_error_of_its_response() {
    let mut request = chat();
    request.parameter = Some("fast".to_owned());
    assert!(error(&request).contains("does not know `fast`"));
    request.parameter = None;
    assert!(error(&request).contains("was not told a language"));
    request.parameter = Some("rust,rust.byte=a".to_owned());
    assert!(error(&request).contains("rust has no option `byte`"));
    request.parameter = Some("rust".to_owned());
    request.file_to_generate = vec!["chat.prot".to_owned()];
    assert!(error(&request).contains("file `chat.prot` is not in the descriptor set"));
    request.file_to_generate = vec!["chat.proto".to_owned()];
    request.proto_file.clear();
    assert!(error(&request).contains("file `chat.proto` is not in the descriptor set"));
}

#[test]
fn what_is_no_request_is_told_on_standard_error() {
    let error = msip_cli::respond(b"\xff").unwrap_err().to_string();
    assert!(
        error.starts_with("standard input is not a CodeGeneratorRequest"),
        "{error}"
    );
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_protoc-gen-msip"));
    let ended = super::ended(command.arg("proto/chat.proto"));
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.errors.contains("a plugin of protoc and buf"),
        "{ended:?}"
    );
}

#[test]
fn positions_that_no_file_has_are_survived() {
    for span in [
        vec![i32::MAX, 0, i32::MAX],
        vec![-1, -1, -1],
        vec![3_999_999, 3_999_999, 4_000_000, 1],
        vec![],
    ] {
        let mut request = chat();
        for file in &mut request.proto_file {
            let paths = [
                vec![2],
                vec![3, 0],
                vec![4, 0],
                vec![4, 0, 2, 0],
                vec![4, 0, 2, 0, 8, 51203],
            ];
            let location = paths.map(|path| Location {
                path,
                span: span.clone(),
                ..Location::default()
            });
            file.source_code_info = Some(SourceCodeInfo {
                location: location.into(),
            });
        }
        request.proto_file.last_mut().unwrap().package = None;
        assert!(error(&request).contains("mistake"), "{span:?}");
    }
}

/// Calls with values of a strategy, the same in each run: what is found is ours to mend, and breaks no other change.
fn for_each<S: Strategy>(count: usize, strategy: &S, call: impl Fn(S::Value)) {
    let more = std::env::var("MSIP_MUTATIONS").ok();
    let more: usize = more.and_then(|more| more.parse().ok()).unwrap_or(1);
    let mut runner = TestRunner::deterministic();
    for _ in 0..count * more {
        call(strategy.new_tree(&mut runner).unwrap().current());
    }
}

#[test]
fn random_bytes_never_panic() {
    let bytes = proptest::collection::vec(any::<u8>(), 0..200);
    for_each(500, &bytes, |bytes| drop(msip_cli::respond(&bytes)));
}

/// Most of them are requests still.
#[test]
fn damaged_requests_never_panic() {
    let request = CodeGeneratorRequest {
        parameter: Some("python".to_owned()),
        ..chat()
    };
    let request = request.encode_to_vec();
    let byte = (any::<prop::sample::Index>(), any::<u8>());
    for_each(300, &proptest::collection::vec(byte, 1..4), |damage| {
        let mut damaged = request.clone();
        for (at, byte) in damage {
            let at = at.index(damaged.len());
            damaged[at] = byte;
        }
        drop(msip_cli::respond(&damaged));
    });
}
