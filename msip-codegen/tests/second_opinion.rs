//! An independent parser reads the same descriptors from every valid fixture.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use msip_codegen::Builder;
use prost::Message as _;
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use protobuf::Message as _;

const VALID: &str = "tests/fixtures/valid";

fn ours(file: &str) -> FileDescriptorSet {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.bin");
    let builder = Builder::new()
        .include(VALID)
        .out_dir(folder.path())
        .emit_rerun_if_changed(false);
    builder
        .messages_only()
        .file_descriptor_set_path(&path)
        .compile(&[file])
        .unwrap();
    FileDescriptorSet::decode(std::fs::read(path).unwrap().as_slice()).unwrap()
}

fn theirs(file: &str) -> FileDescriptorSet {
    let include = tempfile::tempdir().unwrap();
    std::fs::create_dir(include.path().join("msip")).unwrap();
    std::fs::copy(
        "proto/msip/options.proto",
        include.path().join("msip/options.proto"),
    )
    .unwrap();
    let mut parser = protobuf_parse::Parser::new();
    parser
        .pure()
        .include(VALID)
        .include(include.path())
        .input(format!("{VALID}/{file}"));
    let set = parser.file_descriptor_set().unwrap();
    FileDescriptorSet::decode(set.write_to_bytes().unwrap().as_slice()).unwrap()
}

/// The file without what may differ: options, which prost's types do not keep completely, JSON names, which only one of
/// the parsers fills in, and positions.
fn plain(mut file: FileDescriptorProto) -> FileDescriptorProto {
    fn field(field: &mut FieldDescriptorProto) {
        field.json_name = None;
        field.options = None;
    }
    fn message(ty: &mut DescriptorProto) {
        let is_map_entry = ty
            .options
            .as_ref()
            .is_some_and(prost_types::MessageOptions::map_entry);
        ty.options = is_map_entry.then(|| prost_types::MessageOptions {
            map_entry: Some(true),
            ..Default::default()
        });
        ty.field.iter_mut().for_each(field);
        // The oneofs of `optional` fields are in another order, so only real ones are compared.
        let names: Vec<String> = ty
            .oneof_decl
            .iter()
            .map(|oneof| oneof.name().to_owned())
            .collect();
        let name = |index: i32| names[usize::try_from(index).unwrap()].clone();
        let members = || ty.field.iter().filter(|field| !field.proto3_optional());
        let real: Vec<String> = names
            .iter()
            .filter(|oneof| {
                members().any(|field| {
                    field
                        .oneof_index
                        .is_some_and(|index| name(index) == **oneof)
                })
            })
            .cloned()
            .collect();
        for field in &mut ty.field {
            let oneof = field
                .oneof_index
                .map(name)
                .and_then(|oneof| real.iter().position(|name| *name == oneof));
            field.oneof_index = oneof.map(|index| i32::try_from(index).unwrap());
        }
        ty.oneof_decl
            .retain(|oneof| real.iter().any(|name| name == oneof.name()));
        ty.nested_type.iter_mut().for_each(message);
        // One of the parsers puts the entries of maps after all other nested types.
        ty.nested_type.sort_by(|a, b| a.name().cmp(b.name()));
    }
    file.source_code_info = None;
    file.options = None;
    file.message_type.iter_mut().for_each(message);
    file.service
        .iter_mut()
        .flat_map(|service| &mut service.method)
        .for_each(|method| {
            method.options = None;
            method.client_streaming = Some(method.client_streaming());
            method.server_streaming = Some(method.server_streaming());
        });
    file
}

#[test]
fn two_parsers_agree() {
    for file in [
        "kitchen.proto",
        "names.proto",
        "sibling.proto",
        "streams.proto",
        "shared/geo.proto",
    ] {
        let (ours, theirs) = (ours(file), theirs(file));
        for of_theirs in theirs
            .file
            .into_iter()
            .filter(|file| !file.name().starts_with("google/"))
        {
            let of_ours = ours
                .file
                .iter()
                .find(|file| file.name() == of_theirs.name())
                .unwrap()
                .clone();
            let (of_ours, of_theirs) = (plain(of_ours), plain(of_theirs));
            let lines = |file: &FileDescriptorProto| {
                format!("{file:#?}")
                    .lines()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            let (left, right) = (lines(&of_ours), lines(&of_theirs));
            // The whole of both is too much to read.
            let first = left
                .iter()
                .zip(&right)
                .position(|(left, right)| left != right);
            let at = first.unwrap_or(0).saturating_sub(8);
            let part = |lines: &[String]| {
                lines
                    .iter()
                    .skip(at)
                    .take(16)
                    .cloned()
                    .collect::<Vec<_>>()
                    .join("\n")
            };
            let name = of_ours.name();
            assert!(
                of_ours == of_theirs,
                "{name}, ours:\n{}\ntheirs:\n{}",
                part(&left),
                part(&right)
            );
        }
    }
}
