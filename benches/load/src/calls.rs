//! The loop of calls.
//!
//! A note is checked when it comes back. Latencies are taken only where one call is in flight: with more of them the two
//! looks at the clock would be a part of what is measured.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, TryStreamExt as _};
use tokio::task::JoinSet;

use crate::{Callers, Failure, Latency, Note, Outcome, Peer, Stop, data_of, expect_same};

/// Calls: `in_flight` of them for each of `peers`, each followed by the next.
pub(crate) async fn calls<P: Peer>(
    peers: &[P],
    size: usize,
    in_flight: usize,
    callers: Callers,
    time: Duration,
) -> Result<Outcome, Failure> {
    let timed = peers.len() == 1 && in_flight == 1;
    let started = Instant::now();
    let stop = Stop::after(time);
    let mut tasks = JoinSet::new();
    // Each counts in a range of its own.
    let mut numbers = (1..).map(|nth: u64| nth << 32);
    for peer in peers {
        let each = numbers.by_ref().take(in_flight).map(|first| {
            let (peer, stop) = (peer.clone(), stop.clone());
            one_after_the_other(peer, first, data_of(size), stop, timed)
        });
        match callers {
            Callers::Tasks => each.for_each(|calls| {
                tasks.spawn(calls);
            }),
            Callers::OneTask => {
                let together: FuturesUnordered<_> = each.collect();
                tasks.spawn(together.try_fold(
                    (0, None),
                    async |(messages, latency), (count, taken)| {
                        Ok((messages + count, taken.or(latency)))
                    },
                ));
            }
        }
    }
    let mut messages = 0;
    let mut latency = Latency::default();
    while let Some(ended) = tasks.join_next().await {
        let (count, taken) = ended??;
        messages += count;
        if let Some(taken) = taken {
            latency.merge(&taken);
        }
    }
    Ok(Outcome::since(started, messages).with_latency(&latency))
}

/// One call after the other, counted from `first` on. Returns how many there were.
async fn one_after_the_other<P: Peer>(
    peer: P,
    first: u64,
    data: Bytes,
    stop: Stop,
    timed: bool,
) -> Result<(u64, Option<Latency>), Failure> {
    let mut latency = timed.then(Latency::default);
    let mut number = first;
    while !stop.is_over() {
        let asked = latency.is_some().then(Instant::now);
        let note = Note {
            number,
            data: data.clone(),
        };
        let answer = peer.call(note).await?;
        if let (Some(latency), Some(asked)) = (&mut latency, asked) {
            latency.record(asked.elapsed());
        }
        expect_same(number, &data, answer.number, &answer.data)?;
        number += 1;
    }
    Ok((number - first, latency))
}
