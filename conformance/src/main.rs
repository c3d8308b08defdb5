//! Plays the same cases in every language, in both roles.
//!
//! `cargo run -p msip-conformance -- --help` says what can be chosen; README.md says how to add a language.

mod call;
mod case;
mod cases;
#[path = "../drivers/rust/mod.rs"]
mod driver;
mod end;
mod failure;
mod handler;
mod known;
mod languages;
mod message;
mod pair;
mod played;
mod process;
mod raw;
mod report;
mod run;
mod stream;

#[expect(unreachable_pub, reason = "generated code is for a crate's users")]
mod protocol {
    //! What the drivers say to each other, and what they are told.

    msip_runtime::include_protocols!();

    /// Another version, which clients may have.
    pub(crate) mod renamed {
        include!(concat!(env!("OUT_DIR"), "/renamed/conformance.rs"));
    }

    /// Another one.
    pub(crate) mod changed {
        include!(concat!(env!("OUT_DIR"), "/changed/conformance.rs"));
    }
}

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Parser;
use msip_tests::Authority;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::{
    case::{Case, Play},
    known::Known,
    languages::{BROWSER, CLIENTS, PAGE_ORIGIN, SERVERS},
    pair::{AUTHORITY, Ways},
    played::{Outcome, Played, RAW, Sides},
    run::Job,
};

/// Failures that are known.
const KNOWN_FAILURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/known_failures.txt");

/// Plays the same cases in every language, in both roles.
#[derive(Debug, Parser)]
struct Options {
    /// Only cases whose name contains this.
    #[arg(long)]
    only: Vec<String>,
    /// Only clients of this language, or `raw`.
    #[arg(long)]
    client: Vec<String>,
    /// Only servers of this language, or `raw`.
    #[arg(long)]
    server: Vec<String>,
    /// Lists the cases, and plays none.
    #[arg(long)]
    list: bool,
    /// Writes the results in the form of JUnit.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Writes the results into the tables of a page, such as docs/conformance.md.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// The list of failures that are known.
    #[arg(long, value_name = "FILE", default_value = KNOWN_FAILURES)]
    known: PathBuf,
    /// How many pairs play at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.to_string()),
    };
    if std::env::args().nth(1).as_deref() == Some("drive") {
        let driven = runtime.block_on(driver::run());
        // Standard input is read by a thread that does not end by itself.
        runtime.shutdown_background();
        return driven.map_or_else(|error| failed(&error.to_string()), |()| ExitCode::SUCCESS);
    }
    let options = Options::parse();
    runtime.block_on(play(&options))
}

#[expect(clippy::print_stderr, reason = "this is a program")]
fn failed(error: &str) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "this is a program")]
async fn play(options: &Options) -> ExitCode {
    let chosen = |name: &str| {
        options.only.is_empty() || options.only.iter().any(|only| name.contains(only.as_str()))
    };
    let cases: Vec<_> = cases::all()
        .into_iter()
        .filter(|case| chosen(&case.name))
        .collect();
    if options.list {
        for case in &cases {
            println!("{}", case.name);
        }
        return ExitCode::SUCCESS;
    }
    let listed = std::fs::read_to_string(&options.known);
    let listed = listed.map_err(|error| format!("{}: {error}", options.known.display()));
    let known = match listed.and_then(|listed| known::read(&listed)) {
        Ok(known) => known,
        Err(error) => return failed(&error),
    };
    let folder = std::env::temp_dir().join(format!("msip-conformance-{}", std::process::id()));
    let authority = Authority::new("conformance");
    let laid = std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(folder.join(AUTHORITY), authority.pem()));
    let (stop, stopping) = watch::channel(false);
    let mut signals = match laid.and_then(|()| signals()) {
        Ok(signals) => signals,
        Err(error) => return failed(&format!("{}: {error}", folder.display())),
    };
    let (jobs, lacks) = jobs(options, &cases, &known, &folder, authority);
    for lack in &lacks {
        println!("skipped: {lack}");
    }
    run::catch_panics();
    let playing = run::run(jobs, options.jobs, tell, &stopping);
    let signalled = async {
        signals.recv().await;
        // Whoever plays has the other end.
        let _ = stop.send(true);
        std::future::pending::<()>().await;
    };
    let mut played = tokio::select! {
        played = playing => played,
        () = signalled => Vec::new(),
    };
    if let Err(error) = std::fs::remove_dir_all(&folder) {
        println!("{} is left: {error}", folder.display());
    }
    if *stopping.borrow() {
        return failed("stopped by a signal");
    }
    let order = |name: &str| cases.iter().position(|case| case.name == name);
    let sides = |side: &str| {
        CLIENTS
            .iter()
            .position(|each| *each == side)
            .unwrap_or(usize::MAX)
    };
    played.sort_by_key(|played| {
        let of_pair = (sides(played.sides.client), sides(played.sides.server));
        (order(&played.case), of_pair)
    });
    let is_all = options.only.is_empty()
        && options.client.is_empty()
        && options.server.is_empty()
        && lacks.is_empty();
    let mut surprises = known::surprises(&played, &known, is_all);
    if std::env::var_os("CI").is_some() {
        surprises.extend(lacks);
    }
    if let Err(error) = write(options, &played, &known) {
        return failed(&error);
    }
    println!("{} played", played.len());
    for surprise in &surprises {
        println!("{surprise}");
    }
    match surprises.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// What says that the runner is to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

fn signals() -> std::io::Result<Signals> {
    Ok(Signals {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
    })
}

impl Signals {
    async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Writes what was asked for.
fn write(options: &Options, played: &[Played], known: &[Known]) -> Result<(), String> {
    let told = |file: &Path| {
        let file = file.display().to_string();
        move |error: std::io::Error| format!("{file}: {error}")
    };
    if let Some(file) = &options.junit {
        std::fs::write(file, report::junit(played, known)).map_err(told(file))?;
    }
    if let Some(file) = &options.table {
        let page = std::fs::read_to_string(file).map_err(told(file))?;
        let page = report::page(&page, played)?;
        std::fs::write(file, page).map_err(told(file))?;
    }
    Ok(())
}

/// Every pair that was chosen, and what there is no driver for.
fn jobs(
    options: &Options,
    cases: &[Case],
    known: &[Known],
    folder: &Path,
    authority: Authority,
) -> (Vec<Job>, BTreeSet<String>) {
    let known: Arc<[Known]> = known.into();
    let (folder, authority) = (Arc::new(folder.to_owned()), Arc::new(authority));
    let ways = |client| Ways {
        scheme: if client == BROWSER { "ws" } else { "tcp" },
        origin: (client == BROWSER).then(|| PAGE_ORIGIN.to_owned()),
        folder: Arc::clone(&folder),
        authority: Arc::clone(&authority),
    };
    let has = |chosen: &[String], side: &str| {
        chosen.is_empty() || chosen.iter().any(|chosen| chosen == side)
    };
    let (mut jobs, mut lacks) = (Vec::new(), BTreeSet::new());
    for client in CLIENTS.into_iter().chain([RAW]) {
        for server in SERVERS.into_iter().chain([RAW]) {
            let is_chosen = has(&options.client, client) && has(&options.server, server);
            if !is_chosen || !languages::is_pair(client, server) {
                continue;
            }
            let cases = cases.iter().filter(|case| match case.play {
                Play::Pair(_) => client != RAW && server != RAW,
                Play::Server(_) => client == RAW && server != RAW,
                Play::Client(_) => client != RAW && server == RAW,
            });
            let cases: Vec<_> = cases.cloned().collect();
            let mut launch = |side| match side {
                RAW => Ok(None),
                language => languages::launch(language, &folder)
                    .map(Some)
                    .map_err(|lack| {
                        lacks.insert(format!("{language}: {lack}"));
                    }),
            };
            if let (Ok(of_client), Ok(of_server)) = (launch(client), launch(server))
                && !cases.is_empty()
            {
                jobs.push(Job {
                    sides: Sides { client, server },
                    client: of_client,
                    server: of_server,
                    cases,
                    ways: ways(client),
                    known: Arc::clone(&known),
                });
            }
        }
    }
    (jobs, lacks)
}

/// Prints a line for a case.
#[expect(clippy::print_stdout, reason = "this is a program")]
fn tell(played: &Played) {
    let Sides { client, server } = &played.sides;
    let (case, took) = (&played.case, played.took.as_millis());
    match &played.outcome {
        Outcome::Passed => println!("ok      {client} -> {server} {case} ({took} ms)"),
        Outcome::NotOffered(profile) => {
            println!("without {client} -> {server} {case}: {profile}");
        }
        Outcome::Failed(reason) => {
            let reason = reason.replace('\n', "\n    ");
            let word = if played.is_known { "known " } else { "FAILED" };
            println!("{word}  {client} -> {server} {case} ({took} ms)\n    {reason}");
        }
    }
}
