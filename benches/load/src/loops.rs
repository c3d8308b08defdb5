//! The loops of the two loads that count most.
//!
//! A note is checked when it comes back. Latencies are taken only where one call is in flight: with more of them the two
//! looks at the clock would be a part of what is measured.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::{
    Failure, Latency, Note, Outcome, Peer, Stop, Tally, check_tally, data_of, expect_same,
};

/// Calls: `in_flight` tasks for each of `peers`, each with one call after the other.
pub(crate) async fn calls<P: Peer>(
    peers: &[P],
    size: usize,
    in_flight: usize,
    time: Duration,
) -> Result<Outcome, Failure> {
    let data = data_of(size);
    let timed = peers.len() == 1 && in_flight == 1;
    let started = Instant::now();
    let stop = Stop::after(time);
    let mut tasks = JoinSet::new();
    let mut first: u64 = 0;
    for peer in peers {
        for _ in 0..in_flight {
            let (peer, data, stop) = (peer.clone(), data.clone(), stop.clone());
            // Each task counts in a range of its own.
            first += 1 << 32;
            tasks.spawn(async move {
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
                Ok::<_, Failure>((number - first, latency))
            });
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

/// One-way messages, as fast as they are taken; then asks what has come.
pub(crate) async fn one_way<P: Peer>(
    peer: &P,
    size: usize,
    time: Duration,
) -> Result<Outcome, Failure> {
    let data = data_of(size);
    let mut sent = Tally::default();
    let started = Instant::now();
    let stop = Stop::after(time);
    while !stop.is_over() {
        let number = sent.count;
        let data = data.clone();
        peer.tell(Note { number, data }).await?;
        sent.add(number);
    }
    check_tally(sent, peer.tally().await?)?;
    Ok(Outcome::since(started, sent.count))
}
