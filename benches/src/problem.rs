//! The error of every command.

use std::{io, path::PathBuf, process::ExitStatus};

use thiserror::Error;

/// Why a command failed.
#[derive(Debug, Error)]
pub(crate) enum Problem {
    #[error("nobody is left to run, or nothing: see `--only`, `--chapter` and `--load`")]
    Nothing,
    #[error("case {name} failed")]
    Case {
        name: &'static str,
        #[source]
        source: msip_benches::CaseError,
    },
    #[error("valgrind counted nothing: {said}")]
    Valgrind { said: String },
    #[error("cannot read {}", path.display())]
    Counts {
        path: PathBuf,
        #[source]
        source: Box<toml::de::Error>,
    },
    #[error(
        "more instructions than benches/instructions.toml has: {cases}; if that is meant, write them with --update"
    )]
    Grown { cases: String },
    #[error("a package of the peers cannot be built or run: {status}")]
    Peers { status: ExitStatus },
    #[error("{contender} failed at `{load}`: {status}")]
    Failed {
        contender: String,
        load: String,
        status: ExitStatus,
    },
    #[error("of {trials} trials {failed} failed; the messages above say which, and why")]
    Lost { failed: usize, trials: usize },
    #[error("cannot run a process")]
    Process(#[source] io::Error),
    #[error("cannot print")]
    Print(#[source] io::Error),
    #[error("at `{place}`: {what}")]
    Page { place: String, what: &'static str },
    #[error("cannot read or write {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("not what the other process should say")]
    Json(#[source] serde_json::Error),
}
