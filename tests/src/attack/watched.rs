//! The process that is attacked, before, during and after the attack.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use super::{
    Bounds, Latency, Report, control::control, program::Program, samples::Samples, usage::Usage,
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
    before: Latency,
    usage: Usage,
    lines: u64,
    descriptors: u64,
    begun: Instant,
}

/// What the attackers say when they have done what they can.
pub(super) struct Spent {
    pub(super) processor: Duration,
    pub(super) sent: u64,
}

impl<'a> Watched<'a> {
    /// Looks at a process that is not attacked yet, whose well-behaved calls are recorded in `samples`.
    pub(super) fn before(name: &'static str, program: Program, samples: &'a Samples) -> Self {
        control();
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
            before,
            begun: Instant::now(),
        }
    }

    /// Looks until the attackers have done what they can, and others have called a few times more, with the attackers as
    /// they are.
    pub(super) fn during(self, attackers: &Receiver<Spent>, bounds: &Bounds) -> Report {
        let name = self.name;
        let mut descriptors = self.descriptors;
        let spent = loop {
            descriptors = descriptors.max(self.program.descriptors());
            match attackers.recv_timeout(LOOK) {
                Ok(spent) => break spent,
                Err(RecvTimeoutError::Timeout) if self.begun.elapsed() < LONGEST => {}
                Err(error) => panic!("{name}: the attackers have not ended: {error}"),
            }
        };
        self.samples.wait_for(self.samples.count() + CALLS);
        descriptors = descriptors.max(self.program.descriptors());
        let lasted = self.begun.elapsed();
        let during = self.samples.since(self.begun);
        let control = control().bystander.samples().since(self.begun);
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
        report.check(bounds)
    }
}
