//! The contenders of `benches/peers`, a workspace of its own, so that its dependencies are in no build and no lock file of
//! ours.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::contender_program::ContenderProgram;
use crate::problem::Problem;

/// Builds the program next to `own`, and asks it for its contenders.
pub(super) fn contenders(own: &Path) -> Result<Vec<ContenderProgram>, Problem> {
    let program = build(own)?;
    let output = Command::new(&program)
        .arg("names")
        .stderr(Stdio::inherit())
        .output()
        .map_err(Problem::Process)?;
    if !output.status.success() {
        return Err(Problem::Peers {
            status: output.status,
        });
    }
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(names
        .lines()
        .map(|name| ContenderProgram {
            name: name.to_owned(),
            program: program.clone(),
        })
        .collect())
}

fn build(own: &Path) -> Result<PathBuf, Problem> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/Cargo.toml");
    // <target>/<profile>/<this program>: the peers are built in <target>/peers.
    let target = own.ancestors().nth(2).unwrap_or(own).join("peers");
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--locked", "--quiet"])
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target)
        .status()
        .map_err(Problem::Process)?;
    if !status.success() {
        return Err(Problem::Peers { status });
    }
    Ok(target.join("release/msip-peers"))
}
