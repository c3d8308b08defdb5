//! The program: arguments, logs, signals, and what it says.

mod arguments;
mod descriptors;
mod failure;
mod logs;
mod signals;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use msip_broker::{Broker, BrokerError, Config};

use arguments::Asked;
use failure::Failure;
use signals::Signals;

/// Runs the program, and returns how it has ended: 0 as it was asked to, 1 since something could not be done, 2 since something
/// that it was told is wrong.
pub(crate) fn run() -> ExitCode {
    let ended = Asked::read().and_then(|asked| {
        let config = asked.config()?;
        match asked.is_check {
            true => check(&config),
            false => serve(&config, &asked),
        }
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Where nobody reads it, the code is left.
            let _ = write!(io::stderr(), "{failure}");
            failure.code()
        }
    }
}

/// A runtime with a thread for each processor.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    built.map_err(|error| Failure::cannot("start", &error))
}

/// `--check-config`.
fn check(config: &Config) -> Result<(), Failure> {
    runtime()?.block_on(Broker::check(config))?;
    say("the configuration is valid");
    Ok(())
}

fn serve(config: &Config, asked: &Asked) -> Result<(), Failure> {
    let logs = logs::Logs::start(config.log)?;
    let descriptors = descriptors::raise();
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        // Before anything is said: whoever has read that it listens may send a signal.
        let signals = Signals::listen()?;
        if let Err(error) = descriptors {
            tracing::warn!(%error, "cannot raise the limit of open files");
        }
        let broker = Broker::builder().config(config.clone()).bind().await?;
        for url in broker.local_urls() {
            say(&format!("listening on {url}"));
        }
        if let Some(address) = broker.admin_address() {
            say(&format!("admin on http://{address}"));
        }
        let reloader = broker.reloader();
        let reload = || match asked.config() {
            Ok(config) => drop(reloader.reload(&config)),
            Err(failure) => tracing::error!(error = %failure.line(), "cannot reload: the configuration stays what it is"),
        };
        let report = signals.serve(broker, reload).await?;
        tracing::info!(
            connections = report.connections,
            cut_off = report.cut_off,
            aborted = report.aborted,
            "stopped"
        );
        Ok(())
    });
    drop(runtime);
    logs.finish();
    ended
}

/// Writes a line for whoever has started the program.
fn say(line: &str) {
    let mut output = io::stdout().lock();
    // Where nobody reads it, it serves all the same.
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

impl From<BrokerError> for Failure {
    fn from(error: BrokerError) -> Self {
        match error {
            BrokerError::Config(errors) => errors.into(),
            error => Self::failed(&error),
        }
    }
}
