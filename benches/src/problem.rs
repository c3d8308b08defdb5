//! The error of every command.

use std::{io, path::PathBuf, process::ExitStatus};

use thiserror::Error;

/// Why a command failed.
#[derive(Debug, Error)]
pub(crate) enum Problem {
    #[error("no contender or load is selected: see `--only`, `--chapter` and `--load`")]
    Nothing,
    #[error("case {name} failed")]
    Case {
        name: &'static str,
        #[source]
        source: Box<msip_benches::CaseError>,
    },
    #[error("no instruction count in the output of valgrind: {said}")]
    Valgrind { said: String },
    #[error("cannot read {}", path.display())]
    Counts {
        path: PathBuf,
        #[source]
        source: Box<toml::de::Error>,
    },
    #[error(
        "more instructions than in benches/instructions.toml: {cases}; if intended, update the file with --update"
    )]
    Grown { cases: String },
    #[error("cannot build or run a package of the other libraries: {status}")]
    Peers { status: ExitStatus },
    #[error("{contender} failed at `{load}`: {status}")]
    Failed {
        contender: String,
        load: String,
        status: ExitStatus,
    },
    #[error("{failed} of {trials} trials failed; see the messages above")]
    Lost { failed: usize, trials: usize },
    #[error(
        "the relay takes {ratio:.2} times what the sender and the receiver take together: 1.2 are allowed"
    )]
    Relay { ratio: f64 },
    #[error(
        "`--server {0}`: expected NAME=PROGRAM, where NAME begins with `msip`, `nats`, `redis` or `mosquitto`"
    )]
    Server(String),
    #[error("{name} {said}")]
    Tool {
        name: String,
        said: String,
        #[source]
        source: Option<io::Error>,
    },
    #[error("{contender} failed at `{load}`")]
    Trial {
        contender: String,
        load: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("not measured, and CI is set: {0}")]
    Skipped(String),
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
    #[error("invalid output of the other process")]
    Json(#[source] serde_json::Error),
}
