//! Programs that are not ours. A test without the one that it needs is skipped, and says why; in CI it fails.

use std::{
    env,
    fmt::Display,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Chromium, by its names.
pub const CHROMIUM: [&str; 4] = [
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
];

/// The first of these programs that is there.
pub fn first_of(names: &[&'static str], what_for: &str) -> Option<&'static str> {
    let is_there = |name: &&&str| {
        let version = match **name {
            "openssl" => "version",
            _ => "--version",
        };
        let asked = Command::new(name)
            .arg(version)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        asked.is_ok_and(|status| status.success())
    };
    let found = names.iter().find(is_there).copied();
    or_skipped(found.ok_or_else(|| format!("{} is not there: {what_for}", names.join(" or "))))
}

/// A Python with these packages, which are installed in `folder` where they are not: versions that stay, so that a failure is ours.
/// `check` is code that runs where they are there.
pub fn python(folder: &Path, packages: &[&str], check: &str) -> Option<PathBuf> {
    let python = folder.join("bin/python");
    let has_packages = || run(Command::new(&python).args(["-c", check]));
    let install = || {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet"])
            .args(packages))?;
        has_packages()
    };
    let installed = one_at_a_time(folder, || has_packages().or_else(|_| install()));
    let installed =
        installed.map_err(|reason| format!("there is no Python with {packages:?}: {reason}"));
    or_skipped(installed.map(|_| python))
}

/// A Python that our package runs on, 3.11 or later, without any packages.
pub fn plain_python() -> Option<&'static str> {
    let is_new_enough = |name: &&&str| {
        let check = "import sys; sys.exit(sys.version_info < (3, 11))";
        run(Command::new(name).args(["-c", check])).is_ok()
    };
    let names = ["python3", "python3.13", "python3.12", "python3.11"];
    let found = names.iter().find(is_new_enough).copied();
    or_skipped(found.ok_or("there is no Python 3.11 or later"))
}

/// A folder whose `node_modules` has the packages that the `package-lock.json` in `lock` names, which are installed where they are
/// not: versions that stay, so that a failure is ours.
pub fn node_packages(folder: &Path, lock: &Path) -> Option<PathBuf> {
    let read =
        |path: PathBuf| fs::read(&path).map_err(|error| format!("{}: {error}", path.display()));
    let install = || {
        let wanted = read(lock.join("package-lock.json"))?;
        let stamp = folder.join("installed.json");
        if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(folder.to_owned());
        }
        let write = |path: PathBuf, bytes| {
            fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))
        };
        write(
            folder.join("package.json"),
            read(lock.join("package.json"))?,
        )?;
        write(folder.join("package-lock.json"), wanted.clone())?;
        // Nothing needs scripts of its installation, and they are not ours to trust.
        let install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
        run(Command::new("npm").args(install).current_dir(folder))?;
        write(stamp, wanted)?;
        Ok(folder.to_owned())
    };
    let installed = one_at_a_time(folder, install);
    or_skipped(installed.map_err(|reason| {
        format!(
            "there is no Node.js with the packages of {}: {reason}",
            lock.display()
        )
    }))
}

/// Installs into this folder, which is made if it is not there, while no other test does, of this process or another: who comes second
/// finds all that the first has installed, and not a part.
fn one_at_a_time<T>(
    folder: &Path,
    install: impl FnOnce() -> Result<T, String>,
) -> Result<T, String> {
    let because = |error: io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(because)?;
    let lock = File::create(folder.join("installing.lock")).map_err(because)?;
    // Until the file is closed, or the process ends.
    #[cfg(unix)]
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|error| because(error.into()))?;
    let installed = install();
    drop(lock);
    installed
}

/// What a command says, or what is wrong with it where it fails.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    let (said, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    match output.status.success() {
        true => Ok(said.into_owned()),
        false => Err(format!("{command:?}: {said}\n{errors}")),
    }
}

/// What there is. Where it is not, says that the test is skipped; in CI it fails.
#[expect(clippy::print_stdout, reason = "who runs the tests reads it")]
fn or_skipped<T>(found: Result<T, impl Display>) -> Option<T> {
    found
        .map_err(|reason| {
            assert!(env::var_os("CI").is_none(), "{reason}");
            println!("skipped: {reason}");
        })
        .ok()
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn a_folder_is_installed_once_however_many_want_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (installing, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let stamp = folder.path().join("stamp");
        let install = || {
            if stamp.exists() {
                return Ok(());
            }
            assert_eq!(installing.fetch_add(1, Ordering::SeqCst), 0);
            // Others come while this one installs.
            (0..100).for_each(|_| thread::yield_now());
            done.fetch_add(1, Ordering::SeqCst);
            installing.fetch_sub(1, Ordering::SeqCst);
            fs::write(&stamp, "").map_err(|error| error.to_string())
        };
        thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| one_at_a_time(folder.path(), install).expect("installed"));
            }
        });
        assert_eq!(done.into_inner(), 1);
    }
}
