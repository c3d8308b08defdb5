//! The `main` of a contender's program.

use std::{
    error::Error,
    io::{self, Write as _},
    process::ExitCode,
};

use tokio::runtime::{Builder, Runtime};

use crate::{Contender, Failure, Hold, Job, hold::input_closed};

/// How a program ends that was asked for something its contender has not.
pub const NOT_OFFERED: u8 = 3;

/// The two faces of a contender's program.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Prints the contenders' names.
    #[command(hide = true)]
    Names,
    /// Serves a contender, prints the port, and ends when standard input does.
    #[command(hide = true)]
    Serve(ServeJob),
    /// Puts a load on a server and prints what came of it, as JSON.
    #[command(hide = true)]
    Drive {
        /// What to speak, and on how many threads.
        #[command(flatten)]
        with: ServeJob,
        /// Where the server listens.
        #[arg(long)]
        port: u16,
        /// The load, as JSON.
        #[arg(long)]
        job: String,
    },
}

/// What to speak, and on how many threads.
#[derive(Debug, Clone, clap::Args)]
pub struct ServeJob {
    /// The contender's name.
    #[arg(long)]
    pub contender: String,
    /// How many worker threads the runtime has; with 0 it is one that has none (`current_thread`).
    #[arg(long)]
    pub workers: usize,
}

/// The exit status of a contender's program, for its parent process.
#[must_use]
pub fn exit_contender(result: Result<(), Failure>) -> ExitCode {
    if matches!(result, Err(Failure::NotOffered)) {
        return ExitCode::from(NOT_OFFERED);
    }
    exit(result)
}

/// Prints why something failed, causes included, and makes an exit code of it.
pub fn exit<E: Error>(result: Result<(), E>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    let mut text = format!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    // Where standard error is closed the text is dropped.
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::FAILURE
}

/// Runs one of `C`'s contenders as the command says.
///
/// # Errors
///
/// The load came to nothing, or a message was lost or wrong.
pub fn run_program<C: Contender>(command: Command) -> Result<(), Failure> {
    match command {
        Command::Names => {
            for contender in C::ALL {
                writeln!(io::stdout(), "{}", contender.name())?;
            }
            Ok(())
        }
        Command::Serve(with) => {
            let (contender, runtime) = start::<C>(&with)?;
            runtime.block_on(async {
                let ended = input_closed();
                tokio::select! {
                    served = contender.serve(announce) => served,
                    _ = ended => Ok(()),
                }
            })?;
            // What still runs serves connections that have no client any more.
            runtime.shutdown_background();
            Ok(())
        }
        Command::Drive { with, port, job } => {
            let (contender, runtime) = start::<C>(&with)?;
            let job: Job = serde_json::from_str(&job).map_err(Failure::library)?;
            // On a worker, as most of a program's work is: `block_on` has a thread of its own.
            let work = async move { contender.drive(port, job, &mut Hold::new()).await };
            let outcome = runtime.block_on(runtime.spawn(work))??;
            let line = serde_json::to_string(&outcome).map_err(Failure::library)?;
            writeln!(io::stdout(), "{line}")?;
            runtime.shutdown_background();
            Ok(())
        }
    }
}

fn start<C: Contender>(with: &ServeJob) -> Result<(C, Runtime), Failure> {
    let found = C::ALL.iter().find(|c| c.name() == with.contender);
    let contender = *found.ok_or_else(|| {
        let names: Vec<_> = C::ALL.iter().map(|c| c.name()).collect();
        Failure::Protocol(format!(
            "there is no contender `{}` here; there are {}",
            with.contender,
            names.join(", ")
        ))
    })?;
    let runtime = match with.workers {
        0 => Builder::new_current_thread().enable_all().build()?,
        workers => Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_all()
            .build()?,
    };
    Ok((contender, runtime))
}

/// Tells the parent process where this one listens.
fn announce(port: u16) {
    // If the parent process reads this no more, standard input ends too.
    let _ = writeln!(io::stdout(), "{port}");
}
