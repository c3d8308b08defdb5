//! `msip gen`.

use std::path::Path;

use msip_codegen::Builder;

use super::{ROOT, ended, files, gen_in};

const CHAT: &str = "syntax = \"proto3\"; package chat;
message ClientToServer { oneof messages { SayInd say_ind = 1; } }
message ServerToClient { oneof messages { SaidInd said_ind = 1; } }
message SayInd { string text = 1; }
message SaidInd { string text = 1; }
";

const POINTS: &str = "syntax = \"proto3\"; package points; message Point { int32 x = 1; }\n";

/// A project with a protocol, and a file of messages.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("proto/points")).unwrap();
    std::fs::write(folder.path().join("proto/chat.proto"), CHAT).unwrap();
    std::fs::write(folder.path().join("proto/points/points.proto"), POINTS).unwrap();
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let names = files(folder).into_keys();
    names
        .map(|name| name.to_str().unwrap().replace('\\', "/"))
        .collect()
}

#[test]
fn what_is_written_is_said_and_what_is_right_is_left_alone() {
    let project = project();
    let arguments = ["--rust", "out", "proto/chat.proto"];
    let first = gen_in(project.path(), &arguments);
    assert_eq!((first.code, &*first.errors), (Some(0), ""));
    assert_eq!(
        first.said,
        "wrote out/chat.rs\nwrote out/chat.descriptors.bin\n"
    );

    let path = project.path().join("out/chat.rs");
    let written = std::fs::metadata(&path).unwrap().modified().unwrap();
    let again = gen_in(project.path(), &arguments);
    assert_eq!(
        (again.code, &*again.said, &*again.errors),
        (Some(0), "", "")
    );
    assert_eq!(
        std::fs::metadata(&path).unwrap().modified().unwrap(),
        written
    );

    std::fs::write(&path, "changed").unwrap();
    let verbose = gen_in(project.path(), &["-v", "--rust", "out", "proto/chat.proto"]);
    assert_eq!(
        verbose.said,
        "wrote out/chat.rs\nunchanged out/chat.descriptors.bin\n1 written, 1 unchanged\n"
    );
}

#[test]
fn a_check_writes_nothing_and_lists_what_is_out_of_date() {
    let project = project();
    let check = ["--check", "--rust", "out", "proto/chat.proto"];
    let missing = gen_in(project.path(), &check);
    assert_eq!(missing.code, Some(1));
    assert_eq!(
        missing.said,
        "out of date out/chat.rs\nout of date out/chat.descriptors.bin\n"
    );
    assert_eq!(
        missing.errors,
        "msip: 2 files are not what the schemas say: run the same command without --check to write them anew\n"
    );
    assert!(!project.path().join("out").exists());

    assert_eq!(gen_in(project.path(), &check[1..]).code, Some(0));
    let current = gen_in(project.path(), &check);
    assert_eq!(
        (current.code, &*current.said, &*current.errors),
        (Some(0), "", "")
    );

    // Where a schema has changed, and where somebody has edited what is generated.
    let schema = project.path().join("proto/chat.proto");
    std::fs::write(
        schema,
        CHAT.replace("SayInd say_ind = 1", "SayInd say_ind = 2"),
    )
    .unwrap();
    let changed = gen_in(project.path(), &check);
    assert_eq!(changed.code, Some(1));
    assert!(
        changed.said.starts_with("out of date out/chat.rs\n"),
        "{changed:?}"
    );
    assert!(!changed.errors.contains("MSIP_UPDATE"), "{changed:?}");
}

#[test]
fn of_a_folder_all_schemas_are_compiled() {
    let project = project();
    let ended = gen_in(project.path(), &["--rust", "out", "proto"]);
    assert_eq!((ended.code, &*ended.errors), (Some(0), ""));
    assert_eq!(
        names(&project.path().join("out")),
        [
            "chat.descriptors.bin",
            "chat.rs",
            "packages.rs",
            "points.rs"
        ]
    );
    // A file that is named has to be a protocol.
    let named = gen_in(
        project.path(),
        &["--rust", "out2", "proto/points/points.proto"],
    );
    assert_eq!(named.code, Some(1));
    assert!(named.errors.contains("missing-envelope"), "{named:?}");
    let messages = [
        "--messages-only",
        "--rust",
        "out2",
        "proto/points/points.proto",
    ];
    assert_eq!(gen_in(project.path(), &messages).code, Some(0));
    assert_eq!(names(&project.path().join("out2")), ["points.rs"]);
}

#[test]
fn where_one_language_cannot_be_written_none_is() {
    let project = project();
    // There is a file where the folder of the other output has to be.
    std::fs::write(project.path().join("file"), "").unwrap();
    let arguments = [
        "--rust",
        "out",
        "--descriptor-set",
        "file/set.bin",
        "proto/chat.proto",
    ];
    let ended = gen_in(project.path(), &arguments);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .errors
            .starts_with("msip: cannot write `file/set.bin`: "),
        "{ended:?}"
    );
    assert_eq!(ended.errors.lines().count(), 1, "{ended:?}");
    assert!(!project.path().join("out/chat.rs").exists());
}

#[test]
fn output_does_not_depend_on_where_it_is_written_from() {
    let project = project();
    let out = |name: &str| project.path().join(name);
    let options = ["--rust-opt", "bytes=.", "--side", "client", "--rust"];
    let here = gen_in(
        project.path(),
        &[&options[..], &["a", "proto/chat.proto"]].concat(),
    );
    let there = gen_in(
        &out("proto/points"),
        &[&options[..], &["../../b", "../chat.proto"]].concat(),
    );
    assert_eq!(
        (here.code, there.code),
        (Some(0), Some(0)),
        "{here:?} {there:?}"
    );
    super::assert_same_files(&out("a"), &out("b"));
    let text = std::fs::read_to_string(out("a/chat.rs")).unwrap();
    assert!(text.contains(" from chat.proto; do not edit."), "{text}");
    assert!(
        !text.contains("ServerHandler"),
        "only a client was asked for"
    );
}

#[test]
fn mistakes_are_told_as_a_build_script_tells_them() {
    let fixtures = Path::new(ROOT).join("msip-codegen/tests/fixtures/invalid");
    let out = tempfile::tempdir().unwrap();
    // Paths are told relative to the folder of the process, which is that of this package.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut compared = 0;
    for entry in std::fs::read_dir(fixtures).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let builder = Builder::new()
            .out_dir(out.path())
            .emit_rerun_if_changed(false);
        let error = builder.compile(&[&path]).unwrap_err();
        let path = path.to_str().unwrap();
        let told = gen_in(here, &["--rust", out.path().to_str().unwrap(), path]);
        assert_eq!(told.code, Some(1), "{path}");
        assert_eq!(told.errors, format!("msip: {error:?}\n"), "{path}");
        compared += 1;
    }
    assert!(compared > 50, "{compared}");
    assert!(files(out.path()).is_empty());
}

#[test]
fn arguments_that_are_wrong_end_with_2() {
    let project = project();
    for (arguments, told) in [
        (&["proto/chat.proto"][..], "--rust <FOLDER>"),
        (&["--rust", "out"], "<FILE>..."),
        (
            &["--rust-opt", "bytes=.", "--descriptor-set", "s", "x"],
            "--rust <FOLDER>",
        ),
        (
            &["--rust", "out", "--rust-opt", "bytes", "x"],
            "it is not NAME=VALUE",
        ),
        (
            &["--rust", "out", "--rust-opt", "byte=.", "x"],
            "rust has no option `byte`",
        ),
        (
            &["--rust", "out", "--side", "left", "x"],
            "client, server, both",
        ),
    ] {
        let ended = gen_in(project.path(), arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.errors.contains(told), "{arguments:?}: {ended:?}");
    }
    let mut help = std::process::Command::new(env!("CARGO_BIN_EXE_msip"));
    let help = ended(help.args(["gen", "--help"]));
    assert_eq!(help.code, Some(0));
    assert!(
        help.said.contains("Exit codes: 0 all is well; 1 "),
        "{help:?}"
    );
}
