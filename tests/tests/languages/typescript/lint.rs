//! The package's sources, tests and examples by eslint's recommended rules.

use std::{fs, path::Path};

use msip_tests::programs;

use super::tools::{ROOT, tools};

/// Recommended, but for names that begin with `_`, which say themselves that nothing is done with them.
const CONFIG: &str = r#"import js from "@eslint/js";
import tseslint from "typescript-eslint";

export default [
  js.configs.recommended,
  ...tseslint.configs.recommended,
  // The compiler knows better what is defined.
  { rules: { "no-undef": "off", "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }] } },
];
"#;

/// Drivers of the conformance suite.
const DRIVERS: [&str; 2] = ["conformance/drivers/node", "conformance/drivers/browser"];

/// Copies a folder: eslint reads nothing outside of its own.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in from.read_dir().expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copied");
        }
    }
}

#[test]
fn eslint_accepts_the_package() {
    let Some(tools) = tools() else { return };
    let folder = tools.project("lint");
    let package = Path::new(ROOT).join("languages/typescript");
    for part in ["src", "tests", "examples"] {
        copy(&package.join(part), &folder.join(part));
    }
    let page = Path::new(ROOT).join("examples/src/bin/chat-web/chat.mts");
    fs::copy(page, folder.join("chat.mts")).expect("copied");
    let programs_of_tests = Path::new(ROOT).join("tests/tests/languages/typescript/programs");
    copy(&programs_of_tests, &folder.join("programs"));
    for driver in DRIVERS {
        copy(&Path::new(ROOT).join(driver), &folder.join(driver));
    }
    fs::write(folder.join("eslint.config.mjs"), CONFIG).expect("written");
    let mut eslint = tools.program("eslint/bin/eslint.js");
    eslint
        .arg("--config")
        .arg(folder.join("eslint.config.mjs"))
        .arg(&folder);
    programs::run(&mut eslint).unwrap_or_else(|why| panic!("{why}"));
}

/// Tests, examples, the page of chat-web and drivers of the conformance suite compile as strictly as the package.
#[test]
fn tests_and_examples_compile() {
    let Some(tools) = tools() else { return };
    let folder = tools.project("compile");
    let root = Path::new(ROOT).canonicalize().expect("the repository");
    let source = |name: &str| root.join("languages/typescript/src").join(name);
    let project = format!(
        r#"{{
  "extends": {extends:?},
  "compilerOptions": {{
    "rootDir": "/", "baseUrl": "/", "noEmit": true, "declaration": false, "stripInternal": false,
    "typeRoots": [{types:?}],
    "paths": {{
      "msip": [{index:?}], "msip/message": [{message:?}], "msip/session": [{session:?}], "msip/schema": [{schema:?}],
      "msip/broker": [{broker:?}],
      "msip/node": [{node:?}], "msip/server": [{server:?}]
    }}
  }},
  "include": [{tests:?}, {examples:?}, {page:?}, {node_driver:?}, {browser_driver:?}]
}}"#,
        extends = root.join("languages/typescript/tsconfig.json"),
        types = tools.folder().join("node_modules/@types"),
        index = source("index.ts"),
        message = source("message/index.ts"),
        session = source("session/index.ts"),
        schema = source("schema/index.ts"),
        broker = source("broker/index.ts"),
        node = source("node/index.ts"),
        server = source("server/index.ts"),
        tests = root.join("languages/typescript/tests"),
        examples = root.join("languages/typescript/examples"),
        page = root.join("examples/src/bin/chat-web"),
        node_driver = root.join(DRIVERS[0]),
        browser_driver = root.join(DRIVERS[1]),
    );
    fs::write(folder.join("tsconfig.json"), project).expect("written");
    programs::run(tools.tsc().arg("--project").arg(&folder)).unwrap_or_else(|why| panic!("{why}"));
}
