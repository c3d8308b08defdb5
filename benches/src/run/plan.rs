//! What is run: who, and under which loads.

use std::time::Duration;

use msip_load::{Contender as _, Load};

use super::{RunJob, millis};
use crate::contenders::Own;

/// Who meets what, how often and for how long.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) contenders: Vec<String>,
    pub(super) loads: Vec<Load>,
    pub(super) repeat: usize,
    pub(super) time: Duration,
    pub(super) workers: usize,
}

impl Plan {
    pub(super) fn new(job: &RunJob) -> Self {
        let names = Own::ALL.iter().map(|contender| contender.name());
        let contenders = names
            .filter(|name| job.only.is_empty() || job.only.iter().any(|only| only == name))
            .map(str::to_owned)
            .collect();
        let loads = loads(job.quick).into_iter();
        let loads = loads
            .filter(|load| {
                let part = job.load.as_deref().unwrap_or_default();
                load.to_string().contains(part)
            })
            .collect();
        Self {
            contenders,
            loads,
            repeat: job.repeat.unwrap_or(if job.quick { 1 } else { 5 }),
            time: millis(job),
            workers: job.workers,
        }
    }
}

const KIB: usize = 1024;

fn loads(quick: bool) -> Vec<Load> {
    let sizes = [32, KIB, 64 * KIB];
    let in_flight: &[usize] = if quick { &[1, 64] } else { &[1, 64, 512, 4096] };
    let mut loads = Vec::new();
    for size in sizes {
        for &in_flight in in_flight {
            loads.push(Load::Calls {
                size,
                in_flight,
                connections: 1,
            });
        }
    }
    loads.extend(sizes.map(|size| Load::OneWay { size }));
    loads
}
