//! The interface of a language.

use std::fmt;

use msip_schema::{Diagnostic, Outline};

use crate::compilation::Compilation;

/// A language that schemas are compiled to.
///
/// `msip_codegen::Builder` runs any number of them over the same files, Rust among them, and writes what all of them
/// return, or nothing.
///
/// An emitter is given schemas that are free of mistakes. What its language cannot express it reports in
/// [`check`](Self::check), so that the user sees it together with the other mistakes. Its output depends on its input
/// and its settings alone: no times, no absolute paths, no order of a hash map.
///
/// # Examples
///
/// An emitter that lists the members of each protocol:
///
/// ```
/// use msip_emit::plan::Plan;
/// use msip_emit::write::Writer;
/// use msip_emit::{Compilation, EmitError, Emitter, OutputFile};
/// use msip_schema::Direction;
///
/// #[derive(Debug)]
/// struct Members;
///
/// impl Emitter for Members {
///     fn language(&self) -> &str {
///         "members"
///     }
///
///     fn emit(&self, compilation: &Compilation) -> Result<Vec<OutputFile>, EmitError> {
///         let files = compilation.protocols.iter().map(|protocol| {
///             let plan = Plan::new(&protocol.schema);
///             let mut out = Writer::new("  ");
///             for direction in [Direction::ClientToServer, Direction::ServerToClient] {
///                 out.line(direction.envelope_name());
///                 out.indent();
///                 for member in &plan.envelope(direction).members {
///                     out.line(format_args!("{} {}", member.number, member.name));
///                 }
///                 out.dedent();
///             }
///             OutputFile::new(format!("{}.txt", protocol.schema.package()), out.finish())
///         });
///         Ok(files.collect())
///     }
/// }
/// ```
pub trait Emitter: fmt::Debug + Send + Sync {
    /// The name of the language, in lower case, such as `python`; errors mention it.
    fn language(&self) -> &str;

    /// Reports what the language cannot express, such as two names that become the same identifier.
    ///
    /// It is called for each protocol, and for types that belong to none; the schema may have other mistakes too.
    /// There is nothing to report unless it is implemented.
    fn check(&self, outline: &Outline<'_>, out: &mut Vec<Diagnostic>) {
        let _ = (outline, out);
    }

    /// Returns the files to write.
    ///
    /// # Errors
    ///
    /// A setting that makes the output impossible.
    fn emit(&self, compilation: &Compilation) -> Result<Vec<OutputFile>, EmitError>;
}

/// A file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputFile {
    /// Its path below the output folder, with `/` between folders.
    pub path: String,
    /// Its contents.
    pub bytes: Vec<u8>,
}

impl OutputFile {
    /// A file of this path below the output folder.
    pub fn new(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            bytes: bytes.into(),
        }
    }
}

/// Why an emitter has no output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmitError(String);

impl EmitError {
    /// An error of this text, in lower case and without a final period.
    pub fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EmitError {}
