//! A program from its start to its end.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use tokio::runtime::{Builder, Runtime};

use crate::{Failure, LogFormat, LogLevel, Signals, logs::Logs, open_files};

/// Runs a program until `serve` has ended, on a runtime with a thread for each processor. It logs to standard error, and is given
/// the signals, which come to it from then on. Its tasks are ended before the last lines of the log are written.
///
/// # Errors
///
/// That of `serve`, or that the program could not start.
pub fn run<S>(
    program: &'static str,
    level: LogLevel,
    format: LogFormat,
    serve: impl FnOnce(Signals) -> S,
) -> Result<(), Failure>
where
    S: Future<Output = Result<(), Failure>>,
{
    let logs = Logs::start(program, level, format)?;
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        let signals = Signals::listen()?;
        if let Err(error) = open_files::raise() {
            tracing::warn!(%error, "cannot raise the limit of open files");
        }
        serve(signals).await
    });
    drop(runtime);
    logs.finish();
    ended
}

/// A runtime with a thread for each processor.
///
/// # Errors
///
/// The system has no thread or no descriptor for it.
pub fn runtime() -> Result<Runtime, Failure> {
    let built = Builder::new_multi_thread().enable_all().build();
    built.map_err(|error| Failure::cannot("start", &error))
}

/// Writes a line for whoever has started the program.
pub fn say(line: &str) {
    let mut output = io::stdout().lock();
    // Where nobody reads it, it is lost, and the program goes on.
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

/// Says on standard error why a program has failed, and returns the code that it ends with: 0 as it was asked to, 1 since something
/// could not be done, 2 since something that it was told is wrong.
pub fn exit_code(program: &str, ended: Result<(), Failure>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where nobody reads it, the code is left.
            let _ = io::stderr().write_all(failure.report(program).as_bytes());
            failure.code()
        }
    }
}
