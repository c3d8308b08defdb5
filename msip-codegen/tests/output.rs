//! The output for valid schemas.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::path::Path;

use msip_codegen::{Builder, CompileError};

const VALID: &str = "tests/fixtures/valid";

/// Compiles into a folder of its own, and returns its files by name.
fn compile(builder: Builder, protos: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let out = tempfile::tempdir().unwrap();
    let builder = builder
        .include(VALID)
        .out_dir(out.path())
        .emit_rerun_if_changed(false);
    builder.compile(protos).unwrap();
    files(out.path())
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                std::fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

fn text<'a>(files: &'a BTreeMap<String, Vec<u8>>, name: &str) -> &'a str {
    std::str::from_utf8(
        files
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {:?}", files.keys())),
    )
    .unwrap()
}

#[test]
fn the_chat() {
    let files = compile(Builder::new().include("../examples/proto"), &["chat.proto"]);
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        ["chat.descriptors.bin", "chat.rs", "packages.rs"]
    );
    insta::assert_snapshot!("chat", text(&files, "chat.rs"));
}

#[test]
fn everything_that_a_schema_can_hold() {
    let files = compile(Builder::new(), &["kitchen.proto"]);
    insta::assert_snapshot!("kitchen", text(&files, "fleet.v1.rs"));
}

#[test]
fn streams_of_every_shape() {
    let files = compile(Builder::new(), &["streams.proto"]);
    insta::assert_snapshot!("streams", text(&files, "streams.rs"));
}

#[test]
fn one_side_alone() {
    let client = compile(Builder::new().client_only(), &["names.proto"]);
    let server = compile(Builder::new().server_only(), &["names.proto"]);
    for (side, files, has, lacks) in [
        (
            "client",
            &client,
            "pub trait SendClientToServer",
            "pub trait SendServerToClient",
        ),
        (
            "server",
            &server,
            "pub trait BroadcastServerToClient",
            "pub trait SendClientToServer",
        ),
    ] {
        let text = text(files, "names.rs");
        assert!(text.contains(has), "{side} has no `{has}`");
        assert!(!text.contains(lacks), "{side} has `{lacks}`");
    }
}

#[test]
fn two_runs_give_the_same_bytes() {
    let run = || compile(Builder::new(), &["kitchen.proto", "names.proto"]);
    let (first, second) = (run(), run());
    assert_eq!(
        first.keys().collect::<Vec<_>>(),
        second.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &first {
        assert!(second.get(name) == Some(bytes), "{name} differs");
    }
}

#[test]
fn settings_reach_the_output() {
    let builder = Builder::new()
        .bytes(".fleet.v1.Everything.some_bytes")
        .type_attribute(".fleet.v1.LoginReq", "#[derive(Eq)]")
        .type_attribute("ClientToServer", "#[doc(alias = \"up\")]")
        .field_attribute(".fleet.v1.LoginReq.user", "#[doc(alias = \"name\")]")
        .extern_path(".fleet.shared", "::shared_types");
    let files = compile(builder, &["kitchen.proto"]);
    let text = text(&files, "fleet.v1.rs");
    for expected in [
        "pub some_bytes: ::msip_runtime::prost::bytes::Bytes",
        "#[doc(alias = \"up\")]",
        "#[doc(alias = \"name\")]",
        "PositionInd(::shared_types::Position)",
        "#[prost(enumeration = \"::shared_types::Source\", tag = \"3\")]",
    ] {
        assert!(text.contains(expected), "no `{expected}`");
    }
    // With the other package elsewhere, no tree of packages is needed.
    assert!(!text.contains("pub mod packages"));
}

#[test]
fn protocols_that_share_a_package_have_one_tree() {
    let files = compile(Builder::new(), &["kitchen.proto", "sibling.proto"]);
    let all = text(&files, "packages.rs");
    assert_eq!(all.matches("pub struct Position {").count(), 1);
    for module in [
        "pub mod fleet {",
        "pub mod v1 {",
        "pub mod shared {",
        "pub mod sibling {",
    ] {
        assert_eq!(all.matches(module).count(), 1, "{module}");
    }
    for name in [
        "fleet.v1.rs",
        "sibling.rs",
        "fleet.v1.descriptors.bin",
        "sibling.descriptors.bin",
    ] {
        assert!(files.contains_key(name), "{name}");
    }
}

#[test]
fn messages_alone() {
    let files = compile(Builder::new().messages_only(), &["shared/geo.proto"]);
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        ["fleet.shared.rs", "packages.rs"]
    );
    insta::assert_snapshot!("messages_only", text(&files, "fleet.shared.rs"));
}

#[test]
fn the_schema_of_the_wire() {
    let builder = Builder::new()
        .include("../msip-session/proto")
        .messages_only()
        .btree_map(".")
        .skip_debug(".msip.v1.Hello");
    let files = compile(builder, &["hello.proto"]);
    let text = text(&files, "msip.v1.rs");
    for expected in [
        "#[prost(skip_debug)]\npub struct Hello {",
        "pub extensions: ::std::collections::BTreeMap<",
        "pub struct Welcome {",
        "pub struct Metadata {",
        "pub enum Codec {",
    ] {
        assert!(text.contains(expected), "no `{expected}` in {text}");
    }
}

#[test]
fn a_descriptor_set_keeps_options() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.bin");
    let files = compile(
        Builder::new().file_descriptor_set_path(&path),
        &["kitchen.proto"],
    );
    for (name, bytes) in [
        ("own", &files["fleet.v1.descriptors.bin"]),
        ("asked for", &std::fs::read(path).unwrap()),
    ] {
        let pool = prost_reflect::DescriptorPool::decode(bytes.as_slice()).unwrap();
        let envelope = pool.get_message_by_name("fleet.v1.ClientToServer").unwrap();
        let options = envelope
            .get_field_by_name("position_state")
            .unwrap()
            .options();
        let key = pool.get_extension_by_name("msip.key").unwrap();
        assert_eq!(
            options.get_extension(&key).as_str(),
            Some("vehicle_id"),
            "{name}"
        );
    }
}

#[test]
fn checked_in_files_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let builder = || Builder::new().include(VALID).checked_in(folder.path());
    let verify = || {
        builder()
            .verify()
            .messages_only()
            .compile(&["shared/geo.proto"])
    };
    let missing: CompileError = verify().unwrap_err();
    assert!(missing.to_string().contains("fleet.shared.rs"), "{missing}");
    assert!(files(folder.path()).is_empty(), "verify wrote something");

    builder()
        .messages_only()
        .compile(&["shared/geo.proto"])
        .unwrap();
    verify().unwrap();
    assert_eq!(
        files(folder.path()).keys().collect::<Vec<_>>(),
        ["fleet.shared.rs"]
    );

    std::fs::write(folder.path().join("fleet.shared.rs"), "edited").unwrap();
    let error = verify().unwrap_err().to_string();
    assert!(error.contains("MSIP_UPDATE=1"), "{error}");
    assert_eq!(files(folder.path())["fleet.shared.rs"], b"edited");
}

#[test]
fn a_file_is_found_by_any_of_its_names() {
    let absolute = std::path::absolute(VALID).unwrap().join("names.proto");
    let by_import = compile(Builder::new(), &["names.proto"]);
    for name in [
        "tests/fixtures/valid/names.proto",
        "./tests/../tests/fixtures/valid/names.proto",
        absolute.to_str().unwrap(),
    ] {
        let files = compile(Builder::new(), &[name]);
        assert!(files == by_import, "{name}");
    }
    assert!(text(&by_import, "names.rs").starts_with(&format!(
        "// Generated by msip-codegen {} from tests/fixtures/valid/names.proto; do not edit.\n",
        env!("CARGO_PKG_VERSION")
    )));
    // Named twice, it is compiled once.
    let twice = compile(
        Builder::new(),
        &["names.proto", "tests/fixtures/valid/names.proto"],
    );
    assert!(twice == by_import);
}

#[test]
fn without_include_folders_those_of_the_files_are_searched() {
    let out = tempfile::tempdir().unwrap();
    let builder = Builder::new()
        .out_dir(out.path())
        .emit_rerun_if_changed(false);
    builder
        .compile(&["tests/fixtures/valid/kitchen.proto"])
        .unwrap();
    assert!(files(out.path()).contains_key("fleet.v1.rs"));
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_elsewhere_writes_nothing_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let (include, out) = (folder.path().join("include"), folder.path().join("out"));
    std::fs::create_dir_all(include.join("a")).unwrap();
    let linked = folder.path().join("linked.proto");
    std::fs::write(
        &linked,
        "syntax = \"proto3\";\npackage linked.v1;\nmessage A {}\n",
    )
    .unwrap();
    std::os::unix::fs::symlink(&linked, include.join("a/link.proto")).unwrap();
    std::fs::write(include.join("main.proto"), "syntax = \"proto3\";\npackage p;\nimport \"a/link.proto\";\nmessage B { linked.v1.A a = 1; }\n").unwrap();
    let builder = Builder::new()
        .include(&include)
        .messages_only()
        .out_dir(&out)
        .emit_rerun_if_changed(false);
    builder.compile(&["main.proto"]).unwrap();
    assert_eq!(
        files(&out).keys().collect::<Vec<_>>(),
        ["p.rs", "packages.rs"]
    );
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["include", "linked.proto", "out"]);
}

#[test]
fn a_descriptor_set_says_what_its_files_said() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    for (folder, proto) in [
        ("examples/proto", "chat.proto"),
        ("tests/proto", "lab.proto"),
        ("tests/proto", "gauges.proto"),
        ("tests/proto", "sampler.proto"),
        ("tests/proto", "fleet/v1/fleet.proto"),
        ("tests/proto", "depot/v1/depot.proto"),
    ] {
        let builder = msip_codegen::Builder::new().include(format!("{root}/{folder}"));
        let written = builder.read(&[proto]).unwrap();
        let set = written.descriptor_set(0..written.files.len());
        let read = msip_codegen::read_descriptor_set(&set).unwrap();
        let schema = &written.protocols[0].schema;
        let again = &read.protocols[0].schema;
        assert_eq!(again.fingerprint(), schema.fingerprint(), "{proto}");
        // But for comments, of which the set has none.
        let without_comments = |schema: &msip_schema::Schema| {
            let text = schema.to_proto()?;
            let lines = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let lines = lines.filter(|line| !line.trim().is_empty());
            Some(lines.map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(without_comments(again), without_comments(schema), "{proto}");
    }
}

#[test]
fn what_is_no_descriptor_set_is_told() {
    for (set, told) in [
        (&b"\xff"[..], "the descriptor set is malformed"),
        // A file `a` that imports `b`, which is not there.
        (
            b"\x0a\x06\x0a\x01a\x1a\x01b",
            "the descriptor set cannot be used",
        ),
        // A file `a` of an edition.
        (
            b"\x0a\x0d\x0a\x01a\x62\x08editions",
            "a:1:1: error[unsupported-syntax]: the file is written in an edition of protobuf",
        ),
    ] {
        let error = msip_codegen::read_descriptor_set(set).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
    // It declares nothing.
    let empty = msip_codegen::read_descriptor_set(b"").unwrap();
    assert!(empty.protocols.is_empty());
}
