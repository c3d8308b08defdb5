//! Driving a load, for contenders that implement `Peer`.

use std::time::Instant;

use tokio::task::JoinSet;

use crate::{
    Arrivals, BULK, BURST, Failure, Hold, Job, Latency, Load, Note, Outcome, Peer, SMALL, Stop,
    Tally, Target, calls, check_tally, data_of, expect_same,
};

/// Puts a load on a server.
///
/// # Errors
///
/// Something failed, was lost or was answered wrongly; or the contender has no such thing.
pub async fn drive<P: Peer>(target: Target, job: Job, hold: &mut Hold) -> Result<Outcome, Failure> {
    match job.load {
        Load::Calls {
            size,
            in_flight,
            connections,
            callers,
        } => {
            let peers = connect_all::<P>(&target, connections).await?;
            calls::calls(&peers, size, in_flight, callers, job.time).await
        }
        Load::OneWay { size } => P::connect(&target).await?.one_way(size, job.time).await,
        Load::Answers { size, count } => answers(P::connect(&target).await?, size, count).await,
        Load::Broadcast { size, peers } => broadcast::<P>(target, size, peers, job).await,
        Load::Connect => connects::<P>(&target, job).await,
        Load::Idle {
            connections,
            after_burst,
        } => {
            let started = Instant::now();
            let peers = connect_all::<P>(&target, connections).await?;
            let outcome = Outcome::since(started, connections as u64);
            if after_burst {
                for peer in &peers {
                    burst(peer).await?;
                }
            }
            hold.until_released().await?;
            Ok(outcome)
        }
        Load::Beside { in_flight, urgent } => {
            beside(P::connect(&target).await?, in_flight, urgent, job).await
        }
    }
}

/// Connects as many, and calls once on each, so that each is all there.
async fn connect_all<P: Peer>(target: &Target, connections: usize) -> Result<Vec<P>, Failure> {
    let mut peers = Vec::with_capacity(connections);
    for number in 0..connections as u64 {
        let peer = P::connect(target).await?;
        let data = data_of(SMALL);
        let answer = peer
            .call(Note {
                number,
                data: data.clone(),
            })
            .await?;
        expect_same(number, &data, answer.number, &answer.data)?;
        peers.push(peer);
    }
    Ok(peers)
}

async fn answers<P: Peer>(peer: P, size: usize, count: u64) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let came = peer.take_answers(size, count).await?;
    let mut sent = Tally::default();
    (0..count).for_each(|number| sent.add(number));
    check_tally(sent, came)?;
    Ok(Outcome::since(started, count))
}

/// How far shouts go ahead of the slowest client.
const SHOUTS_AHEAD: u64 = 8;

async fn broadcast<P: Peer>(
    target: Target,
    size: usize,
    peers: usize,
    job: Job,
) -> Result<Outcome, Failure> {
    let arrivals = Arrivals::default();
    let target = Target {
        arrivals: Some(arrivals.clone()),
        ..target
    };
    let crowd = connect_all::<P>(&target, peers).await?;
    let Some(first) = crowd.first() else {
        return Err(Failure::NotOffered);
    };
    let data = data_of(size);
    let each = peers as u64;
    let started = Instant::now();
    let stop = Stop::after(job.time);
    let mut number = 0;
    while !stop.is_over() {
        let data = data.clone();
        first.shout(Note { number, data }).await?;
        number += 1;
        arrivals
            .reach(number.saturating_sub(SHOUTS_AHEAD) * each)
            .await?;
    }
    arrivals.reach(number * each).await?;
    Ok(Outcome::since(started, number * each))
}

async fn connects<P: Peer>(target: &Target, job: Job) -> Result<Outcome, Failure> {
    let data = data_of(SMALL);
    let mut latency = Latency::default();
    let started = Instant::now();
    let stop = Stop::after(job.time);
    let mut number = 0;
    while !stop.is_over() {
        let begun = Instant::now();
        let peer = P::connect(target).await?;
        let data = data.clone();
        let note = Note {
            number,
            data: data.clone(),
        };
        let answer = peer.call(note).await?;
        latency.record(begun.elapsed());
        expect_same(number, &data, answer.number, &answer.data)?;
        peer.close().await;
        number += 1;
    }
    Ok(Outcome::since(started, number).with_latency(&latency))
}

/// Many calls at once.
async fn burst<P: Peer>(peer: &P) -> Result<(), Failure> {
    let (size, count) = BURST;
    let data = data_of(size);
    let mut tasks = JoinSet::new();
    for number in 0..count as u64 {
        let (peer, data) = (peer.clone(), data.clone());
        tasks.spawn(async move { peer.call(Note { number, data }).await });
    }
    while let Some(answered) = tasks.join_next().await {
        answered??;
    }
    Ok(())
}

async fn beside<P: Peer>(
    peer: P,
    in_flight: usize,
    urgent: bool,
    job: Job,
) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let stop = Stop::after(job.time);
    let bulk = {
        let (peer, stop, data) = (peer.clone(), stop.clone(), data_of(BULK));
        tokio::spawn(async move {
            let mut sent = Tally::default();
            while !stop.is_over() {
                let (number, data) = (sent.count, data.clone());
                peer.tell(Note { number, data }).await?;
                sent.add(number);
            }
            check_tally(sent, peer.tally().await?)?;
            Ok::<_, Failure>(sent.count)
        })
    };
    let data = data_of(SMALL);
    let mut tasks = JoinSet::new();
    for task in 0..in_flight as u64 {
        let (peer, data, stop) = (peer.clone(), data.clone(), stop.clone());
        tasks.spawn(async move {
            let mut latency = Latency::default();
            let mut number = task << 32;
            while !stop.is_over() {
                let note = Note {
                    number,
                    data: data.clone(),
                };
                let asked = Instant::now();
                let answer = if urgent {
                    peer.call_urgently(note).await?
                } else {
                    peer.call(note).await?
                };
                latency.record(asked.elapsed());
                expect_same(number, &data, answer.number, &answer.data)?;
                number += 1;
            }
            Ok::<_, Failure>(latency)
        });
    }
    let mut latency = Latency::default();
    while let Some(ended) = tasks.join_next().await {
        latency.merge(&ended??);
    }
    let outcome = Outcome::since(started, latency.count()).with_latency(&latency);
    Ok(Outcome {
        bulk: bulk.await??,
        ..outcome
    })
}
