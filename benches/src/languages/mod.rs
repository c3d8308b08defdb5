//! `languages`: the packages for Python and Node, compared with what users of these languages have otherwise.
//!
//! The contenders are programs in `benches/languages`. What they need is installed below the target directory, in versions that
//! stay. In each repetition another contender begins, and the median of the repetitions counts.

mod calls;
mod contender;
mod install;
mod messages;
mod node;
mod python;
mod table;

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    io::{self, Write as _},
    path::PathBuf,
    time::Duration,
};

use thiserror::Error;

use self::{
    contender::{Contender, Encoder},
    install::{Folders, InstallError},
};
use crate::{problem::Problem, report, run::Report};

/// Which languages, and for how long.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LanguagesJob {
    /// One language alone.
    #[arg(long)]
    only: Option<Language>,
    /// One of each, and for a tenth of a second: to see that all work.
    #[arg(long)]
    quick: bool,
    /// How often each is measured; the median counts. Default 3, with `--quick` 1.
    #[arg(long)]
    repeat: Option<usize>,
    /// How long each is measured, in milliseconds. Default 1000, with `--quick` 100.
    #[arg(long)]
    millis: Option<u64>,
    /// A Markdown page whose tables of these languages are written anew.
    #[arg(long)]
    page: Option<PathBuf>,
}

/// A language, and the tables of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Language {
    Python,
    Node,
}

impl Language {
    const ALL: [Self; 2] = [Self::Python, Self::Node];

    const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
        }
    }

    /// Installs what its contenders need, and generates and builds their code.
    fn contenders(self, folders: &Folders) -> Result<Contenders, InstallError> {
        match self {
            Self::Python => python::contenders(folders),
            Self::Node => node::contenders(folders),
        }
    }
}

/// The contenders of a language.
struct Contenders {
    /// Those that talk over a network.
    peers: Vec<Contender>,
    /// Whose figures are compared with whose, by name: ours and theirs.
    ratios: Vec<(&'static str, &'static str)>,
    /// Those that encode and decode messages.
    encoders: Vec<Encoder>,
    /// How many calls come before those that are measured.
    warm_up: u32,
}

/// How often and for how long each is measured.
#[derive(Debug, Clone, Copy)]
struct Plan {
    repeat: usize,
    time: Duration,
    is_quick: bool,
}

/// Why a trial failed.
#[derive(Debug, Error)]
pub(crate) enum TrialError {
    #[error("cannot start {}", program.display())]
    Start {
        program: OsString,
        #[source]
        source: io::Error,
    },
    #[error("input or output failed")]
    Io(#[from] io::Error),
    #[error("the server ended before it listened")]
    NoServer,
    #[error("the client took longer than {} s", .0.as_secs())]
    TooLong(Duration),
    #[error("it ended with {0}")]
    Failed(std::process::ExitStatus),
    #[error("it printed `{said}`")]
    Output {
        said: String,
        #[source]
        source: serde_json::Error,
    },
}

/// Whether `name` is a table that this command writes.
pub(crate) fn is_table(name: &str) -> bool {
    name == MACHINE
        || Language::ALL
            .iter()
            .any(|language| tables_of(*language).iter().any(|table| table == name))
}

const MACHINE: &str = "languages";

fn tables_of(language: Language) -> [String; 2] {
    ["calls", "messages"].map(|what| format!("{}-{what}", language.name()))
}

/// Measures, prints, and writes the page.
pub(crate) fn languages(job: &LanguagesJob) -> Result<(), Problem> {
    let (repeat, millis) = if job.quick { (1, 100) } else { (3, 1000) };
    let plan = Plan {
        repeat: job.repeat.unwrap_or(repeat).max(1),
        time: Duration::from_millis(job.millis.unwrap_or(millis)),
        is_quick: job.quick,
    };
    let how = format!("{} of each, {} ms each", plan.repeat, plan.time.as_millis());
    let mut tables = BTreeMap::from([(
        MACHINE.to_owned(),
        report::machine(&Report::new(Some(how))?),
    )]);
    let folders = Folders::new()?;
    let mut skipped = Vec::new();
    for language in Language::ALL {
        if job.only.is_some_and(|only| only != language) {
            continue;
        }
        let contenders = match language.contenders(&folders) {
            Ok(contenders) => contenders,
            Err(InstallError::Missing(what)) => {
                skipped.push(format!("{}: {what}", language.name()));
                continue;
            }
            Err(InstallError::Failed(problem)) => return Err(problem),
        };
        let texts = [
            calls::measure(&contenders, plan)?,
            messages::measure(&contenders.encoders, plan)?,
        ];
        for (name, text) in tables_of(language).into_iter().zip(texts) {
            writeln!(io::stdout(), "{name}\n\n{text}").map_err(Problem::Print)?;
            tables.insert(name, text);
        }
    }
    for text in &skipped {
        writeln!(io::stderr(), "skipped {text}").map_err(Problem::Print)?;
    }
    // There everything can be had, and nothing is left out unseen.
    if !skipped.is_empty() && env::var_os("CI").is_some() {
        return Err(Problem::Skipped(skipped.join("; ")));
    }
    match &job.page {
        Some(page) => report::update(page, |name, old| {
            let new = tables.get(name).map(String::as_str);
            Some(new.unwrap_or(old).to_owned())
        }),
        None => Ok(()),
    }
}
