//! The error for an invalid setting.

use thiserror::Error;

/// An invalid setting. `Debug` is its text, as it is what Rust prints where `main` returns an error.
#[derive(Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SettingError {
    /// There is no such setting.
    #[error("unknown setting `{name}`: expected one of {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names that are accepted here.
        known: String,
    },
    /// The setting would hold a secret. URLs are written to logs, to errors and to lists of processes, so none belongs there.
    #[error(
        "setting `{name}`: a URL must not hold a secret: write token_file=PATH or token_env=NAME, or use \
         `ClientBuilder::credential`"
    )]
    Secret {
        /// The name.
        name: String,
    },
    /// Two settings exclude each other.
    #[error("settings `{name}` and `{other}`: give one of them")]
    Conflict {
        /// The name of the one.
        name: &'static str,
        /// The name of the other.
        other: &'static str,
    },
    /// The value has the wrong form.
    #[error("setting `{name}`: expected {form}, found `{value}`")]
    Malformed {
        /// The name.
        name: &'static str,
        /// The value.
        value: String,
        /// The expected form.
        form: &'static str,
    },
    /// The value needs a feature of this crate that is off.
    #[error(
        "setting `{name}`: `{value}` needs the feature `{value}` of msip-runtime, which is off: add it in \
         Cargo.toml (built in: {built})"
    )]
    NotBuilt {
        /// The name.
        name: &'static str,
        /// The value, which is also the name of the feature.
        value: &'static str,
        /// The values that are built in.
        built: String,
    },
    /// The value is out of range.
    #[error("setting `{name}`: {value} is out of range ({min} to {max})")]
    OutOfRange {
        /// The name.
        name: &'static str,
        /// The value.
        value: String,
        /// The smallest value accepted.
        min: String,
        /// The largest value accepted.
        max: String,
    },
}

impl SettingError {
    /// The same, where these settings are known too.
    pub(super) fn or_one_of(mut self, names: &[&str]) -> Self {
        if let Self::Unknown { known, .. } = &mut self {
            for name in names {
                known.push_str(", `");
                known.push_str(name);
                known.push('`');
            }
        }
        self
    }
}
