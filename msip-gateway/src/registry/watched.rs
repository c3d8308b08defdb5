//! A folder that is read again where it has changed.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, task::spawn_blocking, time::sleep};

use super::{
    Loaded, RegistryError,
    folder::{self, Stamp},
};

/// The descriptor sets of a folder, which is read again where it has changed. What was read last is kept where the folder
/// becomes unreadable, or a file in it wrong.
#[derive(Debug)]
pub struct Registry {
    folder: PathBuf,
    /// What was read last, whether it was right or wrong.
    seen: Mutex<Vec<Stamp>>,
    loaded: watch::Sender<Arc<Loaded>>,
}

impl Registry {
    /// Reads a folder.
    ///
    /// # Errors
    ///
    /// It cannot be read, or a descriptor set in it is wrong.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, RegistryError> {
        let folder = folder.as_ref().to_owned();
        let files = folder::files(&folder)?;
        let loaded = Loaded::read(&files)?;
        Ok(Self {
            folder,
            seen: Mutex::new(files),
            loaded: watch::Sender::new(loaded.into()),
        })
    }

    /// What was read last and was right.
    #[must_use]
    pub fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded.borrow())
    }

    /// Hears of each time that the folder was read anew.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Loaded>> {
        self.loaded.subscribe()
    }

    /// Reads the folder if it has changed since it was read last. Whether it has.
    ///
    /// # Errors
    ///
    /// It cannot be read, or a descriptor set in it is wrong: what was read before stays. The same wrong files are not
    /// reported again.
    pub fn reload(&self) -> Result<bool, RegistryError> {
        let files = folder::files(&self.folder)?;
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == files {
                return Ok(false);
            }
            seen.clone_from(&files);
        }
        let loaded = Loaded::read(&files)?;
        self.loaded.send_replace(loaded.into());
        Ok(true)
    }

    /// Looks at the folder again and again, with such a pause, and logs what comes of it. It never returns.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends it; what was read stays.
    pub async fn watch(self: Arc<Self>, pause: Duration) {
        let mut is_unreadable = false;
        loop {
            sleep(pause).await;
            let registry = Arc::clone(&self);
            // It is not cancelled, and its panic would be that of the reader, which has none.
            let Ok(result) = spawn_blocking(move || registry.reload()).await else {
                continue;
            };
            // A folder that stays unreadable is reported once.
            let was_unreadable = std::mem::replace(
                &mut is_unreadable,
                matches!(result, Err(RegistryError::Io { .. })),
            );
            self.log(&result, was_unreadable);
        }
    }

    fn log(&self, result: &Result<bool, RegistryError>, was_reported: bool) {
        match result {
            Ok(true) => {
                let loaded = self.current();
                tracing::info!(folder = ?self.folder, protocols = loaded.models().len(), "the descriptor sets were read again");
                for conflict in loaded.conflicts() {
                    tracing::warn!(%conflict, "two descriptor sets do not fit each other");
                }
            }
            Ok(false) => {}
            Err(_) if was_reported => {}
            Err(error) => {
                tracing::warn!(folder = ?self.folder, %error, "the descriptor sets stay as they were");
            }
        }
    }
}
