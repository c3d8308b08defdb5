//! An oracle: a few hundred small schemas go through msip-codegen and through protoc, which must agree on which are valid
//! and on the descriptors of those that are.
//!
//! Protoc is that of PyPI's grpcio-tools, installed below the target folder; without it the test says why and passes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod schemas;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use msip_codegen::{Builder, Code};
use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

/// The version that is installed, so that the same schemas give the same results everywhere.
const GRPCIO_TOOLS: &str = "grpcio-tools==1.85.1";

/// Mistakes of ours that are none to protoc.
const STRICTER: [(Code, &str); 4] = [
    (
        Code::NAME_COLLISION,
        "two names that become one identifier of Rust",
    ),
    (
        Code::INVALID_NAME,
        "a name without letters, of which no identifier can be made",
    ),
    (Code::IMPORT_NOT_FOUND, "files that only editions use"),
    (
        Code::RESERVED_NAME,
        "names that generated code needs for itself",
    ),
];

/// Schemas on which the two may differ, by their last line.
const KNOWN: [(&str, &str); 2] = [
    (
        "message M { reserved \"not a name\"; }",
        "no field can have that name, so that nothing is reserved",
    ),
    (
        "service S { rpc A(stream H) returns (stream H) { } }",
        "protoc writes empty options for the empty block",
    ),
];

#[test]
fn protoc_agrees() {
    let python = match protoc() {
        Ok(python) => python,
        Err(reason) => {
            eprintln!("skipped: {reason}");
            return;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let schemas = schemas::all();
    assert!(schemas.len() >= 300, "{} schemas", schemas.len());
    for (index, text) in schemas.iter().enumerate() {
        std::fs::write(folder.path().join(name(index)), text).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/protoc.py");
    let run = Command::new(python)
        .arg(script)
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success(), "{said}");
    let said: BTreeMap<&str, &str> = said
        .split("== ")
        .filter_map(|part| part.split_once('\n'))
        .collect();
    let mut differences = String::new();
    let mut accepted = 0;
    for (index, text) in schemas.iter().enumerate() {
        let name = name(index);
        let stem = name.trim_end_matches(".proto");
        let theirs = std::fs::read(folder.path().join(format!("{stem}.bin"))).ok();
        accepted += usize::from(theirs.is_some());
        let theirs = theirs.map(|set| file(&set, &name));
        let difference = match (ours(folder.path(), &name), theirs) {
            (Ok(ours), Some(theirs)) if ours == theirs => continue,
            (Err((codes, _)), Some(_))
                if codes
                    .iter()
                    .all(|code| STRICTER.iter().any(|(known, _)| known == code)) =>
            {
                continue;
            }
            (Err(_), None) => continue,
            (Ok(ours), Some(theirs)) => format!("descriptors differ:\n{ours:?}\n{theirs:?}"),
            (Err((_, error)), Some(_)) => format!("protoc accepts it, but we say:\n{error}"),
            (Ok(_), None) => {
                let said = said.get(stem).copied().unwrap_or_default();
                format!("we accept it, but protoc says:\n{said}")
            }
        };
        let last = text.lines().last().unwrap_or_default();
        if KNOWN.iter().any(|(known, _)| *known == last) {
            continue;
        }
        differences.push_str(&format!("{text}{difference}\n\n"));
    }
    assert!(differences.is_empty(), "{differences}");
    // Schemas that are all refused would agree too.
    assert!(accepted * 4 > schemas.len(), "{accepted} are accepted");
}

fn name(index: usize) -> String {
    format!("s{index:03}.proto")
}

/// What msip-codegen makes of a schema: its descriptor, or its mistakes.
fn ours(folder: &Path, name: &str) -> Result<FileDescriptorProto, (Vec<Code>, String)> {
    let out = tempfile::tempdir().unwrap();
    let set = out.path().join("set.bin");
    let builder = Builder::new()
        .include(folder)
        .messages_only()
        .out_dir(out.path())
        .file_descriptor_set_path(&set)
        .emit_rerun_if_changed(false);
    match builder.compile(&[name]) {
        Ok(_) => Ok(file(&std::fs::read(set).unwrap(), name)),
        Err(error) => {
            let codes = error.diagnostics().iter().map(|mistake| mistake.code);
            Err((codes.collect(), error.to_string()))
        }
    }
}

fn file(set: &[u8], name: &str) -> FileDescriptorProto {
    let set = FileDescriptorSet::decode(set).unwrap();
    let mut files = set.file.into_iter();
    let mut file = files.find(|file| file.name() == name).unwrap();
    file.source_code_info = None;
    file
}

/// The Python that has protoc, installed if need be.
fn protoc() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("protoc");
    let python = folder.join("bin/python");
    let run = |command: &mut Command| match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(format!("{error}: {command:?}")),
    };
    let is_there = Command::new(&python)
        .args(["-c", "import grpc_tools.protoc"])
        .output();
    if !is_there.is_ok_and(|output| output.status.success()) {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", GRPCIO_TOOLS]))?;
    }
    Ok(python)
}
