//! The package as its users have it: a wheel, in an environment that has nothing else.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use msip_runtime::Server;
use msip_tests::{
    ServerProcess,
    programs::{plain_python, python, run},
};

/// The repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// An environment in which the wheel is installed, and nothing else; `None` where it cannot be built.
fn environment() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-wheel");
    let tools = python(
        &folder.join("tools"),
        &["hatchling==1.33.0"],
        "import hatchling",
    )?;
    let wheels = folder.join("wheels");
    let _ = fs::remove_dir_all(&wheels);
    let package = Path::new(ROOT).join("languages/python");
    let build = Command::new(&tools)
        .args(["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"])
        .args(["--no-build-isolation", "--wheel-dir"])
        .arg(&wheels)
        .arg(package)
        .status();
    assert!(build.expect("pip runs").success(), "the wheel is built");
    let wheel = fs::read_dir(&wheels)
        .expect("a folder of wheels")
        .next()
        .expect("a wheel")
        .expect("a file")
        .path();
    let fresh = folder.join("fresh");
    let _ = fs::remove_dir_all(&fresh);
    run(Command::new(plain_python()?)
        .args(["-m", "venv"])
        .arg(&fresh))
    .expect("an environment");
    let fresh = fresh.join("bin/python");
    run(Command::new(&fresh)
        .args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-index"])
        .arg(wheel))
    .expect("the wheel is installed");
    Some(fresh)
}

/// The first block of Python in a page.
fn first_lines(page: &str) -> String {
    let text = fs::read_to_string(Path::new(ROOT).join(page)).expect("a page");
    let (_, block) = text.split_once("```python\n").expect("a block of Python");
    let (block, _) = block.split_once("```").expect("its end");
    block.to_owned()
}
