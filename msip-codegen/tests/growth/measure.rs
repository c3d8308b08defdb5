//! Measuring a run of the compiler.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use msip_codegen::Builder;

use super::shapes::Shape;

/// Files by name, and the names of the inputs.
pub(crate) struct Input {
    pub(crate) files: Vec<(String, String)>,
    pub(crate) inputs: Vec<String>,
    pub(crate) messages_only: bool,
}

/// What a run takes with some input, and with four times as much.
pub(crate) struct Growth {
    once: Duration,
    four_times: Duration,
    mistakes: usize,
}

/// Growth is judged by this: four is linear, sixteen is quadratic.
const MOST: f64 = 6.0;
/// What takes less than this is not measured.
const TOO_SHORT: Duration = Duration::from_millis(30);
/// How long is measured at least, by repetition.
const LONG_ENOUGH: Duration = Duration::from_millis(60);
const MOST_RUNS: u32 = 20;
/// How often an unfavourable result is measured again.
const TRIES: usize = 12;

impl Growth {
    fn factor(&self) -> f64 {
        self.four_times.as_secs_f64() / self.once.as_secs_f64().max(1e-6)
    }

    pub(crate) fn is_near_linear(&self) -> bool {
        self.four_times < TOO_SHORT || self.factor() <= MOST
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            once,
            four_times,
            mistakes,
        } = self;
        let factor = self.factor();
        write!(
            f,
            "{once:.0?}, four times as much {four_times:.0?}: {factor:.1} times ({mistakes} mistakes)"
        )
    }
}

/// Measures a shape of this size and of four times this size, until a result is good; else it is the best of them. Each is judged
/// by itself: the least of all small runs beside the least of all large ones would be worse than any of them.
pub(crate) fn growth(n: usize, shape: Shape) -> Growth {
    let (small, large) = (shape(n), shape(4 * n));
    let mut best = None;
    for _ in 0..TRIES {
        let (once, _) = cost(&small);
        let (four_times, mistakes) = cost(&large);
        let tried = Growth {
            once,
            four_times,
            mistakes,
        };
        if tried.is_near_linear() {
            return tried;
        }
        if best
            .as_ref()
            .is_none_or(|best: &Growth| tried.factor() < best.factor())
        {
            best = Some(tried);
        }
    }
    // There was a first try.
    best.unwrap()
}

/// What a run takes, on a thread of its own, and the number of mistakes that it reports. Short runs are repeated: the
/// clock of a thread may move in steps of milliseconds.
fn cost(input: &Input) -> (Duration, usize) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in &input.files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let work = || {
        let (mut taken, mut runs, mut mistakes) = (Duration::ZERO, 0, 0);
        while taken < LONG_ENOUGH && runs < MOST_RUNS {
            let (run, found) = run(input, folder.path());
            (taken, runs, mistakes) = (taken + run, runs + 1, found);
        }
        (taken / runs, mistakes)
    };
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

fn run(input: &Input, folder: &Path) -> (Duration, usize) {
    let mut builder = Builder::new()
        .include(folder)
        .out_dir(folder.join("out"))
        .emit_rerun_if_changed(false);
    if input.messages_only {
        builder = builder.messages_only();
    }
    let paths: Vec<_> = input.inputs.iter().map(|name| folder.join(name)).collect();
    let (before, start) = (processor_time(), Instant::now());
    let mistakes = match builder.compile(&paths) {
        Ok(()) => 0,
        // As a build script prints it.
        Err(error) => {
            std::hint::black_box(format!("{error:?}"));
            error.diagnostics().len()
        }
    };
    let taken = processor_time().zip(before);
    let taken = taken.map_or_else(|| start.elapsed(), |(after, before)| after - before);
    (taken, mistakes)
}

/// The time that this thread has had a processor for: the load of the machine is no part of it. Only Linux says so.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}
