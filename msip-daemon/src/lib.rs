//! What the long-running programs of MSIP share.
//!
//! - `run` runs a program: it starts its logs and its runtime, raises the limit of open files, and listens for signals.
//! - `Signals` says when to stop, and when to read files again.
//! - `Failure` is why a program has ended, `exit_code` says it.
//! - [`LogLevel`] and [`LogFormat`] are how it logs.
//!
//! # Features
//!
//! | feature | default | |
//! | --- | --- | --- |
//! | `run` | no | all but [`LogLevel`] and [`LogFormat`], which a configuration is read with |

#[cfg(feature = "run")]
mod failure;
mod log_names;
#[cfg(feature = "run")]
mod logs;
#[cfg(feature = "run")]
mod open_files;
#[cfg(feature = "run")]
mod program;
#[cfg(feature = "run")]
mod signals;

pub use log_names::{LogFormat, LogLevel};

#[cfg(feature = "run")]
pub use self::{
    failure::Failure,
    program::{exit_code, run, runtime, say},
    signals::Signals,
};
