//! The loads of the benchmarks, and their measurement, common to all contenders.
//!
//! The program of a contender has two commands. `serve` listens, prints its port, and ends when its standard input does;
//! `drive` puts one [`Load`] on a server and prints an [`Outcome`]. [`run_program`] is the `main` of such a program, for
//! its [`Contender`]s. A contender whose client has a method for each kind of exchange implements [`Peer`], and [`drive`]
//! does the rest, so that all of them are driven and measured alike.

mod arrivals;
mod calls;
mod certificate;
mod contender;
mod drive;
mod failure;
mod hold;
mod latency;
mod load;
mod note;
mod outcome;
mod peer;
mod program;
mod stop;

pub use arrivals::{Arrivals, Counter};
pub use certificate::Certificate;
pub use contender::{Contender, Target};
pub use drive::drive;
pub use failure::Failure;
pub use hold::Hold;
pub use latency::{Latency, Percentiles};
pub use load::{BULK, BURST, Callers, Job, Load, SMALL};
pub use note::{Note, Tally, check_tally, data_of, expect_same};
pub use outcome::Outcome;
pub use peer::Peer;
pub use program::{Command, NOT_OFFERED, ServeJob, exit, exit_contender, run_program};
pub use stop::Stop;
