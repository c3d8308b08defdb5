//! Requests that are published at one topic, and answers at another.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    TrialError,
    client::{Clients, Received, connect, rate, until_counted},
    contender::Broker,
    load::Figure,
};

const BODY: [u8; 32] = [b'.'; 32];

pub(super) fn measure(
    broker: &Broker,
    outstanding: usize,
    time: Duration,
) -> Result<Figure, TrialError> {
    let mut clients = Clients::new();
    let wire = broker.wire;
    // Redis lets a subscriber do nothing else: each party has a connection for what it hears, and one for what it says.
    let mut requests = connect(broker)?;
    wire.subscribe(&mut requests, "bench/requests")?;
    let mut answers = connect(broker)?;
    wire.subscribe(&mut answers, "bench/answers")?;
    let mut responder = clients.sayer(broker)?;
    let mut requester = clients.sayer(broker)?;
    clients.spawn(requests, move |requests, _| {
        let mut received = Received::new(wire);
        let mut out = Vec::new();
        while let Some(count) = received.read(requests, |_| ())? {
            out.clear();
            for _ in 0..count {
                wire.publish("bench/answers", &BODY, &mut out);
            }
            responder.write_all(&out)?;
        }
        Ok(())
    })?;
    let answered = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&answered);
    let mut out = Vec::new();
    for _ in 0..outstanding {
        wire.publish("bench/requests", &BODY, &mut out);
    }
    requester.write_all(&out)?;
    clients.spawn(answers, move |answers, _| {
        let mut received = Received::new(wire);
        while let Some(count) = received.read(answers, |_| ())? {
            counted.fetch_add(count, Ordering::Relaxed);
            out.clear();
            for _ in 0..count {
                wire.publish("bench/requests", &BODY, &mut out);
            }
            requester.write_all(&out)?;
        }
        Ok(())
    })?;
    let answered = || answered.load(Ordering::Relaxed);
    until_counted(answered)?;
    thread::sleep(time / 4);
    let (began, before, used) = (Instant::now(), answered(), broker.processor_time()?);
    thread::sleep(time);
    let (took, after) = (began.elapsed(), answered());
    let used = broker.processor_time()?.saturating_sub(used);
    clients.end()?;
    let count = after - before;
    if count == 0 {
        return Err(TrialError::Nothing);
    }
    Ok(Figure::Rate {
        rate: rate(count, took),
        cost: 1.0 / rate(count, used),
    })
}
