//! Large frames while memory is short.
//!
//! To stop reading would make the other side believe that this one has gone: it gives a connection up that takes no
//! byte for its `write_timeout`. So a large frame is read on, slowly, and has its time to come: 64 KiB in 3 s are more
//! than the rate that is asked of a frame.

use std::time::Duration;

/// How long it is between two reads.
const BETWEEN: Duration = Duration::from_secs(3);

/// How often memory is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(250);

/// When a connection may read again.
#[derive(Debug, Default)]
pub(super) struct SlowRead {
    /// While memory is short.
    next: Option<Duration>,
    /// When to look again, where a read was put off.
    pub(super) look_at: Option<Duration>,
}

impl SlowRead {
    /// Whether a read is put off; `is_large` tells whether it is one of a large frame while memory is short.
    #[inline]
    pub(super) fn puts_off(&mut self, is_large: bool, now: Duration) -> bool {
        if !is_large {
            if self.next.is_some() {
                *self = Self::default();
            }
            return false;
        }
        if self.next.is_some_and(|next| now < next) {
            self.look_at = Some(now + LOOK);
            return true;
        }
        *self = Self {
            next: Some(now + BETWEEN),
            look_at: None,
        };
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_frame_is_read_slowly_and_never_stands_still() {
        let mut slow = SlowRead::default();
        let mut reads = 0;
        let mut now = Duration::ZERO;
        while now < Duration::from_secs(60) {
            if slow.puts_off(true, now) {
                now = slow.look_at.expect("it looks again");
            } else {
                reads += 1;
                now += Duration::from_millis(1);
            }
        }
        assert_eq!(reads, 20);
        assert!(!slow.puts_off(false, now), "memory is there again");
        assert_eq!(slow.look_at, None);
        assert!(!slow.puts_off(true, now), "and the next one begins at once");
    }
}
