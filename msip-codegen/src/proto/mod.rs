//! The front end for `.proto` files: loads and parses them, and lowers them into the model.
//!
//! Each stage reports all of its mistakes and goes on with what is sound: files that do not parse are left out, a
//! misspelt envelope is read as if it were spelt right, a member that is not a message is skipped.

mod check;
mod declared_limits;
mod deprecated;
mod descriptor_set;
mod dialect;
mod envelope;
mod extensions;
mod files;
mod float_options;
mod forbidden;
mod foreign_labels;
mod guard;
mod include;
mod load;
mod misplaced;
mod node_path;
mod option_lists;
mod options;
mod outline_text;
mod packed;
mod parse;
mod parser_errors;
mod pool;
mod pool_errors;
mod pool_imports;
mod pool_positions;
mod protocol;
mod reachable;
mod report;
mod reserved;
mod scalars;
mod service;
mod size_limits;
mod source_info;
mod symbols;
mod synthetic_oneofs;
mod tokens;
mod types;
mod visibility;
mod well_known;

use std::path::PathBuf;

use msip_emit::{Compilation, Emitter};
use msip_schema::OPTIONS_FILE;
pub(crate) use report::Mistakes;
pub(crate) use well_known::OPTIONS_TEXT;

use report::Report;

/// What is to be compiled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) inputs: &'a [PathBuf],
    pub(crate) includes: &'a [PathBuf],
    pub(crate) expected: Expected,
    /// The languages whose rules the schemas must follow.
    pub(crate) emitters: &'a [&'a dyn Emitter],
}

/// What the inputs of a run have to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Each is a protocol.
    Protocols,
    /// Only messages are compiled: the inputs need not be protocols.
    Messages,
    /// Those that declare an envelope are protocols; of the others the messages are compiled.
    Either,
}

/// The result of a run, and the files on disk that it depends on, whatever the result is.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) read: Vec<PathBuf>,
    pub(crate) result: Result<Compilation, Mistakes>,
}

/// Reads and checks everything.
pub(crate) fn compile(request: Request<'_>) -> Outcome {
    let mut report = Report::new();
    let mut files = load::load(request.inputs, request.includes, &mut report);
    let read = std::mem::take(&mut files.read);
    let checked = check::check(&files, request.expected, request.emitters, &mut report);
    let result = finish(checked, report);
    Outcome { read, result }
}

/// Reads and checks files of a descriptor set: those that are named or, if none are, those that declare protocols.
pub(crate) fn compile_set(
    encoded: &[u8],
    named: Option<&[String]>,
    expected: Expected,
    emitters: &[&dyn Emitter],
) -> Result<Compilation, Mistakes> {
    let mut report = Report::new();
    let checked = descriptor_set::read(encoded, &mut report).and_then(|set| {
        let inputs = named.unwrap_or(&set.protocols).iter();
        // What a compiler is given for its module may have the file of the options.
        let inputs = inputs.filter(|name| *name != OPTIONS_FILE);
        let files = load::load_set(set.files, inputs, &mut report);
        check::check(&files, expected, emitters, &mut report)
    });
    finish(checked, report)
}

/// Reads and checks the protocol in the text of one file.
pub(crate) fn compile_text(name: &str, text: &str) -> Result<Compilation, Mistakes> {
    let mut report = Report::new();
    let files = load::load_text(name, text, &mut report);
    let checked = check::check(&files, Expected::Protocols, &[], &mut report);
    finish(checked, report)
}

fn finish(checked: Option<Compilation>, report: Report) -> Result<Compilation, Mistakes> {
    match checked {
        Some(compilation) if report.is_clean() => Ok(compilation),
        _ => Err(report.finish()),
    }
}
