//! A subscriber that stops reading, beside some that go on.

use std::{
    os::fd::AsFd as _,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use super::{
    TrialError,
    client::{Clients, Counts, connect, deliveries, rate, until_counted},
    contender::Broker,
    load::{Figure, Shape, SlowFigure},
};

const TOPIC: &str = "bench/slow";
const OTHERS: usize = 4;
/// How often it is looked whether the slow one was cut, and how large the broker has become.
const LOOKS: u32 = 100;

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
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(slow.as_fd(), EpollEvent::new(EpollFlags::EPOLLRDHUP, 0))?;
    let (began, first) = (Instant::now(), deliveries(&counts));
    let mut cut_after = None;
    let mut grown: f64 = 0.0;
    while began.elapsed() < time * 3 {
        thread::sleep(time * 3 / LOOKS);
        grown = grown.max(broker.memory()? - memory);
        // What it was sent it does not read: only the end of its stream is of interest.
        let mut ends = [EpollEvent::empty()];
        if cut_after.is_none() && epoll.wait(&mut ends, EpollTimeout::ZERO)? > 0 {
            cut_after = Some(began.elapsed());
        }
    }
    let after = rate(deliveries(&counts) - first, began.elapsed());
    clients.end()?;
    let lost = |counts: &Arc<Counts>| counts.lost.load(Ordering::Relaxed);
    Ok(Figure::Slow(SlowFigure {
        others: after / before,
        lost: counts.iter().map(lost).sum(),
        cut_after,
        memory: grown,
    }))
}
