//! Finds, reads and parses the files and everything that they import.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use msip_schema::{Code, Diagnostic, FileId, Span, closest_name};
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorProto;

use super::foreign;
use super::guard::{self, Language, MAX_FILE_LEN};
use super::places::{Places, package_name, tag};
use super::report::Report;

/// The longest package, in bytes: `<package>.descriptors.bin` must be the name of a file. The wire allows 255.
const MAX_PACKAGE_LEN: usize = 255 - ".descriptors.bin".len();

/// The options that ship with this crate, under the name that schemas import them by.
pub(crate) const OPTIONS_NAME: &str = "msip/options.proto";
const OPTIONS_TEXT: &str = include_str!("../../proto/msip/options.proto");

/// Files of Google's that are there without an include folder.
const WELL_KNOWN: [&str; 11] = [
    "google/protobuf/any.proto",
    "google/protobuf/api.proto",
    "google/protobuf/descriptor.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/empty.proto",
    "google/protobuf/field_mask.proto",
    "google/protobuf/source_context.proto",
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
    "google/protobuf/type.proto",
    "google/protobuf/wrappers.proto",
];

/// A file that was parsed.
#[derive(Debug)]
pub(crate) struct ProtoFile {
    /// As imports name it: `chat.proto`.
    pub(crate) name: String,
    /// As people find it, relative to the project: `proto/chat.proto`.
    pub(crate) shown: String,
    pub(crate) origin: Origin,
    pub(crate) descriptor: FileDescriptorProto,
    pub(crate) places: Places,
    /// The files that it imports, by index; those that could not be read are missing.
    pub(crate) imports: Vec<usize>,
}

/// Where a file is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Disk(PathBuf),
    /// `msip/options.proto`
    Options,
    WellKnown,
}

impl ProtoFile {
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self.origin, Origin::Disk(_))
    }

    pub(crate) fn package(&self) -> &str {
        self.descriptor.package()
    }

    pub(crate) fn is_proto3(&self) -> bool {
        self.descriptor.syntax() == "proto3"
    }
}

/// All files of a run: each behind those that it imports.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) files: Vec<ProtoFile>,
    /// The files that were asked for, by index, in the order asked; those that could not be read are missing.
    pub(crate) inputs: Vec<usize>,
    /// The path of every file on disk that was read, whether or not it was a schema.
    pub(crate) read: Vec<PathBuf>,
}

/// Reads the inputs and all that they import.
pub(crate) fn load(inputs: &[PathBuf], includes: &[PathBuf], report: &mut Report) -> Files {
    let mut loader = Loader {
        includes,
        google: DescriptorPool::global(),
        report,
        out: Files::default(),
        states: HashMap::new(),
    };
    for input in inputs {
        loader.input(input);
    }
    loader.out
}

struct Loader<'a> {
    includes: &'a [PathBuf],
    google: DescriptorPool,
    report: &'a mut Report,
    out: Files,
    states: HashMap<String, State>,
}

/// How far a file is, by its name.
#[derive(Debug, Clone, Copy)]
enum State {
    /// Its imports are being read.
    Open,
    Done(usize),
    /// It was not found or is broken, which has been told.
    Failed,
}

/// A parsed file whose imports are not all read yet.
struct Pending {
    file: ProtoFile,
    next: usize,
}

/// What became of the search for a file.
enum Found {
    File(Box<ProtoFile>),
    /// It was found but is broken, which has been told.
    Broken,
    Missing,
}

impl Loader<'_> {
    fn input(&mut self, path: &Path) {
        let Some(name) = self.name_of(path) else {
            return;
        };
        match self.states.get(&name) {
            Some(State::Done(index)) => {
                if !self.out.inputs.contains(index) {
                    self.out.inputs.push(*index);
                }
                return;
            }
            Some(State::Open | State::Failed) => return,
            None => {}
        }
        match self.find(&name, true) {
            Found::File(file) => {
                self.walk(*file);
                if let Some(State::Done(index)) = self.states.get(&name) {
                    self.out.inputs.push(*index);
                }
            }
            Found::Broken => {
                self.states.insert(name, State::Failed);
            }
            Found::Missing => {
                self.report.push(self.not_found(path));
                self.states.insert(name, State::Failed);
            }
        }
    }

    /// Reads everything that a file imports, depth first, without recursion: a chain may be long.
    fn walk(&mut self, file: ProtoFile) {
        self.states.insert(file.name.clone(), State::Open);
        let mut stack = vec![Pending { file, next: 0 }];
        while let Some(top) = stack.last_mut() {
            let index = top.next;
            top.next += 1;
            let Some(import) = top.file.descriptor.dependency.get(index).cloned() else {
                self.close(&mut stack);
                continue;
            };
            let repeated = top
                .file
                .descriptor
                .dependency
                .iter()
                .take(index)
                .any(|earlier| *earlier == import);
            let span = self.import_span(&stack, index);
            if repeated {
                let text = format!("`{import}` is imported twice");
                self.report.push(
                    Diagnostic::new(Code::DUPLICATE_NAME, span, text)
                        .help("remove one of the two imports"),
                );
                continue;
            }
            match self.states.get(&import).copied() {
                Some(State::Done(done)) => {
                    if let Some(top) = stack.last_mut() {
                        top.file.imports.push(done);
                    }
                }
                Some(State::Failed) => {}
                Some(State::Open) => self.cycle(&stack, &import, span),
                None => match self.find(&import, false) {
                    Found::File(file) => {
                        self.states.insert(import, State::Open);
                        stack.push(Pending {
                            file: *file,
                            next: 0,
                        });
                    }
                    Found::Broken => {
                        self.states.insert(import, State::Failed);
                    }
                    Found::Missing => {
                        self.report.push(self.import_not_found(&import, span));
                        self.states.insert(import, State::Failed);
                    }
                },
            }
        }
    }

    /// Ends the file on top: all that it imports has been read.
    fn close(&mut self, stack: &mut Vec<Pending>) {
        let Some(Pending { file, .. }) = stack.pop() else {
            return;
        };
        let index = self.out.files.len();
        self.states.insert(file.name.clone(), State::Done(index));
        self.out.files.push(file);
        if let Some(importer) = stack.last_mut() {
            importer.file.imports.push(index);
        }
    }

    fn import_span(&mut self, stack: &[Pending], index: usize) -> Span {
        let Some(top) = stack.last() else {
            return Span::NONE;
        };
        let Ok(index) = i32::try_from(index) else {
            return Span::NONE;
        };
        let file = top.file.places.file();
        let Some(statement) = top.file.places.bytes(&[tag::FILE_DEPENDENCY, index]) else {
            return Span::NONE;
        };
        // The quoted name alone.
        let text = self.report.text(file).get(statement.clone()).unwrap_or("");
        let quoted = text.find(['"', '\'']).zip(text.rfind(['"', '\'']));
        let bytes = match quoted {
            Some((first, last)) if first < last => {
                statement.start + first..statement.start + last + 1
            }
            _ => statement,
        };
        self.report.span(file, bytes)
    }

    fn cycle(&mut self, stack: &[Pending], import: &str, span: Span) {
        let from = stack
            .iter()
            .position(|pending| pending.file.name == import)
            .unwrap_or(0);
        let ring = stack
            .iter()
            .skip(from)
            .map(|pending| pending.file.name.as_str());
        let chain = ring.chain([import]).collect::<Vec<_>>().join(" -> ");
        let text = format!("the files import each other in a circle: {chain}");
        let help = "move what both need into a file of its own, and import that one from both";
        self.report.push(
            Diagnostic::new(Code::IMPORT_CYCLE, span, text)
                .label("closes the circle")
                .help(help),
        );
    }

    /// The name by which imports would find an input, relative to its include folder.
    fn name_of(&mut self, path: &Path) -> Option<String> {
        let plain = normal(path);
        if path.is_file() {
            let absolute = absolute(path);
            for include in self.includes {
                let Ok(relative) = absolute.strip_prefix(self::absolute(include)) else {
                    continue;
                };
                let name = slashed(relative);
                // Another folder that comes first may have a file of this name.
                let first = self
                    .includes
                    .iter()
                    .map(|folder| folder.join(relative))
                    .find(|file| file.is_file());
                return match first {
                    Some(first) if self::absolute(&first) != absolute => {
                        self.report.push(shadowed(path, &first));
                        None
                    }
                    _ => Some(name),
                };
            }
            if !self
                .includes
                .iter()
                .any(|include| include.join(&plain).is_file())
            {
                let text = format!("`{}` lies in no include folder", show(path));
                let help = format!(
                    "add its folder to the include folders, which are {}",
                    folders(self.includes)
                );
                self.report
                    .push(Diagnostic::new(Code::FILE_NOT_INCLUDED, Span::NONE, text).help(help));
                return None;
            }
        }
        Some(slashed(&plain))
    }

    fn find(&mut self, name: &str, is_input: bool) -> Found {
        if name == OPTIONS_NAME {
            return self.parse(name, name, OPTIONS_TEXT, Origin::Options, is_input);
        }
        for include in self.includes {
            let path = include.join(name);
            // Anything but a plain file, such as a folder or a device, is not a schema.
            if path.is_file() {
                return self.read(name, path, is_input);
            }
        }
        if !WELL_KNOWN.contains(&name) {
            return Found::Missing;
        }
        let Some(file) = self.google.get_file_by_name(name) else {
            return Found::Missing;
        };
        let id = self.report.add_file(name, "");
        Found::File(Box::new(ProtoFile {
            name: name.to_owned(),
            shown: name.to_owned(),
            origin: Origin::WellKnown,
            descriptor: file.file_descriptor_proto().clone(),
            places: Places::new(id, "", None),
            imports: Vec::new(),
        }))
    }

    fn read(&mut self, name: &str, path: PathBuf, is_input: bool) -> Found {
        let shown = show(&path);
        self.out.read.push(path.clone());
        let len = std::fs::metadata(&path).map(|metadata| metadata.len());
        if len.is_ok_and(|len| len > MAX_FILE_LEN as u64) {
            let text = format!("`{shown}` is larger than 4 MiB");
            let help = "split it into several files that import each other";
            self.report
                .push(Diagnostic::new(Code::FILE_TOO_LARGE, Span::NONE, text).help(help));
            return Found::Broken;
        }
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let text = format!("`{shown}` cannot be read: {error}");
                self.report
                    .push(Diagnostic::new(Code::FILE_UNREADABLE, Span::NONE, text));
                return Found::Broken;
            }
        };
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) => {
                let id = self
                    .report
                    .add_file(&shown, &String::from_utf8_lossy(&bytes));
                let at = error.valid_up_to();
                let span = self.report.span(id, at..at + 1);
                let text = format!("`{shown}` is not UTF-8 text");
                let help = "save the file as UTF-8";
                let diagnostic = Diagnostic::new(Code::FILE_NOT_UTF8, span, text);
                self.report.push(
                    diagnostic
                        .label("the first byte that is not UTF-8")
                        .help(help),
                );
                return Found::Broken;
            }
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        self.parse(name, &shown, text, Origin::Disk(path), is_input)
    }

    fn parse(
        &mut self,
        name: &str,
        shown: &str,
        text: &str,
        origin: Origin,
        is_input: bool,
    ) -> Found {
        let id = self.report.add_file(shown, text);
        if let Some(at) = guard::too_deep(text) {
            let span = self.report.span(id, at..at + 1);
            let message = format!(
                "brackets are nested more than {} deep",
                guard::MAX_BRACKET_DEPTH
            );
            self.report.push(
                Diagnostic::new(Code::NESTED_TOO_DEEP, span, message).label("this one is too deep"),
            );
            return Found::Broken;
        }
        if let Some(diagnostic) = self.other_language(id, text, is_input) {
            self.report.push(diagnostic);
            return Found::Broken;
        }
        match protox_parse::parse(name, text) {
            Ok(descriptor) => {
                let places = Places::new(id, text, descriptor.source_code_info.as_ref());
                let len = descriptor.package().len();
                if len > MAX_PACKAGE_LEN {
                    let span = package_name(&places, self.report).unwrap_or(Span::NONE);
                    let text =
                        format!("the package is {len} bytes long; {MAX_PACKAGE_LEN} are allowed");
                    let help = "choose a shorter name: generated files are named after it";
                    self.report
                        .push(Diagnostic::new(Code::PACKAGE_TOO_LONG, span, text).help(help));
                    return Found::Broken;
                }
                Found::File(Box::new(ProtoFile {
                    name: name.to_owned(),
                    shown: shown.to_owned(),
                    origin,
                    places,
                    descriptor,
                    imports: Vec::new(),
                }))
            }
            Err(error) => {
                foreign::parse_error(&error, id, self.report);
                Found::Broken
            }
        }
    }

    /// What is wrong with the language of a file. An import may be proto2: it may only declare options.
    fn other_language(&mut self, id: FileId, text: &str, is_input: bool) -> Option<Diagnostic> {
        let (bytes, message, help) = match guard::language(text) {
            Language::Edition(bytes) => (
                bytes,
                "the file is written in an edition of protobuf, and only proto3 is supported",
                "write `syntax = \"proto3\";` instead, and remove the `features` options",
            ),
            Language::Syntax(bytes) if is_input => (
                bytes,
                "the file is written in proto2, and only proto3 is supported",
                "write `syntax = \"proto3\";`, remove `required`, default values, groups and extensions, and begin \
                 each enum with a zero",
            ),
            Language::Unsaid(bytes) if is_input => (
                bytes,
                "the file does not say its syntax, which means proto2, and only proto3 is supported",
                "begin the file with `syntax = \"proto3\";`",
            ),
            _ => return None,
        };
        let span = self.report.span(id, bytes);
        Some(Diagnostic::new(Code::UNSUPPORTED_SYNTAX, span, message).help(help))
    }

    fn not_found(&self, path: &Path) -> Diagnostic {
        let text = format!("file `{}` is not found", show(path));
        Diagnostic::new(Code::FILE_NOT_FOUND, Span::NONE, text).help(self.searched(&normal(path)))
    }

    fn import_not_found(&self, import: &str, span: Span) -> Diagnostic {
        let text = format!("import `{import}` is not found");
        let mut help = self.searched(Path::new(import));
        let known = self.neighbours(import);
        let known = known
            .iter()
            .map(String::as_str)
            .chain(WELL_KNOWN)
            .chain([OPTIONS_NAME]);
        if let Some(close) = closest_name(import, known) {
            help = format!("did you mean `{close}`?\n{help}");
        }
        Diagnostic::new(Code::IMPORT_NOT_FOUND, span, text)
            .label("imported here")
            .help(help)
    }

    /// The schemas in the folders where an import was looked for, by the names that imports give them.
    fn neighbours(&self, import: &str) -> Vec<String> {
        let folder = Path::new(import).parent().unwrap_or(Path::new(""));
        let entries = self
            .includes
            .iter()
            .filter_map(|include| std::fs::read_dir(include.join(folder)).ok());
        let names = entries
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let schemas = names.filter(|name| name.ends_with(".proto"));
        let mut found: Vec<String> = schemas
            .map(|name| slashed(&folder.join(name)))
            .take(1_000)
            .collect();
        found.sort();
        found
    }

    fn searched(&self, name: &Path) -> String {
        if self.includes.is_empty() {
            return "no include folder is given".to_owned();
        }
        let places = self
            .includes
            .iter()
            .map(|include| format!("`{}`", show(&include.join(name))));
        format!("looked for {}", places.collect::<Vec<_>>().join(", "))
    }
}

fn shadowed(path: &Path, first: &Path) -> Diagnostic {
    let text = format!(
        "`{}` is hidden by `{}`, whose include folder comes first",
        show(path),
        show(first)
    );
    let help = "give one of the two files another name, or change the order of the include folders";
    Diagnostic::new(Code::FILE_SHADOWED, Span::NONE, text).help(help)
}

fn folders(includes: &[PathBuf]) -> String {
    if includes.is_empty() {
        return "none".to_owned();
    }
    includes
        .iter()
        .map(|include| format!("`{}`", show(include)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A path as messages and generated files show it: relative to the project, with `/`.
pub(crate) fn show(path: &Path) -> String {
    let project = std::env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .or_else(|| std::env::current_dir().ok());
    let relative = project.and_then(|project| path.strip_prefix(project).ok());
    slashed(&normal(relative.unwrap_or(path)))
}

/// A path without `.` and with `..` resolved where a name stands before it.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

fn absolute(path: &Path) -> PathBuf {
    // The file system's own answer sees through links; where it has none, the text of the path decides.
    std::fs::canonicalize(path)
        .unwrap_or_else(|_| normal(&std::path::absolute(path).unwrap_or(path.to_path_buf())))
}

fn slashed(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}
