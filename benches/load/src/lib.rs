//! What every contender of the benchmarks is asked to do, and how it is counted.
//!
//! A contender is a program with two faces. `serve` listens, prints where, and ends when its standard input does;
//! `drive` puts one [`Load`] on a server and prints an [`Outcome`]. [`run_program`] is the `main` of such a program, over
//! its [`Contender`]s. A contender whose client has a method for each thing is a [`Peer`], and [`drive`] does the rest, so
//! that all of them are asked and counted alike.

mod arrivals;
mod contender;
mod drive;
mod failure;
mod latency;
mod load;
mod loops;
mod note;
mod outcome;
mod program;
mod stop;

pub use arrivals::{Arrivals, Counter};
pub use contender::{Contender, Peer, Target};
pub use drive::drive;
pub use failure::Failure;
pub use latency::{Latency, Percentiles};
pub use load::{BULK, BURST, Callers, Job, Load, SMALL};
pub use note::{Note, Tally, check_tally, data_of, expect_same};
pub use outcome::Outcome;
pub use program::{Command, Hold, NOT_OFFERED, ServeJob, exit, exit_contender, run_program};
pub use stop::Stop;
