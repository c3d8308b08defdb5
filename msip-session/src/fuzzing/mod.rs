//! The bodies of fuzz targets in `fuzz/`: each takes arbitrary bytes, and panics if a guarantee is violated.
//!
//! Only there, and in the tests of this crate, which run the same over the corpora that are checked in.

mod datagrams;
mod frames;
mod ops;

pub use datagrams::datagrams;
pub use frames::{frame_decode, hello, topic};
pub use ops::session_ops;

/// Two sessions over a connection that fails as the bytes say, against all that is promised.
pub fn two_sessions(data: &[u8]) {
    if let Err(broken) = crate::session::simulation::run_scripted(data) {
        panic!("{broken}");
    }
}

/// Bytes as choices.
#[derive(Debug)]
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte; 0 where none is left.
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn number(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// At most so many bytes.
    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use msip_replay::replay;

    #[test]
    fn the_corpora_and_mutations_of_them_break_no_promise() {
        replay("frame_decode", frame_decode, 1000);
        replay("hello", hello, 1000);
        replay("topic", topic, 1000);
        replay("datagrams", datagrams, 1000);
        replay("session_ops", session_ops, 1000);
        replay("two_sessions", two_sessions, 10);
    }
}
