//! The result of a comparison.

use std::fmt;

use super::difference::{Breaks, Difference, Sides};

/// How many differences a [`Comparison`] keeps; further ones are counted.
pub const MAX_DIFFERENCES: usize = 64;

/// How many differences [`Comparison::summary`] writes.
const MAX_SUMMARY: usize = 8;

/// Everything that differs between two descriptions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Those that break something, and then the others, each in the order of the first description.
    differences: Vec<Difference>,
    breaking: usize,
    count: usize,
    breaks: Breaks,
    is_cut_short: bool,
}

/// A comparison that goes on. It keeps what matters most.
#[derive(Debug, Default)]
pub(super) struct Differences {
    breaking: Vec<Difference>,
    harmless: Vec<Difference>,
    result: Comparison,
}

impl Differences {
    /// Adds a difference; `place` is asked for only where it is kept.
    pub(super) fn add(&mut self, breaks: Breaks, difference: impl FnOnce() -> Difference) {
        self.result.count += 1;
        self.result.breaks = self.result.breaks.and(breaks);
        let kept = if breaks == Breaks::Nothing {
            &mut self.harmless
        } else {
            self.result.breaking += 1;
            &mut self.breaking
        };
        if kept.len() < MAX_DIFFERENCES {
            kept.push(difference());
        }
    }

    pub(super) fn finish(self, is_cut_short: bool) -> Comparison {
        let Self {
            mut breaking,
            harmless,
            result,
        } = self;
        breaking.extend(harmless);
        breaking.truncate(MAX_DIFFERENCES);
        Comparison {
            differences: breaking,
            is_cut_short,
            ..result
        }
    }
}

impl Comparison {
    /// The differences, those that break something first; at most [`MAX_DIFFERENCES`].
    #[must_use]
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// How many differences there are, kept or not.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// How many of them break something.
    #[must_use]
    pub const fn breaking_count(&self) -> usize {
        self.breaking
    }

    /// Whether nothing differs.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0 && !self.is_cut_short
    }

    /// What the differences break together.
    #[must_use]
    pub const fn breaks(&self) -> Breaks {
        self.breaks
    }

    /// Whether the comparison ended early, since the types of the two do not correspond to each other in any simple way: there
    /// may be more differences. No schema that was made from the other is so.
    #[must_use]
    pub const fn is_cut_short(&self) -> bool {
        self.is_cut_short
    }

    /// The first differences in one line, and how many more there are.
    #[must_use]
    pub fn summary(&self, sides: Sides) -> String {
        let shown = self.differences.iter().take(MAX_SUMMARY);
        let mut text: Vec<String> = shown.map(|difference| difference.text(sides)).collect();
        let left_out = self.count.saturating_sub(text.len());
        if left_out > 0 {
            text.push(format!("and {left_out} more"));
        }
        if self.is_cut_short {
            text.push("the rest was too complex to be compared".to_owned());
        }
        if text.is_empty() {
            text.push("nothing differs".to_owned());
        }
        text.join("; ")
    }
}

/// One line for each difference that is kept.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, difference) in self.differences.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{difference}")?;
        }
        Ok(())
    }
}
