//! How what cases are made of fails.

use std::fmt;

/// Ends the case that is played, as an assertion in it does: by a panic, for the reasons that `cases` gives.
#[track_caller]
pub(crate) fn fail(why: impl fmt::Display) -> ! {
    panic!("{why}")
}
