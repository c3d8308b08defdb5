//! The program: arguments, logs, signals, and what it says.

mod arguments;
mod failure;
mod logs;
mod signals;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    sync::Arc,
};

use clap::Parser as _;

use arguments::Arguments;
use failure::Failure;
use signals::Signals;

/// Runs the program, and returns how it has ended: 0 as it was asked to, 1 since something could not be done, 2 since something
/// that it was told is wrong.
pub(crate) fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    let ended = match arguments.check_config {
        true => check(&arguments),
        false => serve(&arguments),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where nobody reads it, the code is left.
            let _ = write!(io::stderr(), "{failure}");
            failure.code()
        }
    }
}

/// `--check-config`.
fn check(arguments: &Arguments) -> Result<(), Failure> {
    arguments.gateway()?.0.check()?;
    say("the configuration is valid");
    Ok(())
}

fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let (gateway, manners) = arguments.gateway()?;
    let logs = logs::Logs::start(arguments.log, arguments.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::cannot("start", &error))?;
    let ended = runtime.block_on(async {
        // Before anything is said: whoever has read that it listens may send a signal.
        let signals = Signals::listen()?;
        if let Err(error) = signals::raise_descriptors() {
            tracing::warn!(%error, "cannot raise the limit of open files");
        }
        let gateway = gateway.bind().await?;
        say(&format!("listening on {}", gateway.local_url()));
        let (reloader, door) = (gateway.reloader(), Arc::clone(gateway.door()));
        let reload = || {
            let reloaded = reloader.reload_tls();
            let reloaded = reloaded.map_err(|error| Failure::cannot("read certificates", &error));
            let replaced = manners.as_ref().map_or(Ok(()), |manners| {
                let methods = arguments.methods(&door.models())?;
                manners.replace_methods(methods);
                Ok(())
            });
            for failure in [reloaded, replaced].into_iter().filter_map(Result::err) {
                tracing::error!(error = %failure, "cannot reload: what there was stays in use");
            }
            tracing::info!("files were read again");
        };
        Ok(signals.serve(gateway, reload).await)
    });
    let ended = ended.map(|report| match report {
        Some(report) => tracing::info!(?report, "stopped"),
        None => tracing::warn!("stopped at once: connections were broken"),
    });
    drop(runtime);
    logs.finish();
    ended
}

/// A line on standard output, for whoever has started the program.
fn say(line: &str) {
    let mut output = io::stdout().lock();
    // Where nobody reads it, it is lost.
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}
