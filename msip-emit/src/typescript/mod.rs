//! TypeScript: a module for each package with its messages and client, and one beside it with its server.
//!
//! `fleet.v1` becomes `fleet_v1.ts`: interfaces, functions that encode and decode, and the client. `fleet_v1.server.ts` has what
//! only servers need, so that no browser meets it. What generated code stands on is the package `msip`.

mod claim;
mod decode;
mod decoded_size;
mod doc;
mod encode;
mod enums;
mod fields;
mod function;
mod json;
mod messages;
mod module;
mod modules;
pub mod names;
mod part;
mod protocol;
mod protocol_names;
mod rules;
mod server;

use msip_schema::{Diagnostic, Outline};

use crate::rust::Sides;
use crate::{Compilation, EmitError, Emitter, OutputFile};
use modules::Modules;
pub use part::Part;

/// Writes TypeScript.
///
/// ```
/// use msip_emit::rust::Sides;
/// use msip_emit::typescript::TypeScript;
///
/// let emitter = TypeScript::new().sides(Sides::Client).core("./vendor/msip");
/// ```
#[derive(Debug, Clone)]
pub struct TypeScript {
    core: String,
    sides: Sides,
    parts: Vec<Part>,
}

impl Default for TypeScript {
    fn default() -> Self {
        Self::new()
    }
}

impl TypeScript {
    /// For clients and servers, on the package `msip`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            core: "msip".to_owned(),
            sides: Sides::Both,
            parts: Part::ALL.to_vec(),
        }
    }

    /// The package that generated code imports, if it is not called `msip`: `<core>/message` has what messages stand on,
    /// `<core>/server` what servers do.
    #[must_use]
    pub fn core(mut self, package: impl Into<String>) -> Self {
        self.core = package.into();
        self
    }

    /// Leaves a part out of the clients, which is not in their bundles then.
    #[must_use]
    pub fn without(mut self, part: Part) -> Self {
        self.parts.retain(|other| *other != part);
        self
    }

    /// The sides that are written; messages always are.
    #[must_use]
    pub fn sides(mut self, sides: Sides) -> Self {
        self.sides = sides;
        self
    }
}

impl Emitter for TypeScript {
    fn language(&self) -> &str {
        "typescript"
    }

    fn check(&self, outline: &Outline<'_>, out: &mut Vec<Diagnostic>) {
        rules::check(outline, out);
    }

    fn emit(&self, compilation: &Compilation) -> Result<Vec<OutputFile>, EmitError> {
        let modules = Modules::new(compilation, &self.core, &self.parts);
        let mut files = Vec::new();
        for module in modules.iter() {
            files.push(OutputFile::new(
                format!("{}.ts", module.file),
                module::write(&modules, module, self.sides),
            ));
            if let Some(protocol) = &module.protocol
                && self.sides != Sides::Client
            {
                files.push(OutputFile::new(
                    format!("{}.server.ts", module.file),
                    server::write(&modules, module, protocol),
                ));
            }
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests;
