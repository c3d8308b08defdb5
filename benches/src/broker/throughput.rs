//! Publishers that write as fast as they can.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    TrialError,
    client::{Clients, deliveries, rate, until_counted},
    contender::Broker,
    load::{Figure, Shape},
};

pub(super) fn measure(broker: &Broker, shape: Shape, time: Duration) -> Result<Figure, TrialError> {
    let mut clients = Clients::new();
    let topics: Vec<String> = (0..shape.publishers)
        .map(|number| format!("bench/topic{number}"))
        .collect();
    let mut counts = Vec::new();
    for topic in &topics {
        for _ in 0..shape.subscribers {
            counts.push(clients.subscriber(broker, topic)?);
        }
    }
    for topic in topics {
        clients.publisher(broker, topic, shape)?;
    }
    until_counted(|| deliveries(&counts))?;
    thread::sleep(time / 4);
    let (began, before, used) = (
        Instant::now(),
        deliveries(&counts),
        broker.processor_time()?,
    );
    thread::sleep(time);
    let (took, after) = (began.elapsed(), deliveries(&counts));
    let used = broker.processor_time()?.saturating_sub(used);
    // A publisher that was thrown out says so here.
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
