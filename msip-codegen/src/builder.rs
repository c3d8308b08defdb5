//! The builder: the settings of a run, and the run.

mod check;
mod languages;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use msip_emit::rust::Sides;
use msip_emit::{Compilation, Emitter};

use crate::error::CompileError;
use crate::inputs::Inputs;
use crate::output::Generated;
use crate::proto::{self, Expected, Request};
use crate::rust::Settings;
use languages::emitters;

/// The variable that makes [`Builder::verify`] write instead.
const UPDATE: &str = "MSIP_UPDATE";

/// Compiles protocols with settings; [`compile_protos`](crate::compile_protos) has the defaults.
///
/// ```no_run
/// fn main() -> Result<(), msip_codegen::CompileError> {
///     msip_codegen::Builder::new()
///         .include("proto")
///         .bytes(".camera.FrameInd.picture")
///         .type_attribute(".camera", "#[derive(serde::Serialize)]")
///         .compile(&["proto/camera.proto"])
/// }
/// ```
///
/// # Paths of types and fields
///
/// Methods that take a path read it as prost does: `.` is everything, `.chat` all of a package, `.chat.ConnectReq`
/// one message, `.chat.ConnectReq.user` one field; without the dot in front, `user` is every field of that name.
#[derive(Debug, Clone)]
#[must_use = "nothing happens until `compile`"]
pub struct Builder {
    includes: Vec<PathBuf>,
    out_dir: Option<PathBuf>,
    settings: Settings,
    /// Languages in addition to Rust, each with its own output folder if it has one.
    emitters: Vec<(Option<PathBuf>, Arc<dyn Emitter>)>,
    without_rust: bool,
    descriptor_set: Option<PathBuf>,
    reruns: bool,
    named_by_import: bool,
    messages_only: bool,
    checked_in: bool,
    verify: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// Settings for a build script: both sides, into `OUT_DIR`.
    pub fn new() -> Self {
        Self {
            includes: Vec::new(),
            out_dir: None,
            settings: Settings::default(),
            emitters: Vec::new(),
            without_rust: false,
            descriptor_set: None,
            reruns: true,
            named_by_import: false,
            messages_only: false,
            checked_in: false,
            verify: false,
        }
    }

    /// Adds an include folder, which is searched after those already added.
    ///
    /// Files and imports are named relative to it. Without any, the folders of the inputs are searched.
    ///
    /// ```
    /// let builder = msip_codegen::Builder::new().include("proto").include("../shared/proto");
    /// ```
    pub fn include(mut self, folder: impl AsRef<Path>) -> Self {
        self.includes.push(folder.as_ref().to_owned());
        self
    }

    /// Adds several include folders; see [`include`](Self::include).
    ///
    /// ```
    /// let builder = msip_codegen::Builder::new().includes(["proto", "../shared/proto"]);
    /// ```
    pub fn includes(mut self, folders: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        self.includes
            .extend(folders.into_iter().map(|folder| folder.as_ref().to_owned()));
        self
    }

    /// Writes into this folder instead of `OUT_DIR/msip`.
    ///
    /// `include_protocol!` searches `OUT_DIR/msip` only; include the files of another folder with `include!`.
    ///
    /// ```
    /// let builder = msip_codegen::Builder::new().out_dir("target/schema");
    /// ```
    pub fn out_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.out_dir = Some(folder.as_ref().to_owned());
        self
    }

    /// Writes only what a client needs: its send traits and its handle trait.
    ///
    /// ```
    /// let builder = msip_codegen::Builder::new().client_only();
    /// ```
    pub fn client_only(mut self) -> Self {
        self.settings.sides = Sides::Client;
        self
    }

    /// Writes only what a server needs: its send and broadcast traits and its handle trait.
    ///
    /// ```
    /// let builder = msip_codegen::Builder::new().server_only();
    /// ```
    pub fn server_only(mut self) -> Self {
        self.settings.sides = Sides::Server;
        self
    }

    /// Adds an attribute to types: messages, enums, oneofs, and the enums of the two directions.
    ///
    /// [`compile`](Self::compile) fails if it is not valid Rust.
    ///
    /// ```
    /// let builder = msip_codegen::Builder::new().type_attribute(".chat", "#[derive(serde::Serialize)]");
    /// ```
    pub fn type_attribute(mut self, path: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.settings
            .type_attributes
            .push((path.into(), attribute.into()));
        self
    }

    /// Adds an attribute to fields of messages, members of oneofs and values of enums.
    ///
    /// ```
    /// let builder = msip_codegen::Builder::new().field_attribute(".chat.ConnectReq.user", "#[serde(default)]");
    /// ```
    pub fn field_attribute(
        mut self,
        path: impl Into<String>,
        attribute: impl Into<String>,
    ) -> Self {
        self.settings
            .field_attributes
            .push((path.into(), attribute.into()));
        self
    }

    /// Uses existing Rust types for a package, or for one type: nothing is written for them.
    ///
    /// ```
    /// let builder = msip_codegen::Builder::new().extern_path(".shared.v1", "::shared_types::v1");
    /// ```
    pub fn extern_path(mut self, proto: impl Into<String>, rust: impl Into<String>) -> Self {
        self.settings.extern_paths.push((proto.into(), rust.into()));
        self
    }

    /// Makes `bytes` fields `Bytes` instead of `Vec<u8>`: they are slices of the received frame, not copies.
    ///
    /// ```
    /// let builder = msip_codegen::Builder::new().bytes(".");
    /// ```
    pub fn bytes(mut self, path: impl Into<String>) -> Self {
        self.settings.bytes.push(path.into());
        self
    }

    /// Makes `map` fields `BTreeMap` instead of `HashMap`: their entries are sorted, on the wire too.
    ///
    /// ```
    /// let builder = msip_codegen::Builder::new().btree_map(".");
    /// ```
    pub fn btree_map(mut self, path: impl Into<String>) -> Self {
        self.settings.btree_maps.push(path.into());
        self
    }

    /// Writes no `Debug` for these messages, such as those with secrets, for which it is written by hand.
    ///
    /// ```
    /// let builder = msip_codegen::Builder::new().skip_debug(".chat.LoginReq");
    /// ```
    pub fn skip_debug(mut self, path: impl Into<String>) -> Self {
        self.settings.skip_debug.push(path.into());
        self
    }

    /// Also compiles to another language, into the same folder as the Rust.
    ///
    /// What the language cannot express is reported together with all other mistakes, and nothing is written then in
    /// any language. See [`Emitter`].
    ///
    /// ```
    /// use msip_emit::{Compilation, EmitError, Emitter, OutputFile};
    ///
    /// /// Lists the packages.
    /// #[derive(Debug)]
    /// struct Packages;
    ///
    /// impl Emitter for Packages {
    ///     fn language(&self) -> &str {
    ///         "packages"
    ///     }
    ///
    ///     fn emit(&self, compilation: &Compilation) -> Result<Vec<OutputFile>, EmitError> {
    ///         let packages = compilation.packages().into_iter().collect::<Vec<_>>();
    ///         Ok(vec![OutputFile::new("packages.txt", packages.join("\n"))])
    ///     }
    /// }
    ///
    /// let builder = msip_codegen::Builder::new().emitter(Packages);
    /// ```
    pub fn emitter(mut self, emitter: impl Emitter + 'static) -> Self {
        self.emitters.push((None, Arc::new(emitter)));
        self
    }

    /// Also compiles to another language, into a folder of its own; see [`emitter`](Self::emitter).
    ///
    /// The languages that MSIP has are [`Python`](crate::Python) and [`TypeScript`](crate::TypeScript), each with settings of its
    /// own.
    ///
    /// ```
    /// use msip_codegen::{Builder, Python, Sides, TypeScript};
    ///
    /// let builder = Builder::new()
    ///     .emitter_into("../tools/gen", Python::new())
    ///     .emitter_into("../web/src/gen", TypeScript::new().sides(Sides::Client));
    /// ```
    pub fn emitter_into(
        mut self,
        folder: impl AsRef<Path>,
        emitter: impl Emitter + 'static,
    ) -> Self {
        let folder = folder.as_ref().to_owned();
        self.emitters.push((Some(folder), Arc::new(emitter)));
        self
    }

    /// Writes no Rust, and does not check what only Rust cannot express.
    pub fn without_rust(mut self) -> Self {
        self.without_rust = true;
        self
    }

    /// Also writes all files and what they import as an encoded `FileDescriptorSet` to this path.
    ///
    /// ```
    /// let builder = msip_codegen::Builder::new().file_descriptor_set_path("target/chat.bin");
    /// ```
    pub fn file_descriptor_set_path(mut self, path: impl AsRef<Path>) -> Self {
        self.descriptor_set = Some(path.as_ref().to_owned());
        self
    }

    /// Whether cargo reruns the build script when one of the files read, imports included, has changed. By default it does,
    /// except for [`checked_in`](Self::checked_in) output.
    ///
    /// ```
    /// let builder = msip_codegen::Builder::new().emit_rerun_if_changed(false);
    /// ```
    pub fn emit_rerun_if_changed(mut self, yes: bool) -> Self {
        self.reruns = yes;
        self
    }

    /// Calls schemas in what is generated as imports do, `chat.proto`, and not by their paths, `../proto/chat.proto`: output
    /// does not depend then on the folder from which it is generated. Mistakes are told with paths all the same.
    ///
    /// ```
    /// let builder = msip_codegen::Builder::new().named_by_import();
    /// ```
    pub fn named_by_import(mut self) -> Self {
        self.named_by_import = true;
        self
    }

    /// Compiles the messages of files that are not protocols.
    ///
    /// ```
    /// let builder = msip_codegen::Builder::new().messages_only();
    /// ```
    pub fn messages_only(mut self) -> Self {
        self.messages_only = true;
        self
    }

    /// Writes into a folder of the project that is under version control, so that users need no build script.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), msip_codegen::CompileError> {
    /// // In a test, which fails when schema and Rust have drifted apart:
    /// msip_codegen::Builder::new().include("proto").checked_in("src/generated").verify().compile(&["chat.proto"])?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn checked_in(mut self, folder: impl AsRef<Path>) -> Self {
        self.out_dir = Some(folder.as_ref().to_owned());
        self.checked_in = true;
        self.reruns = false;
        self
    }

    /// Writes nothing, and fails if the files in the output folder differ from what would be written.
    ///
    /// With `MSIP_UPDATE=1` in the environment it writes them instead.
    pub fn verify(mut self) -> Self {
        self.verify = true;
        self
    }

    /// Compiles these files and everything that they import.
    ///
    /// A file is named by its path, or as in an import, relative to an include folder. Of a folder, all `.proto` files below it are
    /// compiled; those that have no envelope are compiled for their messages. `<package>.rs` is written for each
    /// package of the inputs, `<package>.descriptors.bin` for each protocol, and `packages.rs` with all packages as one
    /// tree of modules.
    ///
    /// `packages.rs` has the packages of this run only. A build script that needs different settings for different
    /// protocols may call this several times; each package then has its own file, but `packages.rs`, which
    /// `include_protocols!` includes, is that of the last run. Protocols that share a package belong in one run.
    ///
    /// # Errors
    ///
    /// All mistakes of all files together, or a problem with the settings or the output folder. Nothing is written then.
    pub fn compile(&self, protos: &[impl AsRef<Path>]) -> Result<(), CompileError> {
        let generated = self.generate(protos)?;
        if self.verify
            && std::env::var_os(UPDATE).is_none_or(|value| value.is_empty() || value == "0")
        {
            let outdated = generated.outdated();
            return if outdated.is_empty() {
                Ok(())
            } else {
                let outdated = outdated.into_iter().map(Path::to_owned);
                Err(CompileError::outdated(outdated.collect()))
            };
        }
        generated.write().map(|_written| ())
    }

    /// Compiles these files as [`compile`](Self::compile) does, and writes nothing yet: for programs that say what they have
    /// written, or write elsewhere.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), msip_codegen::CompileError> {
    /// let generated = msip_codegen::Builder::new().out_dir("src/gen").generate(&["proto/chat.proto"])?;
    /// println!("{} files were written", generated.write()?.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// All mistakes of all files together, or a problem with the settings.
    pub fn generate(&self, protos: &[impl AsRef<Path>]) -> Result<Generated, CompileError> {
        let inputs = Inputs::find(protos, &self.includes)?;
        self.check_settings()?;
        let languages = self.languages()?;
        let outcome = proto::compile(Request {
            inputs: &inputs.files,
            includes: &inputs.includes,
            expected: inputs.expected(self.messages_only),
            emitters: &emitters(&languages),
        });
        if self.reruns {
            rerun_if_changed(&inputs.folders);
            rerun_if_changed(&outcome.read);
        }
        self.emit(outcome.result.map_err(CompileError::schema)?, &languages)
    }

    /// Compiles these files of an encoded `google.protobuf.FileDescriptorSet`, which has all that they import, and writes nothing
    /// yet: for plugins of protobuf's compilers, which are given files that are parsed already.
    ///
    /// A file that has no envelope is compiled for its messages. Include folders mean nothing here. The set's files have no paths
    /// besides their names, as with [`named_by_import`](Self::named_by_import).
    ///
    /// # Errors
    ///
    /// The set is malformed or larger than 16 MiB, the schemas have mistakes, or there is a problem with the settings. Mistakes have
    /// positions where the set has source information.
    pub fn generate_from_set(
        &self,
        encoded: &[u8],
        protos: &[String],
    ) -> Result<Generated, CompileError> {
        self.check_settings()?;
        let languages = self.languages()?;
        let expected = match self.messages_only {
            true => Expected::Messages,
            false => Expected::Either,
        };
        let compiled = proto::compile_set(encoded, Some(protos), expected, &emitters(&languages));
        self.emit(compiled.map_err(CompileError::schema)?, &languages)
    }

    /// Reads and checks these files and everything that they import, and writes nothing: for programs that need a schema while
    /// they run, such as gateways.
    ///
    /// Of the settings only the include folders, [`messages_only`](Self::messages_only) and
    /// [emitters](Self::emitter), whose rules the schemas must follow, matter.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), msip_codegen::CompileError> {
    /// let read = msip_codegen::Builder::new().include("proto").read(&["proto/chat.proto"])?;
    /// for protocol in &read.protocols {
    ///     println!("{}: {:016x}", protocol.schema.package(), protocol.schema.fingerprint());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// All mistakes of all files together.
    pub fn read(&self, protos: &[impl AsRef<Path>]) -> Result<Compilation, CompileError> {
        let inputs = Inputs::find(protos, &self.includes)?;
        let emitters: Vec<&dyn Emitter> = self
            .emitters
            .iter()
            .map(|(_, emitter)| &**emitter)
            .collect();
        let outcome = proto::compile(Request {
            inputs: &inputs.files,
            includes: &inputs.includes,
            expected: inputs.expected(self.messages_only),
            emitters: &emitters,
        });
        outcome.result.map_err(CompileError::schema)
    }
}

/// Prints for cargo which files the build script has read.
fn rerun_if_changed(files: &[PathBuf]) {
    let mut out = std::io::stdout().lock();
    for file in files {
        // If the output is closed, nothing is lost.
        let _ = writeln!(out, "cargo:rerun-if-changed={}", file.display());
    }
}
