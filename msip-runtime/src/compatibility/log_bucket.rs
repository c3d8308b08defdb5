//! A limit of log lines that peers cause by making up fingerprints.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::instruments::{OmittedLine, log_line_omitted};

/// How many lines are logged in a minute, at most.
const MAX_LINES: usize = 16;

const MINUTE: Duration = Duration::from_secs(60);

/// The fingerprints about which something was logged, and when the last lines were.
#[derive(Debug, Default)]
pub(super) struct LogBucket {
    /// With whether the schemas were compared: a later peer of the same fingerprint may be able to describe it.
    logged: VecDeque<(u64, bool)>,
    lines: VecDeque<Instant>,
    unsaid: u64,
}

/// How many fingerprints are remembered; more than versions of a protocol are in use at a time.
const MAX_LOGGED: usize = 64;

impl LogBucket {
    /// Whether a line about this fingerprint is to be logged now, and how many were left out before it.
    pub(super) fn may_log(&mut self, fingerprint: u64, is_compared: bool) -> Option<u64> {
        let line = (fingerprint, is_compared);
        if self.logged.contains(&line) {
            return None;
        }
        let now = Instant::now();
        if self.lines.len() >= MAX_LINES {
            if self
                .lines
                .front()
                .is_some_and(|first| now < *first + MINUTE)
            {
                self.unsaid += 1;
                log_line_omitted(OmittedLine::Schema);
                return None;
            }
            self.lines.pop_front();
        }
        self.lines.push_back(now);
        if self.logged.len() >= MAX_LOGGED {
            self.logged.pop_front();
        }
        self.logged.push_back(line);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_is_logged_once_and_of_many_a_few() {
        let mut bucket = LogBucket::default();
        assert_eq!(bucket.may_log(1, false), Some(0));
        assert_eq!(bucket.may_log(1, false), None);
        assert_eq!(bucket.may_log(1, true), Some(0), "it is compared now");
        let logged = (2..100).filter(|number| bucket.may_log(*number, true).is_some());
        assert_eq!(logged.count(), MAX_LINES - 2);
        tokio::time::advance(MINUTE).await;
        assert_eq!(bucket.may_log(100, true), Some(84));
    }
}
