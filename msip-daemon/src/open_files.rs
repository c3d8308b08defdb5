//! The limit of open files: each connection takes one.

use std::io;

/// Raises the limit as far as the process may.
#[cfg(unix)]
pub(crate) fn raise() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return Ok(());
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

#[cfg(not(unix))]
pub(crate) fn raise() -> io::Result<()> {
    Ok(())
}
