//! Every error that the front end can report, as it is printed: one schema, or one set of settings, per snapshot.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

use std::collections::BTreeSet;
use std::path::Path;

use msip_codegen::{Builder, Code, CompileError};

const FOLDER: &str = "tests/fixtures/invalid";

/// Compiles into an empty folder, which must stay empty.
fn compile(builder: Builder, protos: &[&str]) -> CompileError {
    let out = tempfile::tempdir().unwrap();
    let error = builder
        .out_dir(out.path())
        .emit_rerun_if_changed(false)
        .compile(protos)
        .expect_err(&protos.join(", "));
    assert_eq!(
        std::fs::read_dir(out.path()).unwrap().count(),
        0,
        "{protos:?} left files behind"
    );
    assert_eq!(format!("{error}"), format!("{error:?}"));
    error
}

#[test]
fn every_mistake_is_reported_with_its_position_and_help() {
    let mut entries: Vec<_> = std::fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    entries.sort();
    let mut reported = BTreeSet::new();
    for path in entries {
        let error = compile(Builder::new().include(FOLDER), &[path.to_str().unwrap()]);
        reported.extend(error.diagnostics().iter().map(|diagnostic| diagnostic.code));
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        insta::assert_snapshot!(name, error);
    }
    // Those that need no file of their own are below; no `.proto` file can cause the others.
    let elsewhere = [
        Code::FILE_NOT_FOUND,
        Code::FILE_UNREADABLE,
        Code::FILE_NOT_INCLUDED,
        Code::FILE_SHADOWED,
        Code::FILE_TOO_LARGE,
        Code::INVALID_PACKAGE,
    ];
    let unreported: Vec<_> = Code::ALL
        .iter()
        .filter(|code| !reported.contains(code) && !elsewhere.contains(code))
        .collect();
    assert!(
        unreported.is_empty(),
        "no schema in {FOLDER} has the mistakes {unreported:?}"
    );
}

#[test]
fn files_that_are_not_there() {
    let builder = || {
        Builder::new()
            .include(FOLDER)
            .include("tests/fixtures/valid")
    };
    insta::assert_snapshot!(
        "file_not_found",
        compile(builder(), &["chat.proto", "kitchn.proto"])
    );
    insta::assert_snapshot!(
        "file_not_included",
        compile(
            Builder::new().include(FOLDER),
            &["tests/fixtures/valid/kitchen.proto"]
        )
    );
}

#[test]
fn a_file_behind_another_of_its_name() {
    let builder = Builder::new()
        .include("tests/fixtures/shadow")
        .include("tests/fixtures/valid");
    insta::assert_snapshot!(
        "file_shadowed",
        compile(builder, &["tests/fixtures/valid/names.proto"])
    );
}

#[test]
fn a_file_that_is_too_large_or_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let large = file("large.proto", &" ".repeat((4 << 20) + 1));
    let error = compile(Builder::new(), &[&large]);
    assert_eq!(error.diagnostics()[0].code, Code::FILE_TOO_LARGE);
    std::fs::create_dir(folder.path().join("folder.proto")).unwrap();
    let importer = file(
        "importer.proto",
        "syntax = \"proto3\";\npackage a;\nimport \"folder.proto\";\n",
    );
    let error = compile(Builder::new().messages_only(), &[&importer]);
    assert_eq!(error.diagnostics()[0].code, Code::IMPORT_NOT_FOUND);
}

/// Compiles one file of this text.
fn compile_text(text: &str) -> CompileError {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.proto");
    std::fs::write(&path, format!("syntax = \"proto3\";\npackage a;\n{text}")).unwrap();
    let builder = Builder::new().include(folder.path()).messages_only();
    compile(builder, &[path.to_str().unwrap()])
}

#[test]
fn of_very_many_mistakes_a_hundred_are_shown() {
    let fields = (1..=5_000).map(|number| format!("Zq{number}xw a{number} = {number};\n"));
    let error = compile_text(&format!("message A {{ {} }}", fields.collect::<String>()));
    assert_eq!(error.diagnostics().len(), 100);
    let text = error.to_string();
    assert!(
        text.starts_with("the schema has 5,000 mistakes\n"),
        "{text}"
    );
    assert!(text.contains("\n… and 4,900 more\n"), "{text}");
    // Those that only the last stage finds, which has its own positions.
    let fields = (1..=5_000).map(|number| format!("string a{number} = {number} [(q.b) = 1];\n"));
    let error = compile_text(&format!("message A {{ {} }}", fields.collect::<String>()));
    assert_eq!(error.diagnostics().len(), 100);
    let text = error.to_string();
    assert!(text.contains("a.proto:3:"), "{text}");
    assert!(text.contains("\n… and 4,900 more\n"), "{text}");
}

#[test]
fn names_and_ranges_have_limits() {
    let name = "a".repeat(990);
    for (text, expected) in [
        (
            format!("message A{name} {{ int32 long_name = 1; }}"),
            "error[invalid-name]: the full name of `long_name…` is 1003 bytes long; 1000 are allowed",
        ),
        (
            format!("enum E {{ AX{name}_NONE = 0; }}"),
            "error[invalid-name]: the full name of `AXaaaaaaaaaaaaaaaaaa…` is 1001 bytes long; 1000 are allowed",
        ),
        (
            format!(
                "message A {{ {} }}",
                (1..=1_001)
                    .map(|number| format!("reserved {};", 2 * number))
                    .collect::<String>()
            ),
            "error[invalid-schema]: `a.A` has 1001 ranges of numbers here; 1000 are allowed",
        ),
    ] {
        let error = compile_text(&text).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn all_broken_files_are_reported_together() {
    let files =
        ["syntax_error", "edition", "unknown_types"].map(|name| format!("{FOLDER}/{name}.proto"));
    let error = compile(
        Builder::new().include(FOLDER),
        &files.each_ref().map(String::as_str),
    );
    let places: Vec<String> = error
        .to_string()
        .lines()
        .take(12)
        .map(str::to_owned)
        .collect();
    for file in &files {
        assert!(
            places.iter().any(|line| line.starts_with(file.as_str())),
            "{file} is not in {places:#?}"
        );
    }
}

#[test]
fn settings_that_are_not_rust() {
    let chat = || Builder::new().include("tests/fixtures/valid");
    for (name, builder) in [
        ("type attribute", chat().type_attribute(".", "#[derive(")),
        ("field attribute", chat().field_attribute(".", "derive")),
        (
            "extern path without a dot",
            chat().extern_path("fleet", "::fleet"),
        ),
        (
            "extern path that is not Rust",
            chat().extern_path(".fleet", "::"),
        ),
        (
            "extern path given twice",
            chat()
                .extern_path(".fleet", "::a")
                .extern_path(".fleet", "::b"),
        ),
    ] {
        let error = compile(builder, &["kitchen.proto"]);
        assert!(error.diagnostics().is_empty(), "{name}");
        assert!(!error.to_string().is_empty(), "{name}");
    }
}

#[test]
fn an_output_folder_that_is_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Builder::new()
        .emit_rerun_if_changed(false)
        .out_dir(&file)
        .compile(&["tests/fixtures/valid/names.proto"]);
    let error = error.unwrap_err();
    assert!(std::error::Error::source(&error).is_some());
    assert!(
        format!("{error:?}").starts_with("cannot write"),
        "{error:?}"
    );
    assert_eq!(
        std::fs::read(&file).unwrap(),
        b"",
        "{}",
        Path::display(&file)
    );
}
