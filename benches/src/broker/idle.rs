//! Connections that have subscribed and are silent.

use std::{thread, time::Duration};

use super::{TrialError, client::connect, contender::Broker, load::Figure};

const CONNECTIONS: u16 = 1000;
/// What a broker still does for connections that have just come.
const SETTLING: Duration = Duration::from_secs(1);

pub(super) fn measure(broker: &Broker) -> Result<Figure, TrialError> {
    // What the first connection brings with it is not counted.
    let _first = connect(broker)?;
    thread::sleep(SETTLING);
    let before = broker.memory()?;
    let mut streams = Vec::new();
    for number in 0..CONNECTIONS {
        let mut stream = connect(broker)?;
        broker
            .wire
            .subscribe(&mut stream, &format!("bench/idle/{number}"))?;
        streams.push(stream);
    }
    thread::sleep(SETTLING);
    let after = broker.memory()?;
    Ok(Figure::Memory((after - before) / f64::from(CONNECTIONS)))
}
