//! `broker`: brokers beside each other, under the same loads, by clients that write to sockets themselves.
//!
//! Each trial starts one broker as a process, and all its clients in this one. What is counted is what arrives at subscribers, and
//! the processor time of the broker's process for it.

mod client;
mod contender;
mod idle;
mod latency;
mod load;
mod plain_loop;
mod round_trips;
mod slow;
mod table;
mod throughput;
mod wire;

use std::{io, time::Duration};

use thiserror::Error;

pub(crate) use self::{
    contender::build,
    plain_loop::{PlainLoopJob, plain_loop},
};
use self::{
    contender::{Broker, Contender},
    load::{Figure, Load},
};
use crate::problem::Problem;

/// Which brokers, under which loads.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BrokerJob {
    /// Only these brokers, by name: `msip`, `plain-loop`, `nats`, `redis`, `mosquitto`, or a name of `--server`.
    #[arg(long)]
    only: Vec<String>,
    /// One more server, as NAME=PROGRAM, where NAME begins with the name of what it is: `nats-2.9=/usr/sbin/nats-server`.
    #[arg(long)]
    server: Vec<String>,
    /// Only loads whose names contain one of these texts.
    #[arg(long)]
    load: Vec<String>,
    /// How often each is measured; the median counts.
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// How long each is measured, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    millis: u64,
    /// Prints the table as Markdown.
    #[arg(long)]
    markdown: bool,
}

/// Why a trial failed.
#[derive(Debug, Error)]
pub(crate) enum TrialError {
    #[error("cannot start {program}")]
    Start {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("{broker} did not accept connections at {address} within 10 s")]
    Silent { broker: String, address: String },
    #[error("input or output failed")]
    Io(#[from] io::Error),
    #[error("the broker answered the {asked} with {got}")]
    Refused { asked: &'static str, got: String },
    #[error("nothing arrived at a subscriber")]
    Nothing,
    #[error("a client panicked")]
    Panicked,
}

/// Measures, and prints.
pub(crate) fn broker(job: &BrokerJob) -> Result<(), Problem> {
    let contenders = contender::select(&job.server, &job.only)?;
    let loads: Vec<Load> = Load::ALL
        .into_iter()
        .filter(|load| {
            job.load.is_empty() || job.load.iter().any(|text| load.name().contains(text))
        })
        .collect();
    if contenders.is_empty() || loads.is_empty() {
        return Err(Problem::Nothing);
    }
    let time = Duration::from_millis(job.millis);
    let mut table = table::Table::new(&contenders);
    let mut failed = 0;
    for &load in &loads {
        let mut figures = vec![Vec::new(); contenders.len()];
        for _ in 0..job.repeat.max(1) {
            for (contender, figures) in contenders.iter().zip(&mut figures) {
                match trial(contender, load, time) {
                    Ok(figure) => figures.push(figure),
                    Err(error) => {
                        failed += 1;
                        table::tell(contender, load, &error).map_err(Problem::Print)?;
                    }
                }
            }
        }
        table.add(load, figures);
    }
    table.print(job.markdown).map_err(Problem::Print)?;
    if failed > 0 {
        let trials = contenders.len() * loads.len() * job.repeat.max(1);
        return Err(Problem::Lost { failed, trials });
    }
    Ok(())
}

/// Runs one load against one broker that is started for it.
fn trial(contender: &Contender, load: Load, time: Duration) -> Result<Figure, TrialError> {
    let broker = Broker::start(contender)?;
    match load {
        Load::Throughput(shape) => throughput::measure(&broker, shape, time),
        Load::RoundTrips { outstanding } => round_trips::measure(&broker, outstanding, time),
        Load::Latency => latency::measure(&broker, time),
        Load::Idle => idle::measure(&broker),
        Load::Slow => slow::measure(&broker, time),
    }
}
