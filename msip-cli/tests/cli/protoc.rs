//! The plugin under protoc, which is that of PyPI's grpcio-tools.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::{ROOT, assert_same_files, gen_in, options_folder, programs};
use msip_codegen::Builder;

/// The version of the oracle's protoc.
const GRPCIO_TOOLS: &str = "grpcio-tools==1.85.1";

/// Mistakes that the plugin does not have, by their files.
const OTHERWISE: [(&str, &str); 2] = [
    (
        "missing_envelopes.proto",
        "a file without envelopes is compiled for its messages, as in a folder",
    ),
    (
        "not_utf8.proto",
        "a request with a comment that is not UTF-8 is none",
    ),
];

/// The Python that has protoc, installed if need be.
fn python() -> Option<PathBuf> {
    // Once, however many tests need it at the same time.
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let install = || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("protoc");
        programs::python(&folder, &[GRPCIO_TOOLS], "import grpc_tools.protoc")
    };
    PYTHON.get_or_init(install).clone()
}

/// Runs protoc with the plugin, once for each list of arguments, and returns what it has said each time.
fn protoc(python: &Path, runs: &[Vec<String>]) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/protoc.py");
    let plugin = concat!(
        "--plugin=protoc-gen-msip=",
        env!("CARGO_BIN_EXE_protoc-gen-msip")
    );
    let mut command = Command::new(python);
    command
        .arg(script)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines = runs
        .iter()
        .map(|arguments| format!("{plugin}\t{}\n", arguments.join("\t")));
    let lines: String = lines.collect();
    // It reads a line at a time, and what it says meanwhile is more than a pipe holds.
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let parts = said.split("== ").skip(1);
    parts
        .map(|part| part.split_once('\n').unwrap().1.to_owned())
        .collect()
}

#[test]
fn protoc_gets_what_the_command_writes() {
    let Some(python) = python() else { return };
    let (options, out) = (options_folder(), tempfile::tempdir().unwrap());
    let include = |folder: &Path| format!("-I{}", folder.display());
    let mut runs = Vec::new();
    let mut pairs = Vec::new();
    let valid = "msip-codegen/tests/fixtures/valid";
    for (number, (folder, schemas, told)) in [
        ("examples/proto", &["chat.proto"][..], "rust"),
        (
            "examples/proto",
            &["chat.proto"],
            "python,typescript=ts,side=client",
        ),
        (
            valid,
            &["kitchen.proto"],
            "python=gen/py,rust=gen,rust.bytes=.",
        ),
        (
            valid,
            &["names.proto"],
            "python=py,rust=rs,typescript=ts,typescript.import=./msip.js,side=server",
        ),
        (valid, &["streams.proto"], "python,rust,typescript"),
        ("tests/proto", &["lab.proto"], "python,rust,typescript"),
        ("tests/proto", &["fleet/v1/fleet.proto"], "python,rust"),
        (
            "tests/proto",
            &["sampler.proto", "gauges.proto"],
            "python,rust",
        ),
        ("tests/proto", &["pantry.proto"], "python,rust,typescript"),
        (
            "tests/proto",
            &["depot/v1/depot.proto"],
            "python,typescript",
        ),
        ("tests/proto", &["rest.proto"], "python,rust,typescript"),
        // Options of others, which the descriptors of Rust are without.
        ("tests/proto/shapes", &["shapes.proto"], "python,typescript"),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = Path::new(ROOT).join(folder);
        let ours = out.path().join(format!("{number}-ours"));
        let theirs = out.path().join(format!("{number}-theirs"));
        std::fs::create_dir(&theirs).unwrap();
        let mut arguments = arguments(told, &ours);
        arguments.extend(["-I".to_owned(), ".".to_owned()]);
        arguments.extend(schemas.iter().map(|&name| name.to_owned()));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ended = gen_in(&folder, &arguments);
        assert_eq!(ended.code, Some(0), "{schemas:?}: {ended:?}");
        let mut run = vec![
            include(options.path()),
            include(&folder),
            format!("--msip_out={}", theirs.display()),
            format!("--msip_opt={told}"),
        ];
        run.extend(schemas.iter().map(|&name| name.to_owned()));
        runs.push(run);
        pairs.push((schemas, ours, theirs));
    }
    let said = protoc(&python, &runs);
    for ((schemas, ours, theirs), said) in pairs.iter().zip(said) {
        // Such as imports that are not used.
        let errors: Vec<&str> = said
            .lines()
            .filter(|line| !line.contains("warning:"))
            .collect();
        assert!(errors.is_empty(), "{schemas:?}: {said}");
        assert_same_files(ours, theirs);
    }
}

/// The arguments of the command that say what a parameter says.
fn arguments(told: &str, out: &Path) -> Vec<String> {
    let mut arguments = Vec::new();
    for part in told.split(',') {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if name == "side" {
            arguments.extend(["--side".to_owned(), value.to_owned()]);
        } else if let Some((language, option)) = name.split_once('.') {
            arguments.extend([format!("--{language}-opt"), format!("{option}={value}")]);
        } else {
            let folder = out.join(value);
            arguments.extend([format!("--{name}"), folder.display().to_string()]);
        }
    }
    arguments
}

#[test]
fn mistakes_have_the_text_and_the_positions_of_the_command() {
    let Some(python) = python() else { return };
    let folder = Path::new(ROOT).join("msip-codegen/tests/fixtures/invalid");
    let (options, out) = (options_folder(), tempfile::tempdir().unwrap());
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".proto"))
        .filter(|name| OTHERWISE.iter().all(|(other, _)| other != name))
        .collect();
    names.sort();
    let runs: Vec<Vec<String>> = names
        .iter()
        .map(|name| {
            vec![
                format!("-I{}", options.path().display()),
                format!("-I{}", folder.display()),
                format!("--msip_out={}", out.path().display()),
                "--msip_opt=rust".to_owned(),
                name.clone(),
            ]
        })
        .collect();
    let mut compared = 0;
    let mut differences = String::new();
    for (name, said) in names.iter().zip(protoc(&python, &runs)) {
        // What protoc refuses itself never reaches a plugin.
        let Some((_, theirs)) = said.split_once("--msip_out: ") else {
            continue;
        };
        let builder = Builder::new().include(&folder).out_dir(out.path());
        let error = builder
            .emit_rerun_if_changed(false)
            .compile(&[name])
            .unwrap_err();
        let path = format!("{}/", folder.display());
        let ours = error.to_string().replace(&path, "");
        let ours = ours.replace("../msip-codegen/tests/fixtures/invalid/", "");
        let list = |text: &str| text.split("\n\n").next().unwrap().trim_end().to_owned();
        let (theirs, ours) = (list(theirs), list(&ours));
        if theirs != ours {
            differences.push_str(&format!("{name}\nplugin: {theirs}\ncommand: {ours}\n\n"));
        }
        compared += 1;
    }
    assert!(differences.is_empty(), "{differences}");
    assert!(compared >= 20, "{compared}");
    assert!(super::files(out.path()).is_empty());
}
