//! The program: arguments, and what it says.

mod arguments;

use std::{process::ExitCode, sync::Arc};

use clap::Parser as _;
use msip_daemon::{Failure, Signals, say};
use msip_gateway::{BindError, GatewayBuilder, SchemaError, jesus::JesusOptions};

use arguments::Arguments;

const NAME: &str = "msip-gateway";

/// Runs the program, and returns how it has ended: 0 as it was asked to, 1 since something could not be done, 2 since something
/// that it was told is wrong.
pub(crate) fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    let ended = arguments.gateway().and_then(|(gateway, jesus)| {
        if arguments.check_config {
            gateway.check().map_err(failed_to_bind)?;
            say("the configuration is valid");
            return Ok(());
        }
        msip_daemon::run(NAME, arguments.log, arguments.log_format, |signals| {
            serve(gateway, jesus, &arguments, signals)
        })
    });
    msip_daemon::exit_code(NAME, ended)
}

async fn serve(
    gateway: GatewayBuilder,
    jesus: Option<JesusOptions>,
    arguments: &Arguments,
    signals: Signals,
) -> Result<(), Failure> {
    let gateway = gateway.bind().await.map_err(failed_to_bind)?;
    say(&format!("listening on {}", gateway.local_url()));
    let (reloader, shared) = (gateway.reloader(), Arc::clone(gateway.shared()));
    let reload = || {
        let reloaded = reloader.reload_tls();
        let reloaded = reloaded.map_err(|error| Failure::cannot("read certificates", &error));
        let replaced = jesus.as_ref().map_or(Ok(()), |jesus| {
            let methods = arguments.methods(&shared.models())?;
            jesus.replace_methods(methods);
            Ok(())
        });
        for failure in [reloaded, replaced].into_iter().filter_map(Result::err) {
            tracing::error!(error = %failure, "cannot reload: what there was stays in use");
        }
        tracing::info!("files were read again");
    };
    let report = signals
        .serve(|stop| gateway.serve_until(stop), reload)
        .await;
    if let Some(report) = report {
        tracing::info!(
            finished = report.finished,
            aborted = report.aborted,
            "stopped"
        );
    }
    Ok(())
}

fn failed_to_bind(error: BindError) -> Failure {
    match error {
        BindError::Listen { .. } => Failure::failed(&error),
        _ => Failure::wrong(&error),
    }
}

fn wrong_schema(error: SchemaError) -> Failure {
    match &error {
        // Each mistake has lines of its own.
        SchemaError::Schema(mistakes) => Failure::mistakes([mistakes]),
        error => Failure::wrong(error),
    }
}
