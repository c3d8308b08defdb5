//! A thousand messages a second, one at a time.

use std::{
    io::Write as _,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{
    TrialError,
    client::{Clients, Received, connect, numbered},
    contender::Broker,
    load::Figure,
};

const TOPIC: &str = "bench/latency";
const PERIOD: Duration = Duration::from_millis(1);

pub(super) fn measure(broker: &Broker, time: Duration) -> Result<Figure, TrialError> {
    let mut clients = Clients::new();
    let wire = broker.wire;
    let mut stream = connect(broker)?;
    wire.subscribe(&mut stream, TOPIC)?;
    let started = Instant::now();
    let times = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&times);
    clients.spawn(stream, move |stream, _| {
        let mut received = Received::new(wire);
        while received
            .read(stream, |body| {
                let sent = Duration::from_nanos(numbered(body).unwrap_or_default());
                let took = started.elapsed().saturating_sub(sent);
                taken
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(took);
            })?
            .is_some()
        {}
        Ok(())
    })?;
    let mut publisher = clients.sayer(broker)?;
    let mut out = Vec::new();
    let mut next = Instant::now();
    while started.elapsed() < time {
        next += PERIOD;
        thread::sleep(next.saturating_duration_since(Instant::now()));
        let mut body = [b'.'; 32];
        let now = u64::try_from(started.elapsed().as_nanos()).unwrap_or_default();
        let (number, _) = body.split_at_mut(8);
        number.copy_from_slice(&now.to_be_bytes());
        out.clear();
        wire.publish(TOPIC, &body, &mut out);
        publisher.write_all(&out)?;
    }
    clients.end()?;
    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
    times.sort_unstable();
    let at = |hundredths: usize| times.get(times.len() * hundredths / 100).copied();
    match (at(50), at(99)) {
        (Some(median), Some(most)) => Ok(Figure::Time { median, most }),
        _ => Err(TrialError::Nothing),
    }
}
