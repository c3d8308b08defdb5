//! The arguments.

use std::env;

use clap::{Arg, ArgAction, ArgMatches, Command};
use msip_broker::{
    Config,
    config::{OPTIONS, Overrides},
};
use msip_daemon::Failure;

use super::wrong_config;

const CHECK: &str = "check-config";

const ABOUT: &str = "A broker for MSIP and MIP: services and clients find each other by topic.";

const AFTER: &str = "\
Without --listen and --config it listens at tcp://127.0.0.1:9000, keeps everything in memory, and lets whoever connects do \
everything.

Signals: SIGTERM and SIGINT end it once its clients have been told, a second one at once; SIGHUP reads keys, certificates, roles \
and principals again.

Exit codes: 0 it was told to stop; 1 something could not be done, such as listening at a port that is taken; 2 an argument, a \
variable or the file is wrong.";

/// What it was asked for.
#[derive(Debug)]
pub(super) struct Arguments {
    said: Overrides,
    /// Only to look whether the configuration is right.
    pub(super) is_check: bool,
}

impl Arguments {
    /// Reads the arguments and the environment. Ends the program where they ask for help, or are wrong.
    pub(super) fn read() -> Result<Self, Failure> {
        let matches = match command().try_get_matches() {
            Ok(matches) => matches,
            Err(error) => error.exit(),
        };
        Self::of(&matches, env::vars_os())
    }

    fn of(
        matches: &ArgMatches,
        environment: impl IntoIterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
    ) -> Result<Self, Failure> {
        let mut said = Overrides::default();
        for setting in &OPTIONS {
            if let Some(values) = matches.get_many::<String>(setting.name) {
                said.argument(setting, values.cloned());
            }
        }
        said.environment(environment).map_err(wrong_config)?;
        Ok(Self {
            said,
            is_check: matches.get_flag(CHECK),
        })
    }

    /// Reads the configuration, which may have changed since it was read last.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        let config = self.said.load().map_err(wrong_config)?;
        config.check().map_err(wrong_config)?;
        Ok(config)
    }
}

fn command() -> Command {
    let options = OPTIONS.iter().map(|setting| {
        let action = match setting.is_list {
            true => ArgAction::Append,
            false => ArgAction::Set,
        };
        Arg::new(setting.name)
            .long(setting.name)
            .value_name(setting.value)
            .help(format!("{} [env: {}]", setting.help, setting.variable()))
            .action(action)
    });
    let check = Arg::new(CHECK)
        .long(CHECK)
        .help("Looks whether the configuration is right, with the files that it names, and ends")
        .action(ArgAction::SetTrue);
    Command::new("msip-broker")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(AFTER)
        .args(options)
        .arg(check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_has_every_option() {
        command().debug_assert();
        insta::assert_snapshot!(command().render_long_help());
    }

    #[test]
    fn arguments_and_environment_make_a_configuration() {
        let arguments = [
            "msip-broker",
            "--listen",
            "tcp://127.0.0.1:1",
            "--listen=unix:///x",
        ];
        let matches = command().try_get_matches_from(arguments).unwrap();
        let environment = [("MSIP_BROKER_ADMIN".into(), "127.0.0.1:9001".into())];
        let arguments = Arguments::of(&matches, environment).unwrap();
        let config = arguments.config().unwrap();
        assert_eq!(config.listeners.len(), 2);
        assert_eq!(config.admin.map(|admin| admin.address.port()), Some(9001));
        assert!(!arguments.is_check);
    }

    #[test]
    fn wrong_arguments_are_told() {
        let told = |arguments: &[&str]| {
            let all = std::iter::once(&"msip-broker").chain(arguments);
            command().try_get_matches_from(all).unwrap_err().to_string()
        };
        let all = [
            told(&["--listn", "x"]),
            told(&["--admin"]),
            told(&["serve"]),
            told(&["--admin", "a", "--admin", "b"]),
        ];
        insta::assert_snapshot!(all.join("\n"));
    }
}
