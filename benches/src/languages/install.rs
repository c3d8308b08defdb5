//! What contenders need: packages of other registries, generated and built code.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::problem::Problem;

/// Where things are.
#[derive(Debug)]
pub(super) struct Folders {
    /// The repository.
    pub(super) root: PathBuf,
    /// The contenders: `benches/languages`.
    pub(super) contenders: PathBuf,
    /// What is installed, generated and built.
    pub(super) target: PathBuf,
    /// The target directory of cargo.
    cargo: PathBuf,
}

/// Why a language has no contenders.
pub(super) enum InstallError {
    /// Something that is no part of the repository cannot be had here.
    Missing(String),
    /// Something of the repository does not work.
    Failed(Problem),
}

impl From<Problem> for InstallError {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

impl Folders {
    pub(super) fn new() -> Result<Self, Problem> {
        let own = env::current_exe().map_err(Problem::Process)?;
        // <target>/<profile>/<this program>
        let cargo = own.ancestors().nth(2).unwrap_or(&own).to_owned();
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        Ok(Self {
            root: manifest.parent().unwrap_or(manifest).to_owned(),
            contenders: manifest.join("languages"),
            target: cargo.join("languages"),
            cargo,
        })
    }

    /// The messages and services of all contenders.
    pub(super) fn proto(&self) -> PathBuf {
        self.contenders.join("proto")
    }

    /// Generates code of MSIP, as a user of this repository does.
    pub(super) fn generate(&self, flag: &str, out: &Path) -> Result<(), Problem> {
        create(out)?;
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .current_dir(&self.root)
            .args(["run", "--quiet", "--locked", "--package", "msip-cli"])
            .arg("--target-dir")
            .arg(&self.cargo)
            .args(["--", "gen", flag])
            .arg(out)
            .arg(self.proto());
        run(&mut command)
    }
}

/// Installs with `install` into `folder`, unless what `wanted` says is installed there already.
pub(super) fn install_once(
    folder: &Path,
    wanted: &Path,
    install: impl FnOnce() -> Result<(), InstallError>,
) -> Result<(), InstallError> {
    let stamp = folder.join("installed");
    let wanted = read(wanted)?;
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    install()?;
    write(&stamp, &wanted)?;
    Ok(())
}

/// Runs a program of others, which may be missing or fail for reasons of its own, such as a network that is not there.
pub(super) fn run_foreign(command: &mut Command) -> Result<(), InstallError> {
    run(command).map_err(|problem| {
        let source = std::error::Error::source(&problem);
        let cause = source.map_or_else(String::new, |cause| format!(": {cause}"));
        InstallError::Missing(format!("{problem}{cause}"))
    })
}

/// Runs a program, whose output is shown where it fails.
pub(super) fn run(command: &mut Command) -> Result<(), Problem> {
    let name = command.get_program().display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Problem::Tool {
            name: name.clone(),
            source: Some(source),
            said: "cannot be started".to_owned(),
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Problem::Tool {
        name,
        source: None,
        said: format!(
            "ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&said).trim()
        ),
    })
}

pub(super) fn create(folder: &Path) -> Result<(), Problem> {
    fs::create_dir_all(folder).map_err(|source| at(folder, source))
}

pub(super) fn copy(from: &Path, to: &Path) -> Result<(), Problem> {
    fs::copy(from, to).map_err(|source| at(from, source))?;
    Ok(())
}

fn read(path: &Path) -> Result<String, Problem> {
    fs::read_to_string(path).map_err(|source| at(path, source))
}

fn write(path: &Path, text: &str) -> Result<(), Problem> {
    fs::write(path, text).map_err(|source| at(path, source))
}

fn at(path: &Path, source: std::io::Error) -> Problem {
    Problem::File {
        path: path.to_owned(),
        source,
    }
}
