//! The languages that have a driver, and how each is started.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use msip_tests::programs;

use crate::{played::RAW, process::Launch};

/// Those that have clients, in the order of the tables.
pub(crate) const CLIENTS: [&str; 5] = ["rust", "python", "node", NODE_CORE, BROWSER];

/// Those that have servers, in the order of the tables.
pub(crate) const SERVERS: [&str; 3] = ["rust", "python", "node"];

/// Clients in TypeScript that are made of their core alone. They play with one server, and the raw peer: with others what they leave out
/// is no different.
pub(crate) const NODE_CORE: &str = "node-core";

/// Whether a client and a server of these languages play.
pub(crate) fn is_pair(client: &str, server: &str) -> bool {
    client != NODE_CORE || server == "rust" || server == RAW
}

/// Has WebSockets alone.
pub(crate) const BROWSER: &str = "browser";

/// The origin of a browser's page that is a file.
pub(crate) const PAGE_ORIGIN: &str = "null";

/// How the driver of this language is started, with a folder for files of this run, or why it cannot be.
pub(crate) fn launch(language: &str, folder: &Path) -> Result<Launch, String> {
    match language {
        "rust" => Ok(Launch {
            language: "rust",
            program: env::current_exe().map_err(|error| error.to_string())?,
            args: vec!["drive".to_owned()],
            environment: Vec::new(),
        }),
        "python" => {
            let version = "import sys; sys.exit(sys.version_info < (3, 11))";
            check(
                Command::new("python3").args(["-c", version]),
                "Python 3.11 or newer",
            )?;
            let package = repository().join("languages/python/src");
            Ok(Launch {
                language: "python",
                program: "python3".into(),
                args: vec![driver("python/driver.py")],
                environment: vec![("PYTHONPATH".to_owned(), package.display().to_string())],
            })
        }
        "node" => Ok(Launch {
            language: "node",
            program: "node".into(),
            args: vec![node_bundle(folder)?],
            environment: Vec::new(),
        }),
        NODE_CORE => Ok(Launch {
            language: NODE_CORE,
            program: "node".into(),
            args: vec![node_bundle(folder)?, "core".to_owned()],
            environment: Vec::new(),
        }),
        BROWSER => {
            let bundle = page_bundle(folder)?;
            let chromium = programs::first_of(&programs::CHROMIUM, "it has the page of a driver");
            let chromium = chromium.ok_or("Chromium is needed")?.to_owned();
            let folder = folder.display().to_string();
            Ok(Launch {
                language: BROWSER,
                program: "node".into(),
                args: vec![driver("browser/browser.mjs"), chromium, folder, bundle],
                environment: Vec::new(),
            })
        }
        other => Err(format!("there is no driver of {other}")),
    }
}

/// That a program is there.
fn check(command: &mut Command, what: &str) -> Result<(), String> {
    let output = command.output();
    let output = output.map_err(|error| format!("{what} is needed: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{what} is needed: {command:?} fails")),
    }
}

/// The driver of Node.js.
fn node_bundle(folder: &Path) -> Result<String, String> {
    static BUNDLED: OnceLock<Result<String, String>> = OnceLock::new();
    let options = ["--platform=node", "--format=esm"];
    let bundled = || bundle("node/node.ts", &folder.join("node.mjs"), &options);
    BUNDLED.get_or_init(bundled).clone()
}

/// The same driver for a page, whose script calls it `driver`.
fn page_bundle(folder: &Path) -> Result<String, String> {
    static BUNDLED: OnceLock<Result<String, String>> = OnceLock::new();
    let options = [
        "--platform=browser",
        "--format=iife",
        "--global-name=driver",
    ];
    let bundled = || bundle("browser/page.ts", &folder.join("page.js"), &options);
    BUNDLED.get_or_init(bundled).clone()
}

/// An entry of the driver in TypeScript, bundled with the source of the package by the tools of its tests. The bundle is of this run
/// alone: another may be read while it is written.
fn bundle(entry: &str, bundle: &Path, options: &[&str]) -> Result<String, String> {
    let tools = repository().join("target/tmp/typescript");
    let lock = repository().join("tests/tests/languages/typescript/tools");
    let lacks = "Node.js with the packages of its tests is needed";
    let tools = programs::node_packages(&tools, &lock).ok_or(lacks)?;
    let package = repository().join("languages/typescript/src");
    let output = bundle.display().to_string();
    let mut esbuild = Command::new("node");
    esbuild
        .arg(tools.join("node_modules/esbuild/bin/esbuild"))
        .arg(driver(entry))
        .args(["--bundle", "--log-level=warning"])
        .args(options)
        .arg(format!("--alias:msip={}", package.display()))
        .arg(format!("--outfile={output}"));
    programs::run(&mut esbuild).map(|_| output)
}

/// A file of the drivers.
fn driver(path: &str) -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.join("drivers").join(path).display().to_string()
}

/// The repository.
pub(crate) fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
