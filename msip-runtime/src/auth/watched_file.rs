//! A file of keys that is read again when it has changed; what cannot be used of it changes nothing.

use std::{
    error::Error,
    fs::{File, Metadata},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::error::WithCauses;

/// How often it is checked whether the file has changed, at most, and only while clients connect.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A file may be changed twice within the steps of its file system's clock.
const CLOCK_STEP: Duration = Duration::from_secs(2);

/// Makes keys of what a file holds.
type Parse<T, E> = dyn Fn(Result<Vec<u8>, Unreadable>) -> Result<T, E> + Send + Sync;

/// Why a file was not read.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// The system does not.
    Io(io::Error),
    /// It has more bytes than this.
    TooLarge(u64),
}

/// A file, and the keys that were in it when it was read last.
pub(super) struct WatchedFile<T, E> {
    path: PathBuf,
    max_len: u64,
    parse: Box<Parse<T, E>>,
    state: Mutex<State<T>>,
}

struct State<T> {
    keys: Arc<T>,
    /// The file as it was read; `None` where that does not tell whether it has changed since.
    stamp: Option<FileStamp>,
    /// What was wrong with the file when it was read last, as it was logged.
    last_error: Option<String>,
    /// When the file is looked at next.
    next_check: Option<Instant>,
    is_checking: bool,
}

impl<T: PartialEq, E: Error> WatchedFile<T, E> {
    /// Reads a file of at most so many bytes in the calling thread.
    pub(super) fn open(
        path: &Path,
        max_len: u64,
        parse: impl Fn(Result<Vec<u8>, Unreadable>) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        let (content, stamp) = read(path, max_len);
        Ok(Self {
            state: Mutex::new(State {
                keys: Arc::new(parse(content)?),
                stamp,
                last_error: None,
                next_check: None,
                is_checking: false,
            }),
            path: path.to_owned(),
            max_len,
            parse: Box::new(parse),
        })
    }

    /// Reads it again, in the calling thread, whether it has changed or not. Where it cannot be used, the keys that were read
    /// before hold, and a warning says what is wrong.
    pub(super) fn reload(&self) -> Result<(), E> {
        let (content, stamp) = read(&self.path, self.max_len);
        let parsed = (self.parse)(content);
        let mut state = self.lock();
        match parsed {
            Ok(keys) => {
                state.stamp = stamp;
                let was_wrong = state.last_error.take().is_some();
                if was_wrong || keys != *state.keys {
                    tracing::info!(path = %self.path.display(), "the file of keys was read again");
                    state.keys = Arc::new(keys);
                }
                Ok(())
            }
            Err(error) => {
                // It is read again at the next check, and logged once.
                state.stamp = None;
                let last_error = WithCauses(&error).to_string();
                if state.last_error.as_ref() != Some(&last_error) {
                    tracing::warn!(path = %self.path.display(), error = %last_error, "the file of keys cannot be used: the keys that were read before hold");
                    state.last_error = Some(last_error);
                }
                Err(error)
            }
        }
    }

    /// Reads it again where it may have changed.
    fn check(&self) {
        let stamp = self.lock().stamp;
        if stamp.is_none() || FileStamp::at(&self.path) != stamp {
            // What is wrong was logged.
            let _ = self.reload();
        }
    }
}

impl<T, E> WatchedFile<T, E> {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What is in use.
    pub(super) fn keys(&self) -> Arc<T> {
        Arc::clone(&self.lock().keys)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is time to look at the file, and nobody else does.
    fn begins_check(&self, now: Instant) -> bool {
        let mut state = self.lock();
        let is_due = state.next_check.is_none_or(|next| next <= now);
        if state.is_checking || !is_due {
            return false;
        }
        state.next_check = Some(now + CHECK_INTERVAL);
        state.is_checking = true;
        true
    }
}

/// What is in use, after the file was read again where it has changed, on a thread for what may block.
///
/// # Cancel safety
///
/// A check that has begun goes on.
pub(super) async fn current<T, E>(file: &Arc<WatchedFile<T, E>>) -> Arc<T>
where
    T: PartialEq + Send + Sync + 'static,
    E: Error + 'static,
{
    if file.begins_check(Instant::now()) {
        let checking = Checking(Arc::clone(file));
        // It fails where the runtime shuts down; then nobody is served any more.
        let _ = tokio::task::spawn_blocking(move || checking.0.check()).await;
    }
    file.keys()
}

/// The one check that is under way.
struct Checking<T, E>(Arc<WatchedFile<T, E>>);

impl<T, E> Drop for Checking<T, E> {
    fn drop(&mut self) {
        self.0.lock().is_checking = false;
    }
}

/// What tells a file from what it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    modified: Option<SystemTime>,
    len: u64,
    #[cfg(unix)]
    inode: u64,
}

impl FileStamp {
    fn of(file: &Metadata) -> Self {
        Self {
            modified: file.modified().ok(),
            len: file.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(file),
        }
    }

    /// That of a file; `None` where it cannot be told.
    fn at(path: &Path) -> Option<Self> {
        Some(Self::of(&path.metadata().ok()?))
    }

    /// The same, unless the file may yet be changed without showing it.
    fn if_settled(self) -> Option<Self> {
        let age = SystemTime::now().duration_since(self.modified?).ok()?;
        (age > CLOCK_STEP).then_some(self)
    }
}

/// Reads a file. The stamp is `None` where the file has to be read again to see whether it has changed.
fn read(path: &Path, max_len: u64) -> (Result<Vec<u8>, Unreadable>, Option<FileStamp>) {
    let read = || -> io::Result<_> {
        let file = File::open(path)?;
        let stamp = FileStamp::of(&file.metadata()?);
        let mut content = Vec::new();
        let len = file.take(max_len + 1).read_to_end(&mut content)?;
        Ok((content, u64::try_from(len).unwrap_or(u64::MAX), stamp))
    };
    match read() {
        Ok((_, len, _)) if len > max_len => (Err(Unreadable::TooLarge(max_len)), None),
        Ok((content, _, stamp)) => (Ok(content), stamp.if_settled()),
        Err(error) => (Err(Unreadable::Io(error)), None),
    }
}

/// A file of a test, which is removed with this.
#[cfg(test)]
pub(super) struct TestFile(pub(super) PathBuf);

#[cfg(test)]
impl TestFile {
    pub(super) fn new(name: &str) -> Self {
        let name = format!("msip-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

#[cfg(test)]
impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
