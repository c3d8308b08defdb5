//! The workspace: its packages, their targets, and which package depends on which.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use crate::{
    error::{Problem, Problems},
    graph::Graph,
};

/// The packages of a workspace.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// Its folder.
    pub folder: PathBuf,
    /// In the order of `members`.
    pub packages: Vec<Package>,
}

/// A package.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder, from that of the workspace.
    pub folder: PathBuf,
    /// The library and the binaries. Tests and benchmarks are no part of it.
    pub targets: Vec<Target>,
    /// The packages of the workspace that it depends on: `[dependencies]` and those of platforms.
    pub dependencies: BTreeSet<String>,
}

/// A library or a binary.
#[derive(Debug, Clone)]
pub struct Target {
    /// `lib`, or the name of the binary.
    pub name: String,
    /// Its root file, from the folder of the workspace.
    pub root: PathBuf,
}

impl Workspace {
    /// Reads the manifests of the workspace in this folder.
    ///
    /// # Errors
    ///
    /// A manifest that cannot be read, or that says what is not understood here.
    pub fn read(folder: &Path) -> Result<Self, Problems> {
        let file = folder.join("Cargo.toml");
        let manifest = table(&file)?;
        let members = manifest
            .get("workspace")
            .and_then(|workspace| workspace.get("members"))
            .and_then(Value::as_array)
            .ok_or_else(|| Problem::new(&file, 0, "no workspace with members"))?;
        let shared = manifest
            .get("workspace")
            .and_then(|workspace| workspace.get("dependencies"));
        let mut packages = Vec::new();
        for member in members {
            match member.as_str() {
                Some(name) if !name.contains('*') => {
                    packages.push(Package::read(folder, name, shared)?);
                }
                _ => {
                    let text = format!("a member is not the path of a folder: {member:?}");
                    return Err(Problem::new(&file, 0, text).into());
                }
            }
        }
        let names: BTreeSet<String> = packages.iter().map(|one| one.name.clone()).collect();
        for package in &mut packages {
            package.dependencies.retain(|name| names.contains(name));
        }
        Ok(Self {
            folder: folder.to_owned(),
            packages,
        })
    }

    /// The folder of the workspace that this package is built in.
    pub fn own_folder() -> PathBuf {
        let mut folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        folder.pop();
        folder.pop();
        folder
    }

    /// Which package depends on which.
    pub fn graph(&self) -> Graph {
        let edges = self.packages.iter().flat_map(|package| {
            let to = package.dependencies.iter();
            to.map(|to| (package.name.clone(), to.clone()))
        });
        Graph {
            nodes: self.packages.iter().map(|one| one.name.clone()).collect(),
            edges: edges.collect(),
        }
    }
}

fn table(file: &Path) -> Result<Table, Problem> {
    let text =
        fs::read_to_string(file).map_err(|error| Problem::new(file, 0, error.to_string()))?;
    text.parse()
        .map_err(|error: toml::de::Error| Problem::new(file, 0, error.to_string()))
}

impl Package {
    fn read(workspace: &Path, folder: &str, shared: Option<&Value>) -> Result<Self, Problem> {
        let file = workspace.join(folder).join("Cargo.toml");
        let manifest = table(&file)?;
        let name = manifest
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(Value::as_str)
            .ok_or_else(|| Problem::new(&file, 0, "no package with a name"))?;
        let platforms = manifest.get("target").and_then(Value::as_table);
        let sections = platforms
            .into_iter()
            .flat_map(|platforms| platforms.values())
            .filter_map(|platform| platform.get("dependencies"))
            .chain(manifest.get("dependencies"));
        let dependencies = sections
            .filter_map(Value::as_table)
            .flatten()
            .map(|(key, value)| package_name(key, value, shared))
            .collect();
        Ok(Self {
            name: name.to_owned(),
            targets: targets(workspace, Path::new(folder), &manifest),
            folder: PathBuf::from(folder),
            dependencies,
        })
    }
}

/// The package behind the name of a dependency.
fn package_name(key: &str, value: &Value, shared: Option<&Value>) -> String {
    let shared = shared.and_then(|shared| shared.get(key));
    value
        .get("package")
        .or_else(|| shared.and_then(|shared| shared.get("package")))
        .and_then(Value::as_str)
        .unwrap_or(key)
        .to_owned()
}

fn targets(workspace: &Path, folder: &Path, manifest: &Table) -> Vec<Target> {
    let mut targets = Vec::new();
    let mut add = |name: &str, root: PathBuf| {
        if workspace.join(&root).is_file() && targets.iter().all(|one: &Target| one.root != root) {
            targets.push(Target {
                name: name.to_owned(),
                root,
            });
        }
    };
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let library = manifest.get("lib").and_then(|lib| text(lib, "path"));
    add(
        "lib",
        folder.join(library.as_deref().unwrap_or("src/lib.rs")),
    );
    add("main", folder.join("src/main.rs"));
    let binaries = manifest.get("bin").and_then(Value::as_array);
    for binary in binaries.into_iter().flatten() {
        if let Some(path) = text(binary, "path") {
            let name = text(binary, "name").unwrap_or_default();
            add(&name, folder.join(path));
        }
    }
    let binaries = folder.join("src/bin");
    let entries = fs::read_dir(workspace.join(&binaries))
        .into_iter()
        .flatten();
    let mut found: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    found.sort();
    for name in found {
        let path = binaries.join(name);
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        match path.extension().is_some_and(|ending| ending == "rs") {
            true => add(&name, path.clone()),
            false => add(&name, path.join("main.rs")),
        }
    }
    targets
}
