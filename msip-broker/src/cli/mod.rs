//! The program: arguments, and what it says.

mod arguments;

use std::process::ExitCode;

use msip_broker::{Broker, BrokerError, Config, ConfigErrors};
use msip_daemon::{Failure, Signals, say};

use arguments::Arguments;

const NAME: &str = "msip-broker";

/// Runs the program, and returns how it has ended: 0 as it was asked to, 1 since something could not be done, 2 since something
/// that it was told is wrong.
pub(crate) fn run() -> ExitCode {
    let ended = Arguments::read().and_then(|arguments| {
        let config = arguments.config()?;
        match arguments.is_check {
            true => check(&config),
            false => msip_daemon::run(NAME, config.log.level, config.log.format, |signals| {
                serve(&config, &arguments, signals)
            }),
        }
    });
    msip_daemon::exit_code(NAME, ended)
}

/// `--check-config`.
fn check(config: &Config) -> Result<(), Failure> {
    msip_daemon::runtime()?
        .block_on(Broker::check(config))
        .map_err(failure)?;
    say("the configuration is valid");
    Ok(())
}

async fn serve(config: &Config, arguments: &Arguments, signals: Signals) -> Result<(), Failure> {
    let broker = Broker::builder().config(config.clone()).bind().await;
    let broker = broker.map_err(failure)?;
    for url in broker.local_urls() {
        say(&format!("listening on {url}"));
    }
    if let Some(address) = broker.admin_address() {
        say(&format!("admin on http://{address}"));
    }
    let reloader = broker.reloader();
    let reload = || match arguments.config() {
        Ok(config) => drop(reloader.reload(&config)),
        Err(failure) => {
            tracing::error!(error = %failure, "cannot reload: the configuration stays what it is");
            drop(reloader.reload_files());
        }
    };
    let report = signals.serve(|stop| broker.serve_until(stop), reload).await;
    if let Some(report) = report {
        tracing::info!(
            connections = report.connections,
            cut_off = report.cut_off,
            aborted = report.aborted,
            "stopped"
        );
    }
    Ok(())
}

fn failure(error: BrokerError) -> Failure {
    match error {
        BrokerError::Config(errors) => wrong_config(errors),
        error => Failure::failed(&error),
    }
}

fn wrong_config(errors: ConfigErrors) -> Failure {
    Failure::mistakes(errors.iter())
}
