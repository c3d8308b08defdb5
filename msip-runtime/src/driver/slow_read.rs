//! Slow reading of large frames while memory is short.
//!
//! To stop reading would make the peer believe that this side has gone: it gives up a connection that takes no byte for
//! its `write_timeout`. So a large frame is still read, slowly, and is complete in time: 64 KiB in 3 s are more than the
//! rate that is asked of a frame.

use std::time::Duration;

/// The time between two reads.
const READ_INTERVAL: Duration = Duration::from_secs(3);

/// How often memory is looked at meanwhile.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// When a connection may read again. In a box, since it is there only while memory is short.
#[derive(Debug, Default)]
pub(super) struct SlowRead(Option<Box<NextRead>>);

#[derive(Debug)]
struct NextRead {
    at: Duration,
    /// When to check again, where a read was deferred.
    check_at: Option<Duration>,
}

impl SlowRead {
    /// Whether a read is deferred; `is_large`: it is one of a large frame while memory is short.
    #[inline]
    pub(super) fn puts_off(&mut self, is_large: bool, now: Duration) -> bool {
        if !is_large {
            if self.0.is_some() {
                self.0 = None;
            }
            return false;
        }
        self.puts_off_large(now)
    }

    #[cold]
    fn puts_off_large(&mut self, now: Duration) -> bool {
        if let Some(next) = &mut self.0
            && now < next.at
        {
            next.check_at = Some(now + CHECK_INTERVAL);
            return true;
        }
        self.0 = Some(Box::new(NextRead {
            at: now + READ_INTERVAL,
            check_at: None,
        }));
        false
    }

    /// When to check again, where a read was deferred.
    #[inline]
    pub(super) fn check_at(&self) -> Option<Duration> {
        self.0.as_ref()?.check_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_frame_is_read_slowly_and_never_stops() {
        let mut slow = SlowRead::default();
        let mut reads = 0;
        let mut now = Duration::ZERO;
        while now < Duration::from_secs(60) {
            if slow.puts_off(true, now) {
                now = slow.check_at().expect("it checks again");
            } else {
                reads += 1;
                now += Duration::from_millis(1);
            }
        }
        assert_eq!(reads, 20);
        assert!(!slow.puts_off(false, now), "memory is there again");
        assert_eq!(slow.check_at(), None);
        assert!(!slow.puts_off(true, now), "and the next one begins at once");
    }
}
