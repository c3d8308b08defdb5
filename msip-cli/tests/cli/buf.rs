//! The plugin under buf, which is that of npm's @bufbuild/buf.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{ROOT, assert_same_files, ended, gen_in, options_folder, programs};

/// Buf, installed if need be.
fn buf() -> Option<PathBuf> {
    // Once, however many tests need it at the same time.
    static BUF: OnceLock<Option<PathBuf>> = OnceLock::new();
    let install = || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("buf");
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/buf");
        let installed = programs::node_packages(&folder, &lock)?;
        Some(installed.join("node_modules/.bin/buf"))
    };
    BUF.get_or_init(install).clone()
}

/// A project of buf's with these schemas of the repository, and `msip/options.proto`.
fn project(plugin: &str, schemas: &[(&str, String)]) -> tempfile::TempDir {
    let folder = options_folder();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let options = std::fs::read_to_string(folder.path().join("msip/options.proto")).unwrap();
    write("proto/msip/options.proto", &options);
    for (name, text) in schemas {
        write(&format!("proto/{name}"), text);
    }
    write("buf.yaml", "version: v2\nmodules:\n  - path: proto\n");
    let program = env!("CARGO_BIN_EXE_protoc-gen-msip");
    let plugin = format!("version: v2\nplugins:\n  - local: {program}\n    out: theirs\n{plugin}");
    write("buf.gen.yaml", &plugin);
    folder
}

fn generate(buf: &Path, folder: &Path) -> super::Ended {
    let mut command = Command::new(buf);
    command.arg("generate").current_dir(folder);
    // What it keeps between runs stays here too.
    ended(command.env("BUF_CACHE_DIR", folder.join("cache")))
}

#[test]
fn buf_gets_what_the_command_writes() {
    let Some(buf) = buf() else { return };
    let read = |name: &'static str| {
        let path = Path::new(ROOT).join("tests/proto").join(name);
        (name, std::fs::read_to_string(path).unwrap())
    };
    let schemas = ["fleet/v1/fleet.proto", "shared/v1/place.proto", "lab.proto"].map(read);
    let plugin = "    strategy: all\n    opt:\n      - python\n      - rust=rs\n      - typescript=ts\n      - side=client\n";
    let project = project(plugin, &schemas);
    let theirs = generate(&buf, project.path());
    assert_eq!(theirs.code, Some(0), "{theirs:?}");
    let arguments = [
        "--python",
        "ours",
        "--rust",
        "ours/rs",
        "--typescript",
        "ours/ts",
        "--side",
        "client",
        "proto",
    ];
    let ours = gen_in(project.path(), &arguments);
    assert_eq!(ours.code, Some(0), "{ours:?}");
    let at = |name: &str| project.path().join(name);
    assert_same_files(&at("ours"), &at("theirs"));
}

#[test]
fn a_folder_at_a_time_is_refused_where_it_is_a_part_of_a_package() {
    let Some(buf) = buf() else { return };
    let chat = "syntax = \"proto3\"; package chat; import \"b/say.proto\";
message ClientToServer { oneof messages { SayInd say_ind = 1; } }
message ServerToClient { oneof messages { SayInd said_ind = 1; } }
";
    let say = "syntax = \"proto3\"; package chat; message SayInd { string text = 1; }\n";
    let schemas = [
        ("a/chat.proto", chat.to_owned()),
        ("b/say.proto", say.to_owned()),
    ];
    let project = project("    opt: rust\n", &schemas);
    let ended = generate(&buf, project.path());
    assert_ne!(ended.code, Some(0));
    assert!(
        ended.errors.contains("only a part of package `chat`"),
        "{ended:?}"
    );
    assert!(ended.errors.contains("`strategy: all`"), "{ended:?}");
    assert!(!project.path().join("theirs").exists());
}
