//! Logs: lines on standard error, written by a thread of their own, so that a reader that has stopped stops no connection.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::{
    Layer as _,
    filter::{LevelFilter, Targets},
    fmt::MakeWriter,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{Failure, LogFormat, LogLevel};

/// How many lines may wait to be written; beyond it lines are dropped and counted.
const QUEUED: usize = 4096;

/// How long the end of the program waits until the last lines are written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The thread that writes.
#[derive(Debug)]
pub(crate) struct Logs {
    lines: SyncSender<Line>,
    ended: Receiver<()>,
}

/// A line, or the end of all.
#[derive(Debug)]
enum Line {
    Text(Vec<u8>),
    End,
}

impl Logs {
    /// Begins to log.
    pub(crate) fn start(
        program: &'static str,
        level: LogLevel,
        format: LogFormat,
    ) -> Result<Self, Failure> {
        let (sender, receiver) = sync_channel(QUEUED);
        let dropped = Arc::<AtomicU64>::default();
        let lines = Lines {
            sender: sender.clone(),
            dropped: Arc::clone(&dropped),
        };
        let (end, ended) = sync_channel(1);
        // It ends with the process where its reader has stopped.
        thread::Builder::new()
            .name("logs".to_owned())
            .spawn(move || {
                write_lines(program, &receiver, &dropped, io::stderr());
                let _ = end.send(());
            })
            .map_err(|error| Failure::cannot("start to log", &error))?;
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(lines)
            .with_ansi(false)
            .log_internal_errors(false);
        let layer = match format {
            LogFormat::Json => layer.json().flatten_event(true).boxed(),
            LogFormat::Text => layer.boxed(),
        };
        let logging = tracing_subscriber::registry().with(layer.with_filter(targets(level)));
        logging
            .try_init()
            .map_err(|error| Failure::cannot("start to log", &error))?;
        Ok(Self {
            lines: sender,
            ended,
        })
    }

    /// Writes what is left, unless its reader has stopped.
    pub(crate) fn finish(self) {
        let until = Instant::now() + LAST_LINES;
        while self.lines.try_send(Line::End).is_err() && Instant::now() < until {
            // The queue is full: what it holds is written first.
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self
            .ended
            .recv_timeout(until.saturating_duration_since(Instant::now()));
    }
}

/// Of MSIP the level that was asked for, of libraries what is a warning at least.
fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("msip", level)
}

fn write_lines(program: &str, lines: &Receiver<Line>, dropped: &AtomicU64, mut output: impl Write) {
    while let Ok(Line::Text(line)) = lines.recv() {
        // Where nobody reads them, they are lost.
        let _ = output.write_all(&line);
        let dropped = dropped.swap(0, Relaxed);
        if dropped > 0 {
            let _ = writeln!(output, "{program}: {dropped} lines of the log were dropped");
        }
    }
    let _ = output.flush();
}

/// Queues lines.
#[derive(Debug, Clone)]
struct Lines {
    sender: SyncSender<Line>,
    dropped: Arc<AtomicU64>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter {
            lines: self,
            line: Vec::new(),
        }
    }
}

/// A line, queued when it is dropped.
#[derive(Debug)]
struct LineWriter<'a> {
    lines: &'a Lines,
    line: Vec<u8>,
}

impl Write for LineWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter<'_> {
    fn drop(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let line = Line::Text(std::mem::take(&mut self.line));
        if self.lines.sender.try_send(line).is_err() {
            self.lines.dropped.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_nobody_writes_are_dropped_and_counted() {
        let (sender, receiver) = sync_channel(2);
        let dropped = Arc::<AtomicU64>::default();
        let lines = Lines {
            sender: sender.clone(),
            dropped: Arc::clone(&dropped),
        };
        for number in 0..5 {
            let mut writer = lines.make_writer();
            write!(writer, "line ").unwrap();
            writeln!(writer, "{number}").unwrap();
        }
        drop((lines, sender));
        let mut written = Vec::new();
        write_lines("msip", &receiver, &dropped, &mut written);
        let expected = "line 0\nmsip: 3 lines of the log were dropped\nline 1\n";
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }

    #[test]
    fn libraries_are_logged_from_warnings_on() {
        let targets = targets(LogLevel::Debug);
        assert!(targets.would_enable("msip_runtime::server", &tracing::Level::DEBUG));
        assert!(!targets.would_enable("rustls::client", &tracing::Level::INFO));
        assert!(targets.would_enable("rustls::client", &tracing::Level::WARN));
        assert!(!super::targets(LogLevel::Off).would_enable("rustls", &tracing::Level::ERROR));
    }
}
