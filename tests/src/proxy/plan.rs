//! The plan of faults for each connection: drawn from a seed, so that a run can be repeated.

use std::time::Duration;

/// The direction of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// How the bytes of one direction travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lane {
    /// How long each chunk is held.
    pub delay: Duration,
    /// How many bytes pass in a second; as many as there are where it says nothing.
    pub bytes_per_second: Option<u32>,
    /// The most bytes that arrive at once, so that frames are split.
    pub max_chunk: Option<usize>,
}

/// What ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Both ends hear of a reset.
    Reset,
    /// Both ends hear of the end, in the middle of what was said.
    Truncate,
    /// What is sent from there on is silently lost.
    Blackhole {
        /// Whether the other direction falls silent too.
        both_ways: bool,
    },
}

/// Where a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// In which direction bytes are counted.
    pub way: Way,
    /// How many of them arrive.
    pub after: u64,
    /// What happens then.
    pub trouble: Trouble,
}

/// What becomes of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Course {
    /// How bytes travel to the server.
    pub up: Lane,
    /// How bytes travel to the client.
    pub down: Lane,
    /// How it ends; nothing ends it where this says nothing.
    pub end: Option<End>,
}

/// What happens to datagrams of one direction, by their number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Every so manieth is lost; 0 is none.
    pub lose: u64,
    /// Every so manieth is sent twice.
    pub repeat: u64,
    /// Every so manieth is sent after the next one.
    pub delay: u64,
}

/// What becomes of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DatagramCourse {
    /// What happens on the way to the server.
    pub up: Faults,
    /// What happens on the way to the client.
    pub down: Faults,
    /// Where it falls silent, both ways but for a blackhole of one; nowhere where this says nothing.
    pub end: Option<End>,
}

/// What becomes of one connection after the other.
#[derive(Debug, Clone)]
pub struct Plan {
    random: Random,
    /// How many connections are still to be broken.
    troubled: u64,
    /// How many have.
    drawn: u64,
    /// The most bytes that a troubled connection carries in one direction.
    max_bytes: u64,
}

/// Each way in which a connection can end, one after the other.
const ENDS: [(Way, Trouble); 7] = [
    (Way::Down, Trouble::Reset),
    (Way::Up, Trouble::Truncate),
    (Way::Up, Trouble::Reset),
    (Way::Down, Trouble::Truncate),
    (Way::Up, Trouble::Blackhole { both_ways: false }),
    (Way::Down, Trouble::Blackhole { both_ways: false }),
    (Way::Up, Trouble::Blackhole { both_ways: true }),
];

impl Plan {
    /// Every connection is treated well.
    #[must_use]
    pub const fn calm() -> Self {
        Self::seeded(0, 0, 0)
    }

    /// So many connections end badly, each after at most so many bytes; all that come later are treated well.
    #[must_use]
    pub const fn seeded(seed: u64, troubled: u64, max_bytes: u64) -> Self {
        Self {
            random: Random(seed),
            troubled,
            drawn: 0,
            max_bytes,
        }
    }

    /// What becomes of the next connection.
    pub fn next_course(&mut self) -> Course {
        if self.drawn == self.troubled {
            return Course::default();
        }
        let (up, down) = (self.lane(), self.lane());
        let (way, trouble) =
            usize::try_from(self.drawn).map_or(ENDS[0], |drawn| ENDS[drawn % ENDS.len()]);
        self.drawn += 1;
        let after = 1 + self.random.below(self.max_bytes);
        Course {
            up,
            down,
            end: Some(End {
                way,
                after,
                trouble,
            }),
        }
    }

    /// What becomes of the next connection of datagrams.
    pub fn next_datagram_course(&mut self) -> DatagramCourse {
        if self.drawn == self.troubled {
            return DatagramCourse::default();
        }
        let (up, down) = (self.faults(), self.faults());
        let end = self.next_course().end;
        DatagramCourse { up, down, end }
    }

    fn faults(&mut self) -> Faults {
        let mut every = || match self.random.below(3) {
            0 => 0,
            _ => 5 + self.random.below(20),
        };
        Faults {
            lose: every(),
            repeat: every(),
            delay: every(),
        }
    }

    fn lane(&mut self) -> Lane {
        match self.random.below(4) {
            0 => Lane {
                delay: Duration::from_millis(1 + self.random.below(5)),
                ..Lane::default()
            },
            1 => Lane {
                bytes_per_second: Some(1 << 18),
                ..Lane::default()
            },
            2 => Lane {
                max_chunk: Some(64),
                ..Lane::default()
            },
            _ => Lane::default(),
        }
    }
}

/// Numbers that look random and follow from a seed (splitmix64).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one; 0 where that is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        match self.draw().checked_rem(bound) {
            Some(number) => number,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_one_plan_with_every_trouble_and_then_calm() {
        let courses = |seed| -> Vec<Course> {
            let mut plan = Plan::seeded(seed, 14, 1000);
            (0..15).map(|_| plan.next_course()).collect()
        };
        assert_eq!(courses(7), courses(7));
        assert_ne!(courses(7), courses(8));
        let (troubled, calm) = (&courses(7)[..14], courses(7)[14]);
        for (way, trouble) in ENDS {
            let drawn = troubled.iter().filter_map(|course| course.end);
            assert_eq!(
                drawn
                    .filter(|end| (end.way, end.trouble) == (way, trouble))
                    .count(),
                2
            );
        }
        assert_eq!(calm, Course::default());
    }
}
