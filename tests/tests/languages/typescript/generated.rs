//! What is generated for the schemas of the repository compiles with the strictest settings, and eslint accepts it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use msip_codegen::Builder;
use msip_emit::{rust::Sides, typescript::TypeScript};
use msip_tests::programs;

use super::tools::{ROOT, Tools, tools};

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
        folder: "valid",
        include: "msip-codegen/tests/fixtures/valid",
        files: &["kitchen.proto", "names.proto", "streams.proto"],
    },
];

/// Writes the code of a set below a folder.
fn generate(set: &Set, folder: &Path, sides: Sides) {
    let include = Path::new(ROOT).join(set.include);
    let files: Vec<PathBuf> = set.files.iter().map(|file| include.join(file)).collect();
    Builder::new()
        .include(&include)
        .without_rust()
        .emit_rerun_if_changed(false)
        .emitter_into(folder.join(set.folder), TypeScript::new().sides(sides))
        .compile(&files)
        .unwrap_or_else(|why| panic!("{}: {why}", set.folder));
}

/// The code of every set, and what the compiler needs to know.
fn project(tools: &Tools, name: &str, sides: Sides) -> PathBuf {
    let folder = tools.project(name);
    for set in SETS {
        generate(set, &folder, sides);
    }
    fs::write(folder.join("tsconfig.json"), TSCONFIG).expect("tsconfig.json");
    folder
}

const TSCONFIG: &str = r#"{
  "compilerOptions": {
    "target": "ES2022",
    "lib": ["ES2022", "DOM", "DOM.AsyncIterable"],
    "module": "NodeNext",
    "types": [],
    "strict": true,
    "noUncheckedIndexedAccess": true,
    "exactOptionalPropertyTypes": true,
    "noImplicitOverride": true,
    "noImplicitReturns": true,
    "noFallthroughCasesInSwitch": true,
    "noPropertyAccessFromIndexSignature": true,
    "noUnusedLocals": true,
    "noUnusedParameters": true,
    "verbatimModuleSyntax": true,
    "isolatedModules": true,
    "skipLibCheck": true,
    "noEmit": true
  }
}
"#;

fn run(command: &mut Command) {
    programs::run(command).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn generated_code_compiles_for_every_side() {
    let Some(tools) = tools() else { return };
    if !Path::new(ROOT)
        .join("languages/typescript/src/index.ts")
        .exists()
    {
        return;
    }
    for (name, sides) in [
        ("both", Sides::Both),
        ("client", Sides::Client),
        ("server", Sides::Server),
    ] {
        let folder = project(tools, name, sides);
        run(tools.tsc().arg("--project").arg(folder));
    }
}
