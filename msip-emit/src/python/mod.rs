//! The Python emitter: one module for each package, with its messages and, if it is a protocol, the classes of its sides.
//!
//! The modules need the package `msip` of Python, and nothing else. What each part of a schema becomes is said in docs/python.md.

mod cycles;
mod doc;
mod handling;
mod imports;
mod layout;
mod messages;
mod module;
pub mod names;
mod protocol;
mod protocol_names;
mod read_bytes;
mod read_value;
mod rules;
mod sending;
mod signature;
pub mod standard_modules;
mod table;
#[cfg(test)]
mod tests;
mod well_known;
mod write_bytes;

use std::collections::BTreeSet;

use msip_schema::{Diagnostic, Outline};

use crate::plan::Plan;
use crate::rust::Sides;
use crate::{Compilation, EmitError, Emitter, OutputFile};
use cycles::{Cycles, payloads};
use layout::{Layout, Package};
use module::Module;

/// Writes Python, for 3.11 and later.
///
/// The package `fleet.v1` becomes `fleet/v1/__init__.py`, and is imported as `fleet.v1` if the output folder is one that Python
/// searches, or by the path of that folder: modules import each other relatively. Folders between have an empty
/// `__init__.py`. The output folder has one itself where modules of different top-level packages import each other,
/// which then can only be imported as parts of that folder.
///
/// ```
/// use msip_emit::python::Python;
/// use msip_emit::rust::Sides;
///
/// let python = Python::new().sides(Sides::Client);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Python {
    sides: Sides,
}

impl Python {
    /// Writes for both sides.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The sides for which classes are written.
    #[must_use]
    pub fn sides(mut self, sides: Sides) -> Self {
        self.sides = sides;
        self
    }
}

impl Emitter for Python {
    fn language(&self) -> &str {
        "python"
    }

    fn check(&self, outline: &Outline<'_>, out: &mut Vec<Diagnostic>) {
        rules::check(outline, out);
    }

    fn emit(&self, compilation: &Compilation) -> Result<Vec<OutputFile>, EmitError> {
        let layout = Layout::new(compilation);
        let cycles = Cycles::new(compilation);
        let mut files = Vec::new();
        let mut folders = BTreeSet::new();
        let mut written = BTreeSet::new();
        for package in layout.packages.values() {
            let (text, reaches_root) = self.module(compilation, &layout, &cycles, package);
            let folder = package.segments.join("/");
            for (index, _) in folder.match_indices('/') {
                folders.insert(folder[..index].to_owned());
            }
            if reaches_root {
                folders.insert(String::new());
            }
            files.push(OutputFile::new(format!("{folder}/__init__.py"), text));
            written.insert(folder);
        }
        for folder in folders.difference(&written) {
            let path = if folder.is_empty() {
                "__init__.py".to_owned()
            } else {
                format!("{folder}/__init__.py")
            };
            files.push(OutputFile::new(
                path,
                format!("{}\n", header(compilation, None)),
            ));
        }
        files.push(OutputFile::new("py.typed", ""));
        Ok(files)
    }
}

impl Python {
    /// The module of a package, and whether it imports modules of another top-level package.
    fn module(
        &self,
        compilation: &Compilation,
        layout: &Layout<'_>,
        cycles: &Cycles<'_>,
        package: &Package<'_>,
    ) -> (String, bool) {
        let mut module = Module::new(layout, package);
        module.classes();
        let protocols = compilation.protocols.iter();
        for protocol in protocols.filter(|protocol| protocol.schema.package() == package.name) {
            for name in payloads(&Plan::new(&protocol.schema)) {
                module.class_path(name);
            }
        }
        module.late_imports(|other| cycles.reaches(other, package.name));
        let mut names: Vec<String> = package
            .classes
            .iter()
            .map(|class| class.name.clone())
            .collect();
        let mut doc = "";
        for protocol in compilation
            .protocols
            .iter()
            .filter(|protocol| protocol.schema.package() == package.name)
        {
            let plan = Plan::new(&protocol.schema);
            let protocol_names = protocol::write(&mut module, protocol, &plan, self.sides);
            names.push(protocol_names.constant.clone());
            names.extend(protocol_names.classes(self.sides));
            doc = protocol.schema.doc();
        }
        let about = format!("Messages of the package `{}`.", package.name);
        module.finish(
            |out| {
                out.line(header(compilation, Some(package.name)));
                doc::docstring(
                    if crate::write::is_blank(doc) {
                        &about
                    } else {
                        doc
                    },
                    &[],
                    out,
                );
                out.separate();
            },
            &names,
        )
    }
}

/// The first line of a module.
fn header(compilation: &Compilation, package: Option<&str>) -> String {
    let files = compilation.files.iter();
    let of_package = files.filter(|file| match package {
        Some(package) => file.package == package,
        None => file.is_input,
    });
    // A path outside of the project differs between machines.
    let paths: Vec<&str> = of_package
        .map(|file| {
            if file.path.starts_with('/') || file.path.contains(':') {
                &file.name
            } else {
                &file.path
            }
        })
        .map(String::as_str)
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "# Generated by msip {version} from {}; do not edit.",
        paths.join(", ")
    )
}
