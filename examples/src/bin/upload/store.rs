//! The server of the upload: stores complete files, and removes partial ones.

use std::{
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use msip_runtime::{Peer, Status, Streaming};
use sha2::{Digest as _, Sha256};
use tokio::{fs::File, io::AsyncWriteExt as _};

use crate::schema::{Beginning, HandleClientToServer, Part, Stored, Upload};

/// The longest name of a file, in bytes.
const LONGEST_NAME: usize = 100;

/// The largest file, in bytes.
const LARGEST: u64 = 1024 * 1024 * 1024;

/// The folder that stores uploaded files.
pub(crate) struct Store {
    folder: PathBuf,
    uploads: AtomicU64,
    tell: Box<dyn Fn(&str) + Send + Sync>,
}

impl Store {
    /// `tell` is called with a line for each event.
    pub(crate) fn new(folder: PathBuf, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            folder,
            uploads: AtomicU64::new(1),
            tell: Box::new(tell),
        }
    }
}

impl HandleClientToServer for Store {
    /// A cancelled or lost call drops this future, and with it the partial file.
    async fn on_upload_req(
        &self,
        _: &Peer<Upload>,
        mut parts: Streaming<Part>,
    ) -> Result<Stored, Status> {
        let Some(Part::Beginning(Beginning { name, size })) = parts.next().await.transpose()?
        else {
            return Err(Status::invalid_argument("a file begins with its name"));
        };
        check_name(&name)?;
        if size > LARGEST {
            return Err(Status::invalid_argument(format!(
                "{name} has {size} bytes; {LARGEST} are allowed"
            )));
        }
        let number = self.uploads.fetch_add(1, Ordering::Relaxed);
        let partial = Partial {
            path: self.folder.join(format!(".{number}.part")),
            name: &name,
            store: self,
            is_whole: false,
        };
        let mut file = File::create(&partial.path).await?;
        let mut hash = Sha256::new();
        let mut len = 0;
        while let Some(part) = parts.next().await.transpose()? {
            let Part::Piece(bytes) = part else {
                return Err(Status::invalid_argument("behind its name come its bytes"));
            };
            len += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            if len > size {
                return Err(Status::invalid_argument(format!(
                    "more came than the {size} bytes that were announced"
                )));
            }
            hash.update(&bytes);
            file.write_all(&bytes).await?;
        }
        if len < size {
            return Err(Status::invalid_argument(format!(
                "{len} bytes came of the {size} that were announced"
            )));
        }
        file.sync_all().await?;
        partial.keep(&self.folder.join(&name)).await?;
        Ok(Stored {
            size,
            sha256: hash.finalize().to_vec(),
        })
    }
}

/// A partial file, which is removed on drop unless it was completed.
struct Partial<'a> {
    path: PathBuf,
    name: &'a str,
    store: &'a Store,
    is_whole: bool,
}

impl Partial<'_> {
    async fn keep(mut self, path: &Path) -> io::Result<()> {
        tokio::fs::rename(&self.path, path).await?;
        self.is_whole = true;
        (self.store.tell)(&format!("keeps {}", self.name));
        Ok(())
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        if self.is_whole {
            return;
        }
        let line = match std::fs::remove_file(&self.path) {
            Ok(()) => format!("removes what it had of {}", self.name),
            Err(error) => format!("cannot remove {}: {error}", self.path.display()),
        };
        (self.store.tell)(&line);
    }
}

/// Refuses names that leave the folder, or look like those of partial files.
fn check_name(name: &str) -> Result<(), Status> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if (1..=LONGEST_NAME).contains(&name.len())
        && name.chars().all(is_good)
        && !name.starts_with('.')
    {
        return Ok(());
    }
    Err(Status::invalid_argument(format!(
        "a name has 1 to {LONGEST_NAME} letters, digits, `.`, `-` or `_`, and does not begin with `.`"
    )))
}
