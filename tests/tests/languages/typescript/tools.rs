//! Node.js with what the tests of TypeScript need: the packages of `tools/package-lock.json`, and the package `msip` itself, built.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use msip_tests::programs;

/// The repository.
pub(super) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A folder whose `node_modules` has all of it: programs of tests lie below it, so that their imports are found.
pub(super) struct Tools {
    folder: PathBuf,
}

/// The tools; `None` if they cannot be had, which has been said then.
pub(super) fn tools() -> Option<&'static Tools> {
    static TOOLS: OnceLock<Option<Tools>> = OnceLock::new();
    TOOLS.get_or_init(Tools::install).as_ref()
}

impl Tools {
    fn install() -> Option<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("typescript");
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/languages/typescript/tools");
        let folder = programs::node_packages(&folder, &lock)?;
        let tools = Self { folder };
        if let Err(why) = tools.build() {
            panic!("the package does not compile: {why}");
        }
        Some(tools)
    }

    /// Compiles `languages/typescript` to where programs below the folder import it from.
    fn build(&self) -> Result<String, String> {
        let source = Path::new(ROOT).join("languages/typescript");
        let package = self.folder.join("node_modules/msip");
        // Modules that are no more must not be imported.
        let _ = fs::remove_dir_all(&package);
        fs::create_dir_all(&package).expect("a folder for the package");
        fs::copy(source.join("package.json"), package.join("package.json")).expect("package.json");
        programs::run(
            self.tsc()
                .arg("--project")
                .arg(&source)
                .arg("--outDir")
                .arg(package.join("dist"))
                .arg("--typeRoots")
                .arg(self.folder.join("node_modules/@types")),
        )
    }

    /// The folder below which all of it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// An empty folder of this name, for a program of a test.
    pub(super) fn project(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder for a program");
        folder
    }

    /// Bundles programs with the sources of the package: for each a line with its path, its bytes and these compressed with gzip. In a
    /// browser `global_name`, where it is not empty, has what they export.
    pub(super) fn bundle(
        &self,
        folder: &Path,
        platform: &str,
        form: &str,
        global_name: &str,
        files: &[PathBuf],
    ) -> Result<String, String> {
        let script = Path::new(ROOT).join("languages/typescript/tests/bundle.mjs");
        programs::run(
            self.node()
                .arg(script)
                .arg(folder)
                .args([platform, form, global_name])
                .args(files),
        )
    }

    /// TypeScript's compiler.
    pub(super) fn tsc(&self) -> Command {
        self.program("typescript/bin/tsc")
    }

    /// A program of an installed package, by its path below `node_modules`.
    pub(super) fn program(&self, path: &str) -> Command {
        let mut command = self.node();
        command.arg(self.folder.join("node_modules").join(path));
        command
    }

    /// Node.js, in the folder of the tools.
    pub(super) fn node(&self) -> Command {
        let mut command = Command::new("node");
        command.current_dir(&self.folder);
        command
    }
}
