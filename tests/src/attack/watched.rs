//! The process that is attacked, before, during and after the attack.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use super::{
    Bounds, Latency, Report,
    bounds::Late,
    bystander::block_on,
    control::Control,
    program::Program,
    samples::Samples,
    usage::{Processor, Usage},
};

/// How many calls tell how long they take before the attack, and after it at least.
const CALLS: u64 = 40;

/// How often open files are counted during the attack.
const LOOK: Duration = Duration::from_millis(5);

/// How long an attack may take.
const LONGEST: Duration = Duration::from_secs(60);

/// The process, and how it was before the attack.
pub(super) struct Watched<'a> {
    name: &'static str,
    program: Program,
    samples: &'a Samples,
    control: &'a Control,
    before: Latency,
    usage: Usage,
    lines: u64,
    descriptors: u64,
    begun: Instant,
}

/// What the attackers say when they have done what they can.
struct Spent {
    processor: Duration,
    sent: u64,
}

impl<'a> Watched<'a> {
    /// Looks at a process that is not attacked yet, whose well-behaved calls are recorded in `samples`.
    pub(super) fn before(
        name: &'static str,
        program: Program,
        samples: &'a Samples,
        control: &'a Control,
    ) -> Self {
        let begun = Instant::now();
        samples.wait_for(samples.count() + CALLS);
        let before = samples.since(begun);
        let before =
            before.unwrap_or_else(|failure| panic!("{name}: before the attack: {failure}"));
        program.forget_peak();
        Self {
            name,
            usage: program.usage(),
            lines: program.line_count(),
            descriptors: program.descriptors(),
            program,
            samples,
            control,
            before,
            begun: Instant::now(),
        }
    }

    /// Runs the attack on a thread of its own, and looks meanwhile. `Err` where nothing is wrong but that others have waited too
    /// long. What the attack returns is kept until everything is measured, and
    /// `sent` is how many bytes it has sent by then. `Err` where nothing is wrong but that others have waited too long.
    ///
    /// # Panics
    ///
    /// Where a bound is exceeded, others fail, or the attack panics or takes longer than a minute.
    pub(super) fn during<T>(
        self,
        bounds: &Bounds,
        sent: Arc<AtomicU64>,
        attack: impl AsyncFnOnce() -> T + Send + 'static,
    ) -> Result<Report, Late> {
        let (spent, attackers) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let attack = std::thread::spawn(move || {
            block_on(async {
                let _kept = attack().await;
                let processor = Processor::of_this_thread().unwrap_or_default().used;
                let sent = sent.load(Ordering::Relaxed);
                // Nobody hears it where the test has failed.
                let _ = spent.send(Spent { processor, sent });
                let _ = released.recv();
            });
        });
        let report = self.until_spent(&attackers, bounds);
        drop(release);
        match (attack.join(), report) {
            (Err(panic), _) => std::panic::resume_unwind(panic),
            (Ok(()), Some(report)) => report,
            (Ok(()), None) => panic!("the attackers have not said what they spent"),
        }
    }

    /// Looks until the attackers have done what they can, and others have called a few times more, with the attackers as
    /// they are. `None` where the attack has panicked.
    fn until_spent(
        self,
        attackers: &Receiver<Spent>,
        bounds: &Bounds,
    ) -> Option<Result<Report, Late>> {
        let name = self.name;
        let mut descriptors = self.descriptors;
        let spent = loop {
            descriptors = descriptors.max(self.program.descriptors());
            match attackers.recv_timeout(LOOK) {
                Ok(spent) => break spent,
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => assert!(
                    self.begun.elapsed() < LONGEST,
                    "{name}: the attackers have not ended after {LONGEST:?}"
                ),
            }
        };
        self.samples.wait_for(self.samples.count() + CALLS);
        descriptors = descriptors.max(self.program.descriptors());
        let lasted = self.begun.elapsed();
        let during = self.samples.since(self.begun);
        let control = self.control.bystander.samples().since(self.begun);
        let usage = self.program.usage();
        let processor = usage.processor.since(self.usage.processor);
        let (lines, log) = self.program.end();
        let during =
            during.unwrap_or_else(|failure| panic!("{name}: others fail: {failure}\n{log:#?}"));
        let report = Report {
            name: name.to_owned(),
            lasted,
            before: self.before,
            during,
            control: control.unwrap_or_default(),
            memory: (usage.memory.peak).saturating_sub(self.usage.memory.resident),
            memory_kept: (usage.memory.resident).saturating_sub(self.usage.memory.resident),
            lines: lines.saturating_sub(self.lines),
            descriptors: descriptors.saturating_sub(self.descriptors),
            processor: processor.used,
            slowdown: processor.slowdown(),
            attackers_processor: spent.processor,
            sent: spent.sent,
            log,
        };
        Some(report.check(bounds))
    }
}
