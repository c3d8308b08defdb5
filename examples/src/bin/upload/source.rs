//! The client of the upload: streams a file in parts, and reports progress.

use std::{
    io::IsTerminal as _,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use msip_runtime::{Stream, bytes::Bytes};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::watch,
    time::{Instant, Sleep, sleep_until},
};

use crate::schema::{Beginning, Part};

/// The number of bytes in one message.
const PIECE: usize = 32 * 1024;

/// The width of the progress bar, in characters.
const BAR: usize = 40;

/// The progress of an upload: how much of the file was taken to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Progress(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    percent: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    size: u64,
    taken: u64,
    hash: Sha256,
}

impl Progress {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one step.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The progress in per cent.
    pub(crate) fn percent(&self) -> u64 {
        *self.0.percent.borrow()
    }

    /// Waits until so many bytes were taken.
    pub(crate) async fn reaches(&self, percent: u64) {
        let mut percents = self.0.percent.subscribe();
        // The sender is in `self`, so it is not dropped.
        let _ = percents.wait_for(|reached| *reached >= percent).await;
    }

    /// The SHA-256 of what was taken.
    pub(crate) fn sha256(&self) -> Vec<u8> {
        self.lock().hash.clone().finalize().to_vec()
    }

    fn add(&self, bytes: &[u8]) {
        let percent = {
            let mut state = self.lock();
            state.hash.update(bytes);
            state.taken += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let hundredfold = state.taken.saturating_mul(100);
            hundredfold.checked_div(state.size).unwrap_or(100)
        };
        let before = self.0.percent.send_replace(percent);
        show(before, percent);
    }
}

/// Draws the progress bar, or, without a terminal, prints a line for each quarter.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it tells people what happens"
)]
fn show(before: u64, percent: u64) {
    if std::io::stderr().is_terminal() {
        let full = usize::try_from(percent).unwrap_or(0) * BAR / 100;
        let (full, empty) = ("#".repeat(full), " ".repeat(BAR.saturating_sub(full)));
        eprint!("\r  [{full}{empty}] {percent:3} %");
        if percent >= 100 {
            eprintln!();
        }
    } else if percent / 25 > before / 25 {
        println!("  client  has sent {} %", percent / 25 * 25);
    }
}

/// A file as the parts of an upload. It is read as the server takes it, and no faster than `rate` bytes a second.
pub(crate) struct Parts<R> {
    beginning: Option<Beginning>,
    reader: R,
    progress: Progress,
    rate: Option<u64>,
    pause: Pin<Box<Sleep>>,
}

impl<R> Parts<R> {
    /// The parts of a file of this name and size, and their progress.
    pub(crate) fn of(name: &str, size: u64, reader: R, rate: Option<u64>) -> (Self, Progress) {
        let state = State {
            size,
            taken: 0,
            hash: Sha256::new(),
        };
        let progress = Progress(Arc::new(Shared {
            state: Mutex::new(state),
            percent: watch::Sender::new(0),
        }));
        let parts = Self {
            beginning: Some(Beginning {
                name: name.to_owned(),
                size,
            }),
            reader,
            progress: progress.clone(),
            rate,
            pause: Box::pin(sleep_until(Instant::now())),
        };
        (parts, progress)
    }
}

impl<R: AsyncRead + Unpin> Stream for Parts<R> {
    type Item = Part;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Part>> {
        let this = self.get_mut();
        if let Some(beginning) = this.beginning.take() {
            return Poll::Ready(Some(Part::Beginning(beginning)));
        }
        if this.rate.is_some() {
            ready!(this.pause.as_mut().poll(context));
        }
        let mut piece = vec![0; PIECE];
        let mut buffer = ReadBuf::new(&mut piece);
        // A read error ends the stream here, and the server reports the file as incomplete.
        if ready!(Pin::new(&mut this.reader).poll_read(context, &mut buffer)).is_err() {
            return Poll::Ready(None);
        }
        let len = buffer.filled().len();
        if len == 0 {
            return Poll::Ready(None);
        }
        piece.truncate(len);
        this.progress.add(&piece);
        if let Some(rate) = this.rate {
            let share = Duration::from_secs(1).mul_f64(len as f64 / rate.max(1) as f64);
            this.pause.as_mut().reset(Instant::now() + share);
        }
        Poll::Ready(Some(Part::Piece(Bytes::from(piece))))
    }
}
