//! What every contender of the benchmarks is asked to do, and how it is counted.
//!
//! A contender is a program with two faces. `serve` listens, prints where, and ends when its standard input does;
//! `drive` puts one [`Load`] on a server and prints an [`Outcome`]. [`run_program`] is the `main` of such a program, over
//! its [`Contender`]s. The loops that contenders share are here too, so that all of them are counted alike:
//! [`calls`] and [`one_way`].

mod contender;
mod failure;
mod latency;
mod load;
mod loops;
mod note;
mod outcome;
mod program;
mod stop;

pub use contender::{Contender, Peer, Teller};
pub use failure::Failure;
pub use latency::{Latency, Percentiles};
pub use load::{Job, Load};
pub use loops::{calls, one_way};
pub use note::{Note, Tally, check_tally, data_of, expect_same};
pub use outcome::Outcome;
pub use program::{Command, ServeJob, exit, run_program};
pub use stop::Stop;
