//! Reloading the certificates of a server that runs.

use std::{
    io,
    sync::{Arc, Weak},
};

use thiserror::Error;

use crate::{error::debug_with_causes, transport::Listener};

/// Reads the certificates of a server again while it serves; from [`Server::reloader`](crate::Server::reloader).
///
/// # Examples
///
/// At every `SIGHUP`:
///
/// ```
/// use msip_runtime::Reloader;
///
/// # #[cfg(unix)]
/// async fn reload_at_hangup(reloader: Reloader) -> std::io::Result<()> {
///     use tokio::signal::unix::{SignalKind, signal};
///
///     let mut hangup = signal(SignalKind::hangup())?;
///     while hangup.recv().await.is_some() {
///         if let Err(error) = reloader.reload_tls() {
///             // What was there before stays in use, and the log says so.
///             eprintln!("{error}");
///         }
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Reloader {
    listeners: Vec<Weak<Listener>>,
}

/// Why certificates could not be reloaded.
///
/// `Display` is one line, which leaves a cause to `source()`; `Debug` is that line with all causes.
#[derive(Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// What is to be used at this address cannot be; what was there before stays in use. Other addresses were reloaded,
    /// unless the log says that they could not be either.
    #[error("the certificates of {url} stay what they are")]
    Kept {
        /// Where the server listens.
        url: String,
        /// What is wrong with the new ones.
        #[source]
        source: io::Error,
    },
    /// The server has stopped.
    #[error("the server has stopped")]
    Stopped,
}

debug_with_causes!(ReloadError);

impl Reloader {
    pub(super) fn new(listeners: Vec<Weak<Listener>>) -> Self {
        Self { listeners }
    }

    /// Reads certificates, keys and `client_ca` again at every address of the server, for the connections that it accepts
    /// from now on; those that are open go on. TLS sessions of before are not resumed. Addresses without certificates, and
    /// those whose listener a [`Listen`](crate::transport::Listen) of yours is that has none, have nothing to reload.
    ///
    /// It reads files, which blocks for as long as that takes.
    ///
    /// # Errors
    ///
    /// The first that went wrong; each is logged.
    pub fn reload_tls(&self) -> Result<(), ReloadError> {
        let mut outcome = Ok(());
        for listener in &self.listeners {
            let Some(listener) = Weak::upgrade(listener) else {
                return Err(ReloadError::Stopped);
            };
            let reloaded = reload(&listener);
            outcome = outcome.and(reloaded);
        }
        outcome
    }
}

fn reload(listener: &Arc<Listener>) -> Result<(), ReloadError> {
    let url = listener.local_url().to_string();
    match listener.reload() {
        Ok(()) => {
            tracing::info!(url, "reloaded");
            Ok(())
        }
        Err(source) => {
            tracing::error!(url, error = %source, "cannot reload: the certificates stay what they are");
            Err(ReloadError::Kept { url, source })
        }
    }
}
