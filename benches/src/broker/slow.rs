//! A subscriber that stops reading, beside some that go on.

use std::{
    io::{ErrorKind, Read as _},
    net::TcpStream,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    TrialError,
    client::{Clients, Counts, connect, deliveries, rate, until_counted},
    contender::Broker,
    load::{Figure, Shape, SlowFigure},
};

const TOPIC: &str = "bench/slow";
const OTHERS: usize = 4;
/// How often it is looked how large the broker has become.
const LOOKS: u32 = 100;
/// How long a connection that is read at last may say nothing until it counts as open.
const LAST_WORDS: Duration = Duration::from_millis(500);

pub(super) fn measure(broker: &Broker, time: Duration) -> Result<Figure, TrialError> {
    let mut clients = Clients::new();
    let mut counts = Vec::new();
    for _ in 0..OTHERS {
        counts.push(clients.subscriber(broker, TOPIC)?);
    }
    let shape = Shape {
        name: "slow",
        publishers: 1,
        subscribers: OTHERS,
        size: 1024,
        is_written_alone: false,
    };
    clients.publisher(broker, TOPIC.to_owned(), shape)?;
    until_counted(|| deliveries(&counts))?;
    thread::sleep(time / 4);
    let (began, first) = (Instant::now(), deliveries(&counts));
    thread::sleep(time);
    let before = rate(deliveries(&counts) - first, began.elapsed());

    let memory = broker.memory()?;
    let mut slow = connect(broker)?;
    broker.wire.subscribe(&mut slow, TOPIC)?;
    let (began, first) = (Instant::now(), deliveries(&counts));
    let mut grown: f64 = 0.0;
    while began.elapsed() < time * 3 {
        thread::sleep(time * 3 / LOOKS);
        grown = grown.max(broker.memory()? - memory);
    }
    let after = rate(deliveries(&counts) - first, began.elapsed());
    clients.end()?;
    let is_cut = is_at_end(&mut slow)?;
    let lost = |counts: &Arc<Counts>| counts.lost.load(Ordering::Relaxed);
    Ok(Figure::Slow(SlowFigure {
        others: after / before,
        lost: counts.iter().map(lost).sum(),
        is_cut,
        memory: grown,
    }))
}

/// Whether the broker has closed this connection, which shows behind what it had written before.
fn is_at_end(stream: &mut TcpStream) -> Result<bool, TrialError> {
    stream.set_read_timeout(Some(LAST_WORDS))?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
    }
}
