//! The clients: threads with a socket each.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    TrialError,
    contender::Broker,
    load::Shape,
    wire::{Heard, Wire},
};

/// How much a client reads at once.
const READ: usize = 256 * 1024;
/// How much a publisher writes at once.
const WRITE: usize = 64 * 1024;

/// What has not been looked at of what a client has read.
pub(super) struct Received {
    wire: Wire,
    buffer: Vec<u8>,
    len: usize,
}

impl Received {
    pub(super) fn new(wire: Wire) -> Self {
        Self {
            wire,
            buffer: vec![0; READ],
            len: 0,
        }
    }

    /// Reads once, and shows each message that is there. How many there were; `None` at the end of input.
    pub(super) fn read(
        &mut self,
        stream: &mut TcpStream,
        mut see: impl FnMut(&[u8]),
    ) -> io::Result<Option<u64>> {
        if self.len == self.buffer.len() {
            self.buffer.resize(self.len * 2, 0);
        }
        let count = stream.read(self.buffer.get_mut(self.len..).unwrap_or_default())?;
        if count == 0 {
            return Ok(None);
        }
        self.len += count;
        let mut deliveries = 0;
        let mut at = 0;
        while let Some((heard, len)) = self
            .buffer
            .get(at..self.len)
            .and_then(|rest| self.wire.next(rest))
        {
            if let Heard::Delivery(body) = heard {
                deliveries += 1;
                see(body);
            }
            at += len;
        }
        self.buffer.copy_within(at..self.len, 0);
        self.len -= at;
        Ok(Some(deliveries))
    }
}

/// A client that was told nothing yet.
pub(super) fn connect(broker: &Broker) -> Result<TcpStream, TrialError> {
    let mut stream = TcpStream::connect(broker.address)?;
    stream.set_nodelay(true)?;
    broker.wire.greet(&mut stream)?;
    Ok(stream)
}

/// What is common to the clients of a trial: they end when it is dropped.
pub(super) struct Clients {
    is_over: Arc<AtomicBool>,
    streams: Vec<TcpStream>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

/// What a subscriber counts.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) deliveries: AtomicU64,
    /// How many numbers it has missed, of messages that begin with one.
    pub(super) lost: AtomicU64,
}

impl Clients {
    pub(super) fn new() -> Self {
        Self {
            is_over: Arc::default(),
            streams: Vec::new(),
            threads: Vec::new(),
        }
    }

    /// Lets this run in a thread with the stream until it is shut down.
    pub(super) fn spawn(
        &mut self,
        mut stream: TcpStream,
        run: impl FnOnce(&mut TcpStream, &AtomicBool) -> io::Result<()> + Send + 'static,
    ) -> Result<(), TrialError> {
        self.streams.push(stream.try_clone()?);
        let is_over = Arc::clone(&self.is_over);
        self.threads.push(thread::spawn(move || {
            match run(&mut stream, &is_over) {
                // Its stream is shut down at the end.
                Err(_) if is_over.load(Ordering::Relaxed) => Ok(()),
                ended => ended,
            }
        }));
        Ok(())
    }

    /// A subscriber that counts.
    pub(super) fn subscriber(
        &mut self,
        broker: &Broker,
        topic: &str,
    ) -> Result<Arc<Counts>, TrialError> {
        let mut stream = connect(broker)?;
        broker.wire.subscribe(&mut stream, topic)?;
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        let wire = broker.wire;
        self.spawn(stream, move |stream, _| {
            let mut received = Received::new(wire);
            let mut expected = 0;
            let mut missed = 0;
            while let Some(count) = received.read(stream, |body| {
                let number = numbered(body).unwrap_or_default();
                if number > expected {
                    missed += number - expected;
                }
                expected = number + 1;
            })? {
                counted.deliveries.fetch_add(count, Ordering::Relaxed);
                counted.lost.store(missed, Ordering::Relaxed);
            }
            Ok(())
        })?;
        Ok(counts)
    }

    /// A publisher that writes numbered messages as fast as they are taken, and reads what it is answered.
    pub(super) fn publisher(
        &mut self,
        broker: &Broker,
        topic: String,
        shape: Shape,
    ) -> Result<(), TrialError> {
        let stream = connect(broker)?;
        let answers = stream.try_clone()?;
        let wire = broker.wire;
        self.spawn(answers, |answers, _| {
            let mut buffer = vec![0; READ];
            while answers.read(&mut buffer)? > 0 {}
            Ok(())
        })?;
        self.spawn(stream, move |stream, is_over| {
            let mut body = vec![b'.'; shape.size];
            let mut number: u64 = 0;
            let mut out = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                out.clear();
                while out.len() < WRITE {
                    body.splice(..8, number.to_be_bytes());
                    wire.publish(&topic, &body, &mut out);
                    number += 1;
                    if shape.is_written_alone {
                        break;
                    }
                }
                stream.write_all(&out)?;
            }
            Ok(())
        })
    }

    /// Ends all, and tells what went wrong.
    pub(super) fn end(mut self) -> Result<(), TrialError> {
        self.shut_down();
        for thread in std::mem::take(&mut self.threads) {
            thread.join().map_err(|_| TrialError::Panicked)??;
        }
        Ok(())
    }

    fn shut_down(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for stream in self.streams.drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.shut_down();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The number that a body begins with.
pub(super) fn numbered(body: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(body.get(..8)?.try_into().ok()?))
}

/// The deliveries of all.
pub(super) fn deliveries<'a>(counts: impl IntoIterator<Item = &'a Arc<Counts>>) -> u64 {
    counts
        .into_iter()
        .map(|counts| counts.deliveries.load(Ordering::Relaxed))
        .sum()
}

/// How many a second.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 messages")]
pub(super) fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Waits until something has been counted.
pub(super) fn until_counted(mut count: impl FnMut() -> u64) -> Result<(), TrialError> {
    let started = Instant::now();
    while count() == 0 {
        if started.elapsed() > Duration::from_secs(10) {
            return Err(TrialError::Nothing);
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

impl Clients {
    /// A connection that only says something; what it is answered is read and forgotten.
    pub(super) fn sayer(&mut self, broker: &Broker) -> Result<TcpStream, TrialError> {
        let stream = connect(broker)?;
        let answers = stream.try_clone()?;
        self.spawn(answers, |answers, _| {
            let mut buffer = vec![0; READ];
            while answers.read(&mut buffer)? > 0 {}
            Ok(())
        })?;
        Ok(stream)
    }
}
