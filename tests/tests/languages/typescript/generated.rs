//! What is generated for the schemas of the repository: it compiles with the strictest settings, eslint accepts it, and protobuf-es
//! reads what it writes and writes what it reads.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use msip_codegen::Builder;
use msip_emit::{
    rust::Sides,
    typescript::{TypeScript, names},
};
use msip_tests::programs;

use super::tools::{ROOT, Tools, tools};
use crate::pages;

/// A set of schemas: the folder of its output, where imports are found, and the files.
struct Set {
    folder: &'static str,
    include: &'static str,
    files: &'static [&'static str],
}

const SETS: &[Set] = &[
    Set {
        folder: "chat",
        include: "examples/proto",
        files: &["chat.proto"],
    },
    Set {
        folder: "tests",
        include: "tests/proto",
        files: &[
            "depot/v1/depot.proto",
            "fleet/v1/fleet.proto",
            "gauges.proto",
            "lab.proto",
            "names.proto",
            "pantry.proto",
            "rest.proto",
            "sampler.proto",
        ],
    },
    Set {
        folder: "shapes",
        include: "tests/proto/shapes",
        files: &["shapes.proto"],
    },
    Set {
        folder: "flyrpc",
        include: "tests/proto/flyrpc",
        files: &["calc.proto"],
    },
    Set {
        folder: "messi",
        include: "tests/proto/messi",
        files: &["chat.proto", "my_protocol.proto"],
    },
    Set {
        folder: "bench",
        include: "benches/proto",
        files: &["bench.proto"],
    },
    Set {
        folder: "difficult",
        include: "tests/tests/languages/python",
        files: &["difficult.proto"],
    },
    Set {
        folder: "circle",
        include: "tests/tests/languages/python/circle",
        files: &["near.proto", "far.proto"],
    },
    Set {
        folder: "valid",
        include: "msip-codegen/tests/fixtures/valid",
        files: &["kitchen.proto", "names.proto", "streams.proto"],
    },
];

/// Writes the code of a set below a folder, and the descriptors of its files beside it.
fn generate(set: &Set, folder: &Path, sides: Sides) {
    let include = Path::new(ROOT).join(set.include);
    let files: Vec<PathBuf> = set.files.iter().map(|file| include.join(file)).collect();
    Builder::new()
        .include(&include)
        .without_rust()
        .emit_rerun_if_changed(false)
        .emitter_into(folder.join(set.folder), TypeScript::new().sides(sides))
        .file_descriptor_set_path(folder.join(format!("{}.bin", set.folder)))
        .compile(&files)
        .unwrap_or_else(|why| panic!("{}: {why}", set.folder));
}

/// Writes the code of `lab.proto` into a folder.
pub(super) fn generate_lab(folder: &Path) {
    generate_edited_lab(folder, &[]);
}

/// Writes the code of another version of `lab.proto`, in which these texts have others in their place.
pub(super) fn generate_edited_lab(folder: &Path, edits: &[(&str, &str)]) {
    let include = Path::new(ROOT).join("tests/proto");
    let mut schema = fs::read_to_string(include.join("lab.proto")).expect("lab.proto");
    for (before, after) in edits {
        assert!(schema.contains(before), "{before}");
        schema = schema.replace(before, after);
    }
    fs::create_dir_all(folder).expect("a folder");
    let edited = folder.join("lab.proto");
    fs::write(&edited, schema).expect("written");
    Builder::new()
        .include(folder)
        .include(&include)
        .without_rust()
        .emit_rerun_if_changed(false)
        .emitter_into(folder, TypeScript::new())
        .compile(&[edited])
        .unwrap_or_else(|why| panic!("lab.proto: {why}"));
}

/// The code of every set.
fn project(tools: &Tools, name: &str, sides: Sides) -> PathBuf {
    let folder = tools.project(name);
    for set in SETS {
        generate(set, &folder, sides);
    }
    fs::copy(own("tools/tsconfig.json"), folder.join("tsconfig.json")).expect("tsconfig.json");
    fs::copy(own("programs/uses.ts"), folder.join("uses.ts")).expect("uses.ts");
    folder
}

/// The program of docs/typescript.md for one's own schema, in a project. Returns what it is when it is compiled.
fn program_of_the_page(folder: &Path) -> PathBuf {
    const PAGE: &str = "typescript.md";
    Builder::new()
        .without_rust()
        .emit_rerun_if_changed(false)
        .emitter_into(folder.join("generated"), TypeScript::new())
        .compile(&[pages::schema(PAGE, folder)])
        .unwrap_or_else(|why| panic!("{why}"));
    fs::write(folder.join("shop-demo.ts"), pages::block(PAGE, "ts")).expect("written");
    folder.join("shop-demo.js")
}

/// A file next to this one.
fn own(path: &str) -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/languages/typescript");
    own.join(path)
}

fn run(command: &mut Command) -> String {
    programs::run(command).unwrap_or_else(|why| panic!("{why}"))
}

#[test]
fn code_of_one_side_compiles() {
    let Some(tools) = tools() else { return };
    // As a page has it, without the types of Node.js and the newest library: the declarations of the package compile too.
    let client = project(tools, "client", Sides::Client);
    let mut tsc = tools.tsc();
    tsc.args(["--skipLibCheck", "false", "--skipDefaultLibCheck"]);
    run(tsc.arg("--project").arg(client));
    let server = project(tools, "server", Sides::Server);
    run(tools.tsc().arg("--project").arg(server));
}

#[test]
fn code_is_accepted_and_agrees_with_protobuf_es() {
    let Some(tools) = tools() else { return };
    let folder = project(tools, "both", Sides::Both);
    let page = program_of_the_page(&folder);
    run(tools.tsc().arg("--project").arg(&folder));
    assert_eq!(run(tools.node().arg(page)), "350n\n");
    let lint = folder.join("eslint.config.mjs");
    fs::copy(own("tools/eslint.config.mjs"), &lint).expect("eslint.config.mjs");
    let sources = SETS.iter().map(|set| folder.join(set.folder).join("*.ts"));
    let mut eslint = tools.program("eslint/bin/eslint.js");
    eslint.arg("--max-warnings=0").arg("--config").arg(lint);
    run(eslint.args(sources));

    let program = |name: &str| {
        let to = folder.join(name);
        fs::copy(own("programs").join(name), &to).expect("a program");
        to
    };
    run(tools.node().arg(program("messages.mjs")));
    let decoded_size = program("decoded-size.mjs");
    run(tools.node().arg("--expose-gc").arg(decoded_size));
    let interop = program("interop.mjs");
    for set in SETS {
        let descriptors = folder.join(format!("{}.bin", set.folder));
        let mut peer = tools.node();
        peer.arg(&interop).arg(descriptors).args(["10", "1"]);
        let said = run(peer.args(modules(&folder.join(set.folder))));
        assert!(said.contains(" messages of "), "{said}");
    }
}

/// The methods of the core's classes, which no generated method may replace, are those that the emitter knows.
#[test]
fn what_the_core_has_is_reserved() {
    let Some(tools) = tools() else { return };
    let folder = tools.project("reserved");
    let one_of = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
        names.join(" | ")
    };
    let text = format!(
        r#"import {{ Client, type ClientHandler }} from "msip";
import {{ Broadcast, Peer, type ServerHandler }} from "msip/server";

type Unknown<T, Known> = Exclude<Extract<keyof T, string>, Known>;
type Missing =
  | Unknown<ClientHandler<Client>, {}>
  | Unknown<ServerHandler<Peer>, {}>
  | Unknown<Client, {methods}> | Unknown<Peer, {methods}> | Unknown<Broadcast, {methods}>;
export const missing: [Missing] extends [never] ? true : Missing = true;
for (const type of [Client, Peer, Broadcast]) console.log(Object.getOwnPropertyNames(type.prototype).join("\n"));
"#,
        one_of(names::CLIENT_CALLBACKS),
        one_of(names::SERVER_CALLBACKS),
        methods = one_of(names::RESERVED_METHODS),
    );
    fs::write(folder.join("reserved.ts"), text).expect("a program");
    fs::copy(own("tools/tsconfig.json"), folder.join("tsconfig.json")).expect("tsconfig.json");
    run(tools.tsc().arg("--project").arg(&folder));
    let said = run(tools.node().arg(folder.join("reserved.js")));
    for method in said.lines() {
        assert!(names::RESERVED_METHODS.contains(&method), "{method}");
    }
}

/// The compiled modules of messages.
fn modules(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).expect("a folder");
    let files = files.map(|file| file.expect("a file").path());
    let is_of_messages = |path: &PathBuf| {
        let name = path.to_string_lossy();
        name.ends_with(".js") && !name.ends_with(".server.js")
    };
    let mut modules: Vec<PathBuf> = files.filter(is_of_messages).collect();
    modules.sort();
    modules
}
