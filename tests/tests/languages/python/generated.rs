//! What is generated for the schemas of the repository: accepted by the checkers of Python, and the same messages as Google's.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use msip_emit::python::names::{CLIENT_CALLBACKS, RESERVED_METHODS, SERVER_CALLBACKS};
use msip_emit::python::standard_modules::STANDARD_MODULES;
use msip_tests::programs::{plain_python, run};

use super::tools::{ROOT, tools};

/// The strictest of mypy, with modules that are found from the folder that it is run in.
const MYPY: &str =
    "[mypy]\nstrict = true\nexplicit_package_bases = true\nfollow_imports = silent\n";

/// Pyright is slow, so it does not see what mypy sees and others have too: protocols of the simplest kind, and single sides.
const PYRIGHT: &str = r#"{
  "typeCheckingMode": "standard",
  "pythonVersion": "3.11",
  "include": ["."],
  "exclude": ["bench", "chat", "client_only", "gauges", "rest", "server_only"],
  "extraPaths": [".", "ROOT/languages/python/src"]
}"#;

#[test]
fn mypy_accepts_what_is_generated() {
    let Some(tools) = tools() else { return };
    let config = tools.generated.join("mypy.ini");
    fs::write(&config, MYPY).unwrap();
    let mut mypy = tools.python(&["-m", "mypy", "--config-file", "mypy.ini", "--cache-dir"]);
    mypy.arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("mypy_cache"))
        .arg(".")
        .env("MYPYPATH", format!("{ROOT}/languages/python/src:."));
    run(&mut mypy).unwrap();
}

#[test]
fn pyright_accepts_what_is_generated() {
    let Some(tools) = tools() else { return };
    let config = PYRIGHT.replace("ROOT", ROOT);
    fs::write(tools.generated.join("pyrightconfig.json"), config).unwrap();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pyright");
    let mut pyright = tools.python(&["-m", "pyright", "--project", "."]);
    run(pyright.env("PYRIGHT_PYTHON_CACHE_DIR", cache)).unwrap();
}

#[test]
fn ruff_accepts_what_is_generated() {
    let Some(tools) = tools() else { return };
    // Its default rules, whatever the configuration of the folders above is.
    let mut ruff = tools.python(&["-m", "ruff", "check", "--isolated", "--no-cache", "."]);
    run(&mut ruff).unwrap();
}

#[test]
fn messages_are_those_of_google() {
    let Some(tools) = tools() else { return };
    tools.compare("agreement.py", 60, &["sampler", "kitchen", "pantry"]);
    tools.compare(
        "agreement.py",
        3,
        &["names", "keywords", "packages", "shapes", "lab"],
    );
}

#[test]
fn whatever_is_malformed_is_refused() {
    let Some(tools) = tools() else { return };
    tools.compare("malformed.py", 40, &["sampler", "kitchen", "pantry"]);
}

#[test]
fn messages_behave_as_documented() {
    let Some(tools) = tools() else { return };
    let program = format!("{ROOT}/tests/python/messages/behaviour.py");
    run(&mut tools.python(&[&program])).unwrap();
}

#[test]
fn what_messages_take_in_memory_is_counted() {
    let Some(tools) = tools() else { return };
    let program = format!("{ROOT}/tests/python/messages/decoded_size.py");
    run(&mut tools.python(&[&program])).unwrap();
}

#[test]
fn methods_hide_nothing_of_the_base_classes() {
    let Some(python) = plain_python() else { return };
    let names = |code: &str| {
        let mut command = Command::new(python);
        command
            .args(["-c", &format!("import msip\n{code}")])
            .env("PYTHONPATH", format!("{ROOT}/languages/python/src"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let said = run(&mut command).unwrap();
        said.split_whitespace()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    let public = |classes: &str| {
        names(&format!(
            "print(*(name for each in ({classes},) for name in dir(each) if not name.startswith('_')))"
        ))
    };
    let missing = |names: BTreeSet<String>, known: &[&str]| {
        let known: BTreeSet<String> = known.iter().map(|name| (*name).to_owned()).collect();
        names.difference(&known).cloned().collect::<Vec<_>>()
    };
    let methods = public("msip.Client, msip.SyncClient, msip.Peer, msip.Broadcast, msip.Server");
    assert_eq!(missing(methods, RESERVED_METHODS), [""; 0]);
    assert_eq!(
        missing(public("msip.ClientHandler"), CLIENT_CALLBACKS),
        [""; 0]
    );
    assert_eq!(
        missing(public("msip.ServerHandler"), SERVER_CALLBACKS),
        [""; 0]
    );
}

#[test]
fn the_modules_of_python_are_known() {
    let Some(python) = plain_python() else { return };
    let code = "import sys; print(*(name for name in sys.stdlib_module_names if not name.startswith('_')))";
    let said = run(Command::new(python).args(["-c", code])).unwrap();
    let missing: Vec<&str> = said
        .split_whitespace()
        .filter(|name| !STANDARD_MODULES.contains(name))
        .collect();
    assert_eq!(missing, [""; 0]);
}
