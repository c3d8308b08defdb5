//! The plan of a run: contenders and loads.

use std::{env, time::Duration};

use msip_load::{Callers, Contender as _, Load};

use super::{RunJob, contender_program::ContenderProgram, peers};
use crate::{broker, contenders::Own, problem::Problem};

/// The contenders and the rounds of a run.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) contenders: Vec<ContenderProgram>,
    pub(super) rounds: Vec<Round>,
}

/// A load, and how it is run.
#[derive(Debug, Clone)]
pub(super) struct Round {
    /// The part of the report that it belongs to.
    pub(super) chapter: Chapter,
    pub(super) load: Load,
    pub(super) workers: usize,
    pub(super) repeat: usize,
    pub(super) time: Duration,
    pub(super) counts_syscalls: bool,
}

/// The parts of a report.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Chapter {
    /// Calls.
    Calls,
    /// Messages without an answer.
    OneWay,
    /// Answers that are streams.
    Streams,
    /// One message to many.
    Broadcast,
    /// Connections, begun and idle.
    Connections,
    /// Answers alongside bulk.
    Tail,
    /// How cost grows with calls in flight, and with connections.
    Growth,
    /// Runtimes without worker threads.
    OneThread,
    /// Other transports than TCP.
    Transports,
    /// Calls, messages and streams with a broker between.
    ThroughBroker,
}

impl Chapter {
    /// Whether this contender takes part in it.
    pub(super) fn includes(self, contender: &str) -> bool {
        let by_another = ["-unix", "-tls", "-ws", "-wss", "-quic"];
        let is_by_another = by_another.iter().any(|end| contender.ends_with(end));
        let has_broker = contender.starts_with("msip-broker") || contender == "nats";
        match self {
            Self::Transports => is_by_another || ["raw", "msip", "tonic"].contains(&contender),
            Self::ThroughBroker => has_broker || ["msip", "msip-sender"].contains(&contender),
            _ => !is_by_another && !has_broker,
        }
    }
}

impl Plan {
    pub(super) fn new(job: &RunJob) -> Result<Self, Problem> {
        let own = env::current_exe().map_err(Problem::Process)?;
        let is_asked = |name: &str| job.only.is_empty() || job.only.iter().any(|only| only == name);
        let mut contenders: Vec<ContenderProgram> = Own::ALL
            .iter()
            .map(|contender| ContenderProgram {
                name: contender.name().to_owned(),
                program: own.clone(),
            })
            .collect();
        let are_peers_asked = job.only.is_empty()
            || !job
                .only
                .iter()
                .all(|only| contenders.iter().any(|f| f.name == *only));
        if are_peers_asked {
            contenders.extend(peers::contenders(&own)?);
        }
        contenders.retain(|contender| is_asked(&contender.name));
        let is_broker = |contender: &ContenderProgram| contender.name.starts_with("msip-broker");
        if contenders.iter().any(is_broker) {
            broker::build(&own)?;
        }
        let asked = |round: &Round| {
            let load = job.load.as_deref().unwrap_or_default();
            round.load.to_string().contains(load)
                && (job.chapter.is_empty() || job.chapter.contains(&round.chapter))
        };
        let mut rounds = if job.quick { quick() } else { whole() };
        rounds.retain(asked);
        for round in &mut rounds {
            if let Some(repeat) = job.repeat {
                round.repeat = repeat;
            }
            if let Some(millis) = job.millis {
                round.time = Duration::from_millis(millis);
            }
            if let Some(workers) = job.workers {
                round.workers = workers;
            }
        }
        Ok(Self { contenders, rounds })
    }
}

const KIB: usize = 1024;
const SIZES: [usize; 3] = [32, KIB, 64 * KIB];

fn calls(size: usize, in_flight: usize) -> Load {
    Load::Calls {
        size,
        in_flight,
        connections: 1,
        callers: Callers::Tasks,
    }
}

fn calls_of_one_task(size: usize, in_flight: usize) -> Load {
    Load::Calls {
        size,
        in_flight,
        connections: 1,
        callers: Callers::OneTask,
    }
}

/// The rounds of a full report.
fn whole() -> Vec<Round> {
    use Chapter::{
        Broadcast, Calls, Connections, Growth, OneThread, OneWay, Streams, Tail, ThroughBroker,
        Transports,
    };
    let mut loads = Vec::new();
    for size in SIZES {
        loads.extend([1, 64, 512, 4096].map(|in_flight| (Calls, 2, calls(size, in_flight))));
        loads.extend([64, 512].map(|in_flight| (Calls, 2, calls_of_one_task(size, in_flight))));
    }
    loads.extend(SIZES.map(|size| (OneWay, 2, Load::OneWay { size })));
    loads.extend(SIZES.map(|size| {
        let count = if size > KIB { 50_000 } else { 1_000_000 };
        (Streams, 2, Load::Answers { size, count })
    }));
    loads.extend([100, 1000].map(|peers| (Broadcast, 2, Load::Broadcast { size: 32, peers })));
    loads.push((Connections, 2, Load::Connect));
    for after_burst in [false, true] {
        loads.extend([1000, 10_000].map(|connections| {
            let load = Load::Idle {
                connections,
                after_burst,
            };
            (Connections, 2, load)
        }));
    }
    for urgent in [false, true] {
        loads.extend([1, 8, 64].map(|in_flight| (Tail, 2, Load::Beside { in_flight, urgent })));
    }
    loads.extend(
        [2, 4, 8, 16, 32, 128, 256, 1024, 2048].map(|in_flight| (Growth, 2, calls(32, in_flight))),
    );
    loads.extend([1, 3, 10, 30, 100, 300, 1000].map(|connections| {
        let load = Load::Calls {
            size: 32,
            in_flight: 4,
            connections,
            callers: Callers::Tasks,
        };
        (Growth, 2, load)
    }));
    loads.extend([1, 64, 512].map(|in_flight| (OneThread, 0, calls(32, in_flight))));
    loads.extend([64, 512].map(|in_flight| (OneThread, 0, calls_of_one_task(32, in_flight))));
    loads.extend([32, KIB].map(|size| (OneThread, 0, Load::OneWay { size })));
    loads.extend([1, 64].map(|in_flight| (Transports, 2, calls(32, in_flight))));
    loads.extend([32, 64 * KIB].map(|size| (Transports, 2, Load::OneWay { size })));
    loads.push((Transports, 2, Load::Connect));
    let idle = Load::Idle {
        connections: 1000,
        after_burst: false,
    };
    loads.push((Transports, 2, idle));
    loads.extend(through_broker().map(|load| (ThroughBroker, 2, load)));
    let rounds = loads.into_iter().map(|(chapter, workers, load)| {
        let (repeat, millis) = match load {
            Load::Idle { connections, .. } if connections > 1000 => (1, 1000),
            Load::Idle { .. } | Load::Answers { .. } | Load::Broadcast { .. } => (3, 1000),
            Load::Beside { .. } => (3, 2000),
            _ if chapter == Growth => (3, 500),
            _ => (5, 1000),
        };
        Round {
            chapter,
            load,
            workers,
            repeat,
            time: Duration::from_millis(millis),
            counts_syscalls: matches!(chapter, Calls | OneWay | Streams),
        }
    });
    rounds.collect()
}

/// What is measured with a broker between, and without.
fn through_broker() -> [Load; 6] {
    [
        calls(32, 64),
        calls(32, 512),
        Load::OneWay { size: 32 },
        Load::Answers {
            size: 32,
            count: 200_000,
        },
        Load::Broadcast {
            size: 32,
            peers: 1000,
        },
        Load::Idle {
            connections: 1000,
            after_burst: false,
        },
    ]
}

/// One short round of each chapter.
fn quick() -> Vec<Round> {
    use Chapter::{Broadcast, Calls, Connections, OneThread, OneWay, Streams, Tail, Transports};
    let idle = Load::Idle {
        connections: 300,
        after_burst: true,
    };
    let beside = |urgent| Load::Beside {
        in_flight: 8,
        urgent,
    };
    let loads = [
        (Calls, 2, calls(32, 1)),
        (Calls, 2, calls(32, 64)),
        (Calls, 2, calls_of_one_task(32, 64)),
        (Calls, 2, calls(KIB, 512)),
        (Calls, 2, calls(64 * KIB, 64)),
        (OneWay, 2, Load::OneWay { size: 32 }),
        (OneWay, 2, Load::OneWay { size: 64 * KIB }),
        (
            Streams,
            2,
            Load::Answers {
                size: 32,
                count: 20_000,
            },
        ),
        (
            Broadcast,
            2,
            Load::Broadcast {
                size: 32,
                peers: 100,
            },
        ),
        (Connections, 2, Load::Connect),
        (Connections, 2, idle),
        (Tail, 2, beside(false)),
        (Tail, 2, beside(true)),
        (OneThread, 0, calls(32, 64)),
        (Transports, 2, calls(32, 64)),
    ];
    loads
        .map(|(chapter, workers, load)| Round {
            chapter,
            load,
            workers,
            repeat: 1,
            time: Duration::from_millis(250),
            counts_syscalls: load == calls(32, 64),
        })
        .to_vec()
}
