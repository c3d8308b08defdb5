//! The three sources of a configuration, in the order in which they win: arguments, the environment, the file.

use std::{ffi::OsString, path::Path};

use msip_schema::closest_name;

use super::{
    Config, MAX_BODY,
    error::{ConfigError, ConfigErrors, Kind, Name, Place, shown},
    value,
};

/// What every variable of the environment begins with.
const PREFIX: &str = "MSIP_BROKER_";

/// What Kubernetes sets for a service that is called `msip-broker`, which nobody means for us.
const KUBERNETES: [&str; 2] = ["SERVICE_", "PORT"];

/// A setting that can be an argument and a variable of the environment.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Setting {
    /// The name of the argument, without dashes.
    pub name: &'static str,
    /// What its value is called.
    pub value: &'static str,
    /// What it is, in a sentence.
    pub help: &'static str,
    /// Whether it may be given several times.
    pub is_list: bool,
}

impl Setting {
    /// The variable of the environment.
    #[must_use]
    pub fn variable(&self) -> String {
        format!(
            "{PREFIX}{}",
            self.name.to_ascii_uppercase().replace('-', "_")
        )
    }
}

const LISTEN: &str = "listen";
const CONFIG: &str = "config";
const BODY: &str = "max-body";
const ADMIN: &str = "admin";
const LOG: &str = "log";

/// Every setting that can be an argument and a variable of the environment.
pub const OPTIONS: [Setting; 5] = [
    Setting {
        name: LISTEN,
        value: "URL",
        help: "Listens here, such as tcp://127.0.0.1:9000; several times for several addresses. Port 0 lets the system choose",
        is_list: true,
    },
    Setting {
        name: CONFIG,
        value: "FILE",
        help: "Reads this file: listeners, limits, keys, roles and principals",
        is_list: false,
    },
    Setting {
        name: BODY,
        value: "SIZE",
        help: "The largest body of a message, such as 4MiB",
        is_list: false,
    },
    Setting {
        name: ADMIN,
        value: "ADDRESS",
        help: "Answers HTTP requests about the broker here, such as 127.0.0.1:9001",
        is_list: false,
    },
    Setting {
        name: LOG,
        value: "FORMAT,LEVEL",
        help: "How to log: text or json, and from which level on: off, error, warn, info, debug or trace",
        is_list: false,
    },
];

/// What arguments and variables say, which wins over the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    said: Vec<(&'static str, Place, String)>,
}

impl Overrides {
    /// Adds the values of an argument of [`OPTIONS`].
    pub fn argument(&mut self, setting: &Setting, values: impl IntoIterator<Item = String>) {
        let of_argument = |value| (setting.name, Place::Argument(setting.name), value);
        self.said.extend(values.into_iter().map(of_argument));
    }

    /// Adds the variables of an environment whose argument was not given. Empty ones count as not set.
    ///
    /// # Errors
    ///
    /// A name begins with `MSIP_BROKER_` and is none, or a value is not Unicode.
    pub fn environment(
        &mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(), ConfigErrors> {
        let mut errors: Vec<ConfigError> = Vec::new();
        let mut variables: Vec<_> = variables
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty())
            .collect();
        variables.sort();
        for (name, value) in variables {
            let setting = OPTIONS.iter().find(|setting| setting.variable() == name);
            let Some(setting) = setting else {
                let rest = &name[PREFIX.len()..];
                if !KUBERNETES.iter().any(|prefix| rest.starts_with(prefix)) {
                    let known = OPTIONS.map(|setting| setting.variable());
                    // What all of them begin with would make any two resemble each other.
                    let ends = known.iter().map(|name| &name[PREFIX.len()..]);
                    let meant = match closest_name(rest, ends) {
                        Some(close) => format!("did you mean `{PREFIX}{close}`?"),
                        None => format!("known are {}", known.join(", ")),
                    };
                    let place = Place::Variable(shown(&name));
                    let message = format!("no variable of a broker: {meant}");
                    errors.push(Kind::Other { place, message }.into());
                }
                continue;
            };
            if self.said.iter().any(|(said, place, _)| {
                *said == setting.name && matches!(place, Place::Argument(_))
            }) {
                continue;
            }
            let place = Place::Variable(name);
            match value.into_string() {
                Ok(value) if setting.is_list => {
                    for value in value.split_whitespace() {
                        self.said
                            .push((setting.name, place.clone(), value.to_owned()));
                    }
                }
                Ok(value) => self.said.push((setting.name, place, value)),
                Err(_) => {
                    let message = "it is not Unicode".to_owned();
                    errors.push(Kind::Other { place, message }.into());
                }
            }
        }
        ConfigErrors::or(errors, ())
    }

    /// The file that is to be read.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        let said = self.said.iter().rfind(|(name, ..)| *name == CONFIG);
        said.map(|(_, _, path)| Path::new(path))
    }

    /// Reads the file, if one is named, and applies what was said besides.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the file, or else with what was said besides.
    pub fn load(&self) -> Result<Config, ConfigErrors> {
        let mut config = Config::default();
        if let Some(path) = self.file().filter(|path| !path.as_os_str().is_empty()) {
            config.read_file(path)?;
        }
        let mut errors: Vec<ConfigError> = Vec::new();
        let mut listeners = Vec::new();
        for (name, place, text) in &self.said {
            let applied = match *name {
                LISTEN => value::listener(text).map(|listener| listeners.push(listener)),
                BODY => value::size(text, MAX_BODY).map(|max| config.max_body = max),
                ADMIN => value::admin(text).map(|at| config.admin = Some(at)),
                LOG => value::log(text).map(|log| config.log = log),
                _ if text.is_empty() => Err("the path of a file".to_owned()),
                _ => Ok(()),
            };
            if let Err(expected) = applied {
                let (place, of) = (place.clone(), Name(None));
                let found = format!("`{}`", shown(text));
                let wrong = Kind::Value {
                    place,
                    of,
                    expected,
                    found,
                };
                errors.push(wrong.into());
            }
        }
        if !listeners.is_empty() {
            config.listeners = listeners;
        }
        ConfigErrors::or(errors, config)
    }
}
