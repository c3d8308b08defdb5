//! The package for TypeScript as its users have it: packed, installed in a fresh folder, and talking with the chat-server.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use msip_tests::programs;

use crate::program::Program;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The tools of the tests of TypeScript; nothing where they cannot be had.
fn tools() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("typescript-packed");
    programs::node_packages(
        &folder,
        &Path::new(ROOT).join("tests/tests/languages/typescript/tools"),
    )
}

fn run(command: &mut Command) -> String {
    programs::run(command).unwrap_or_else(|why| panic!("{why}"))
}

/// Compiles a project, to `out` or where its sources are.
fn compile(tools: &Path, project: &Path, out: Option<&Path>) {
    let mut tsc = Command::new("node");
    tsc.arg(tools.join("node_modules/typescript/bin/tsc"))
        .arg("--project")
        .arg(project)
        .arg("--typeRoots")
        .arg(tools.join("node_modules/@types"));
    if let Some(out) = out {
        tsc.arg("--outDir").arg(out);
    }
    run(&mut tsc);
}

/// Packs the package, and installs it in a folder that has nothing else.
fn install(tools: &Path, folder: &Path) {
    let source = Path::new(ROOT).join("languages/typescript");
    let staged = folder.join("staged");
    compile(tools, &source, Some(&staged.join("dist")));
    for file in ["package.json", "README.md"] {
        fs::copy(source.join(file), staged.join(file)).expect("copied");
    }
    let npm = |folder: &Path, args: &[&str]| {
        run(Command::new("npm").args(args).current_dir(folder));
    };
    npm(&staged, &["pack", "--ignore-scripts", "--silent"]);
    let project = folder.join("project");
    fs::create_dir_all(project.join("chat")).expect("a folder");
    fs::write(project.join("package.json"), r#"{"type":"module"}"#).expect("written");
    npm(
        &project,
        &[
            "install",
            "--offline",
            "--no-audit",
            "--no-fund",
            "--silent",
            "../staged/msip-0.1.0.tgz",
        ],
    );
    let installed = fs::read_dir(project.join("node_modules")).expect("node_modules");
    let names = installed.map(|entry| entry.expect("an entry").file_name());
    let names: Vec<_> = names
        .filter(|name| !name.to_string_lossy().starts_with('.'))
        .collect();
    assert_eq!(names, ["msip"], "it has no dependency");
    let chat = source.join("examples/chat");
    for file in ["chat.ts", "chat.server.ts"] {
        fs::copy(chat.join(file), project.join("chat").join(file)).expect("copied");
    }
    fs::write(
        project.join("tsconfig.json"),
        r#"{ "compilerOptions": { "target": "es2022", "module": "nodenext", "strict": true, "types": ["node"] } }"#,
    )
    .expect("written");
}

/// The first block of TypeScript of a page.
fn snippet(page: &str) -> String {
    let text = fs::read_to_string(Path::new(ROOT).join(page)).expect(page);
    let block = text.split("```ts\n").nth(1).expect("a block");
    block.split("```").next().expect("its end").to_owned()
}

#[test]
fn the_packed_package_for_typescript_talks_with_the_chat_server() {
    let Some(tools) = tools() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    install(&tools, folder.path());
    let project = folder.path().join("project");
    let program = snippet("languages/typescript/README.md");
    let lines = program.lines().filter(|line| !line.is_empty()).count();
    assert!((8..=14).contains(&lines), "some ten lines: {lines}");
    let args = ["--listen", "tcp://127.0.0.1:0"];
    let mut server = Program::start("server", env!("CARGO_BIN_EXE_chat-server"), &args);
    let line = server.until("tcp://");
    let url = line
        .split(' ')
        .find(|word| word.starts_with("tcp://"))
        .expect("a URL");
    fs::write(
        project.join("main.ts"),
        program.replace("tcp://127.0.0.1:7400", url),
    )
    .expect("written");
    for file in ["room-server.ts", "room-client.ts"] {
        let source = Path::new(ROOT)
            .join("languages/typescript/examples")
            .join(file);
        fs::copy(source, project.join(file)).expect("copied");
    }
    compile(&tools, &project, None);
    let mut bob = Program::start(
        "bob",
        env!("CARGO_BIN_EXE_chat-client"),
        &["--name", "bob", "--url", url],
    );
    bob.until("in the room: ");
    let main = project.join("main.js");
    let mut ada = Program::start("ada", "node", &[main.to_str().expect("text")]);
    ada.until("users:");
    bob.until("ada> hello from TypeScript");
    assert_eq!(ada.ended().code, Some(0), "nothing holds the process up");
    bob.until("* ada has left");

    // The examples: a room of its own, with somebody by Rust and somebody by TypeScript.
    let script = |name: &str| project.join(name).to_str().expect("text").to_owned();
    let mut room = Program::start(
        "room",
        "node",
        &[&script("room-server.js"), "tcp://127.0.0.1:0"],
    );
    let line = room.until("listening at ");
    let url = line.split(' ').next_back().expect("a URL");
    let mut ada = Program::start("ada", "node", &[&script("room-client.js"), "ada", url]);
    ada.until("in the room: ada");
    let mut bob = Program::start(
        "bob",
        env!("CARGO_BIN_EXE_chat-client"),
        &["--name", "bob", "--url", url],
    );
    ada.until("* bob entered");
    ada.type_line("hello, terminal");
    bob.until("ada> hello, terminal");
    bob.type_line("hello, TypeScript");
    ada.until("<bob> hello, TypeScript");
    ada.type_line("/who");
    ada.until("ada, bob");
    ada.end_input();
    bob.until("* ada has left");
    assert_eq!(ada.ended().code, Some(0));
}
