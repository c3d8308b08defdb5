//! Loading: the inputs, and everything that they import.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use msip_schema::{Code, Diagnostic, OPTIONS_FILE, Span};
use prost_reflect::DescriptorPool;

use super::descriptor_set::SetFile;
use super::files::{Files, Origin, ProtoFile};
use super::include::IncludeFolders;
use super::parse::{of_set, parse, read};
use super::report::Report;
use super::source_info::{SourceInfo, tag};
use super::well_known::{OPTIONS_TEXT, WELL_KNOWN, text};

/// Reads the inputs and all that they import.
pub(crate) fn load(inputs: &[PathBuf], includes: &[PathBuf], report: &mut Report) -> Files {
    let mut loader = Loader {
        folders: IncludeFolders(includes),
        set: HashMap::new(),
        report,
        out: Files::default(),
        states: HashMap::new(),
    };
    for input in inputs {
        loader.input(input);
    }
    loader.out
}

/// Reads one file whose text is given, and what it imports of the files that need not be there.
pub(crate) fn load_text(name: &str, text: &str, report: &mut Report) -> Files {
    let mut loader = Loader {
        folders: IncludeFolders(&[]),
        set: HashMap::new(),
        report,
        out: Files::default(),
        states: HashMap::new(),
    };
    let origin = Origin::Disk(PathBuf::from(name));
    if let Some(file) = parse(name, name, text, origin, true, loader.report) {
        loader.walk(file);
        if let Some(State::Done(index)) = loader.states.get(name) {
            loader.out.inputs.push(*index);
        }
    }
    loader.out
}

/// Reads these files of a descriptor set, and all that they import.
pub(crate) fn load_set<'a>(
    set: HashMap<String, SetFile>,
    inputs: impl Iterator<Item = &'a String>,
    report: &mut Report,
) -> Files {
    let mut loader = Loader {
        folders: IncludeFolders(&[]),
        set,
        report,
        out: Files::default(),
        states: HashMap::new(),
    };
    for name in inputs {
        loader.input_of_set(name);
    }
    loader.out
}

struct Loader<'a> {
    folders: IncludeFolders<'a>,
    /// The files of a descriptor set, in place of those in folders.
    set: HashMap<String, SetFile>,
    report: &'a mut Report,
    out: Files,
    states: HashMap<String, State>,
}

/// How many files of a circle are named.
const MAX_RING: usize = 20;

/// The progress of reading a file.
#[derive(Debug, Clone, Copy)]
enum State {
    /// Its imports are being read.
    Open,
    Done(usize),
    /// It was not found or is broken, which is reported.
    Failed,
}

/// A parsed file whose imports are not all read yet.
struct Pending {
    file: ProtoFile,
    next: usize,
    /// The imports so far.
    seen: HashSet<String>,
}

impl Pending {
    fn new(file: ProtoFile) -> Self {
        Self {
            file,
            next: 0,
            seen: HashSet::new(),
        }
    }
}

/// The result of the search for a file.
enum Found {
    File(Box<ProtoFile>),
    /// It was found but is broken, which is reported.
    Broken,
    Missing,
}

impl Loader<'_> {
    fn input(&mut self, path: &Path) {
        let name = match self.folders.name_of(path) {
            Ok(name) => name,
            Err(diagnostic) => {
                self.report.push(*diagnostic);
                return;
            }
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
                self.report.push(self.folders.not_found(path));
                self.states.insert(name, State::Failed);
            }
        }
    }

    fn input_of_set(&mut self, name: &str) {
        if !self.states.contains_key(name) {
            match self.find(name, true) {
                Found::File(file) => self.walk(*file),
                Found::Broken => {
                    self.states.insert(name.to_owned(), State::Failed);
                }
                Found::Missing => {
                    let text = format!("file `{name}` is not in the descriptor set");
                    self.report
                        .push(Diagnostic::new(Code::FILE_NOT_FOUND, Span::NONE, text));
                    self.states.insert(name.to_owned(), State::Failed);
                }
            }
        }
        if let Some(State::Done(index)) = self.states.get(name)
            && !self.out.inputs.contains(index)
        {
            self.out.inputs.push(*index);
        }
    }

    /// Reads everything that a file imports, depth first. It does not recurse, since a chain of imports may be long.
    fn walk(&mut self, file: ProtoFile) {
        self.states.insert(file.name.clone(), State::Open);
        let mut stack = vec![Pending::new(file)];
        while let Some(top) = stack.last_mut() {
            let index = top.next;
            top.next += 1;
            let Some(import) = top.file.descriptor.dependency.get(index).cloned() else {
                self.close(&mut stack);
                continue;
            };
            let repeated = !top.seen.insert(import.clone());
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
                        stack.push(Pending::new(*file));
                    }
                    Found::Broken => {
                        self.states.insert(import, State::Failed);
                    }
                    Found::Missing if self.report.is_full() => {
                        self.report.count_more(1);
                        self.states.insert(import, State::Failed);
                    }
                    Found::Missing => {
                        self.report
                            .push(self.folders.import_not_found(&import, span));
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
        let file = top.file.source_info.file();
        let Some(statement) = top.file.source_info.bytes(&[tag::FILE_DEPENDENCY, index]) else {
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
        if self.report.is_full() {
            self.report.count_more(1);
            return;
        }
        let from = stack
            .iter()
            .position(|pending| pending.file.name == import)
            .unwrap_or(0);
        let ring = stack.iter().skip(from);
        let mut ring: Vec<&str> = ring.map(|pending| pending.file.name.as_str()).collect();
        if ring.len() > MAX_RING {
            let tail = MAX_RING / 2;
            ring.splice(MAX_RING - tail..ring.len() - tail, ["…"]);
        }
        ring.push(import);
        let chain = ring.join(" -> ");
        let text = format!("the files import each other in a circle: {chain}");
        let help = "move what both need into a file of its own, and import that one from both";
        self.report.push(
            Diagnostic::new(Code::IMPORT_CYCLE, span, text)
                .label("closes the circle")
                .help(help),
        );
    }

    fn find(&mut self, name: &str, is_input: bool) -> Found {
        let parsed = if name == OPTIONS_FILE {
            parse(
                name,
                name,
                OPTIONS_TEXT,
                Origin::Options,
                is_input,
                self.report,
            )
        } else if let Some(file) = self.set.remove(name)
            && !WELL_KNOWN.contains(&name)
        {
            of_set(name, file.descriptor, &file.options, is_input, self.report)
        } else if let Some(path) = self.folders.locate(Path::new(name)) {
            self.out.read.push(path.clone());
            read(name, path, is_input, self.report)
        } else if let Some(file) = self.well_known(name) {
            Some(file)
        } else {
            return Found::Missing;
        };
        parsed.map_or(Found::Broken, |file| Found::File(Box::new(file)))
    }

    fn well_known(&mut self, name: &str) -> Option<ProtoFile> {
        if !WELL_KNOWN.contains(&name) {
            return None;
        }
        if let Some(text) = text(name) {
            return parse(name, name, text, Origin::WellKnown, false, self.report);
        }
        let file = DescriptorPool::global().get_file_by_name(name)?;
        let id = self.report.add_file(name, "");
        Some(ProtoFile {
            name: name.to_owned(),
            shown: name.to_owned(),
            origin: Origin::WellKnown,
            descriptor: file.file_descriptor_proto().clone(),
            source_info: SourceInfo::new(id, "", None),
            imports: Vec::new(),
        })
    }
}
