//! The command and the plugin, as processes: what they write and say, and that protoc and buf get the same from the plugin.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod buf;
mod checked_in;
mod generate;
mod plugin;
// A file, and not its crate, which would bring a client and a server with all that they need.
#[path = "../../../tests/src/programs.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a module of another crate")]
mod programs;
mod protoc;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// How a command has ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    said: String,
    errors: String,
}

/// Runs `msip gen` in a folder.
fn gen_in(folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_msip"));
    command.arg("gen").args(arguments).current_dir(folder);
    // Paths are told relative to the package of whoever runs cargo.
    ended(command.env_remove("CARGO_MANIFEST_DIR"))
}

fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        code: output.status.code(),
        said: String::from_utf8(output.stdout).unwrap(),
        errors: String::from_utf8(output.stderr).unwrap(),
    }
}

/// All files below a folder, by their paths there.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                files.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    files
}

/// Fails with the names of what differs, and not with all that is in it.
fn assert_same_files(ours: &Path, theirs: &Path) {
    let (ours, theirs) = (files(ours), files(theirs));
    assert!(!ours.is_empty());
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs));
    for (name, bytes) in &ours {
        assert!(
            theirs.get(name) == Some(bytes),
            "{} differs",
            name.display()
        );
    }
}

/// A folder with `msip/options.proto`, as the plugin prints it for other compilers.
fn options_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_protoc-gen-msip"));
    let printed = ended(command.arg("--print-options"));
    std::fs::create_dir(folder.path().join("msip")).unwrap();
    std::fs::write(folder.path().join("msip/options.proto"), printed.said).unwrap();
    folder
}
