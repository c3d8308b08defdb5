//! The client: one task, which reads and writes as the socket allows.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::Poll,
    time::{Duration, Instant},
};

use msip_load::{
    Arrivals, BULK, BURST, Failure, Hold, Job, Latency, Load, Outcome, SMALL, Stop, Tally,
    check_tally, data_of, expect_same,
};
use prost::Message as _;
use tokio::{
    io::{AsyncWrite as _, AsyncWriteExt as _},
    task::JoinSet,
};

use super::{
    frame::{Inbox, RawFeed, RawNote, RawTally, WRITE_LEN, kind, put},
    way::{Io, Server, Way},
};

/// Puts a load on the server at this port.
pub(crate) async fn drive(
    way: Way,
    port: u16,
    job: Job,
    hold: &mut Hold,
) -> Result<Outcome, Failure> {
    let Job { load, time } = job;
    let server = Server::new(way, port)?;
    let server = &server;
    match load {
        Load::Calls {
            size,
            in_flight,
            connections,
            // It is one task anyway.
            callers: _,
        } => calls(server, size, in_flight, connections, time).await,
        Load::OneWay { size } => one_way(server, size, time).await,
        Load::Answers { size, count } => answers(server, size, count).await,
        Load::Broadcast { size, peers } => broadcast(server, size, peers, time).await,
        Load::Connect => connects(server, time).await,
        Load::Idle {
            connections,
            after_burst,
        } => {
            let started = Instant::now();
            let mut opened = Vec::with_capacity(connections);
            for _ in 0..connections {
                let mut connection = Connection::open(server).await?;
                call(&mut connection, SMALL).await?;
                opened.push(connection);
            }
            let outcome = Outcome::since(started, connections as u64);
            if after_burst {
                for connection in &mut opened {
                    let (size, count) = BURST;
                    call_all(connection, size, count as u64).await?;
                }
            }
            hold.until_released().await?;
            Ok(outcome)
        }
        Load::Beside { in_flight, urgent } => beside(server, in_flight, urgent, time).await,
    }
}

/// A connection: what came, and what is to go.
struct Connection {
    stream: Box<dyn Io>,
    inbox: Inbox,
    out: Vec<u8>,
    /// How much of `out` is written.
    written: usize,
    /// Whether the stream has been flushed since: some hold back what they have taken.
    is_flushed: bool,
}

impl Connection {
    async fn open(server: &Server) -> Result<Self, Failure> {
        Ok(Self {
            stream: server.connect().await?,
            inbox: Inbox::new(),
            out: Vec::new(),
            written: 0,
            is_flushed: true,
        })
    }

    /// Writes what the socket takes, until something was received.
    async fn turn(&mut self) -> Result<(), Failure> {
        self.turn_until(false).await
    }

    /// Writes what the socket takes, until all of it is written, or something was received.
    async fn turn_written(&mut self) -> Result<(), Failure> {
        self.turn_until(true).await
    }

    async fn turn_until(&mut self, is_written: bool) -> Result<(), Failure> {
        let len = poll_fn(|context| {
            let had_more = !self.out.is_empty();
            while self.written < self.out.len() {
                let rest = &self.out[self.written..];
                match Pin::new(&mut self.stream).poll_write(context, rest) {
                    Poll::Ready(len) => {
                        self.written += len?;
                        self.is_flushed = false;
                    }
                    Poll::Pending => break,
                }
            }
            if self.written == self.out.len() {
                self.out.clear();
                self.written = 0;
            }
            if !self.is_flushed
                && self.out.is_empty()
                && let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(context)
            {
                flushed?;
                self.is_flushed = true;
            }
            match self.inbox.poll_fill(&mut self.stream, context) {
                Poll::Pending
                    if is_written && had_more && self.out.is_empty() && self.is_flushed =>
                {
                    Poll::Ready(Ok(None))
                }
                filled => filled.map_ok(Some),
            }
        })
        .await?;
        if len == Some(0) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        self.stream.write_all(&self.out).await?;
        self.stream.flush().await?;
        self.out.clear();
        Ok(())
    }
}

async fn calls(
    server: &Server,
    size: usize,
    in_flight: usize,
    connections: usize,
    time: Duration,
) -> Result<Outcome, Failure> {
    let mut opened = Vec::new();
    for _ in 0..connections {
        opened.push(Connection::open(server).await?);
    }
    let timed = connections == 1 && in_flight == 1;
    let started = Instant::now();
    let stop = Stop::after(time);
    let mut tasks = JoinSet::new();
    for connection in opened {
        tasks.spawn(calls_over(connection, size, in_flight, stop.clone(), timed));
    }
    let mut messages = 0;
    let mut latency = Latency::default();
    while let Some(ended) = tasks.join_next().await {
        let (count, taken) = ended??;
        messages += count;
        latency.merge(&taken);
    }
    Ok(Outcome::since(started, messages).with_latency(&latency))
}

/// Keeps `in_flight` calls open, each of which goes by its number.
async fn calls_over(
    mut connection: Connection,
    size: usize,
    in_flight: usize,
    stop: Stop,
    timed: bool,
) -> Result<(u64, Latency), Failure> {
    let mut note = RawNote {
        number: 0,
        data: data_of(size).to_vec(),
    };
    let mut answer = RawNote::default();
    let mut latency = Latency::default();
    let mut next: u64 = 0;
    let mut answered: u64 = 0;
    while next < in_flight as u64 {
        note.number = next;
        put(&mut connection.out, kind::ECHO, next, &note);
        next += 1;
    }
    let mut asked = timed.then(Instant::now);
    while answered < next {
        connection.turn().await?;
        while let Some(frame) = connection.inbox.next()? {
            answer.read(frame.body)?;
            if let Some(asked) = asked {
                latency.record(asked.elapsed());
            }
            expect_same(frame.id, &note.data, answer.number, &answer.data)?;
            answered += 1;
            if !stop.is_over() {
                note.number = next;
                asked = timed.then(Instant::now);
                put(&mut connection.out, kind::ECHO, next, &note);
                next += 1;
            }
        }
    }
    Ok((answered, latency))
}

async fn one_way(server: &Server, size: usize, time: Duration) -> Result<Outcome, Failure> {
    let mut connection = Connection::open(server).await?;
    let mut note = RawNote {
        number: 0,
        data: data_of(size).to_vec(),
    };
    let mut sent = Tally::default();
    let started = Instant::now();
    let stop = Stop::after(time);
    while !stop.is_over() {
        while connection.out.len() < WRITE_LEN {
            note.number = sent.count;
            put(&mut connection.out, kind::NOTE, 0, &note);
            sent.add(note.number);
        }
        connection.flush().await?;
    }
    let came = tally(&mut connection).await?;
    check_tally(sent, came)?;
    Ok(Outcome::since(started, sent.count))
}

/// Asks for the sum of the notes.
async fn tally(connection: &mut Connection) -> Result<Tally, Failure> {
    put(&mut connection.out, kind::TALLY, 1, &RawTally::default());
    loop {
        connection.turn().await?;
        if let Some(frame) = connection.inbox.next()? {
            let RawTally { count, sum } = RawTally::decode(frame.body).map_err(Failure::library)?;
            return Ok(Tally { count, sum });
        }
    }
}

/// One call.
async fn call(connection: &mut Connection, size: usize) -> Result<(), Failure> {
    call_all(connection, size, 1).await
}

/// As many calls at once.
async fn call_all(connection: &mut Connection, size: usize, count: u64) -> Result<(), Failure> {
    let mut note = RawNote {
        number: 0,
        data: data_of(size).to_vec(),
    };
    for number in 0..count {
        note.number = number;
        put(&mut connection.out, kind::ECHO, number, &note);
    }
    let mut answer = RawNote::default();
    let mut answered = 0;
    while answered < count {
        connection.turn().await?;
        while let Some(frame) = connection.inbox.next()? {
            answer.read(frame.body)?;
            expect_same(frame.id, &note.data, answer.number, &answer.data)?;
            answered += 1;
        }
    }
    Ok(())
}

async fn answers(server: &Server, size: usize, count: u64) -> Result<Outcome, Failure> {
    let mut connection = Connection::open(server).await?;
    let size = u32::try_from(size).map_err(Failure::library)?;
    let started = Instant::now();
    put(&mut connection.out, kind::FEED, 1, &RawFeed { count, size });
    let mut note = RawNote::default();
    let (mut sent, mut came) = (Tally::default(), Tally::default());
    while came.count < count {
        connection.turn().await?;
        while let Some(frame) = connection.inbox.next()? {
            note.read(frame.body)?;
            came.add(note.number);
        }
    }
    (0..count).for_each(|number| sent.add(number));
    check_tally(sent, came)?;
    Ok(Outcome::since(started, count))
}

async fn connects(server: &Server, time: Duration) -> Result<Outcome, Failure> {
    let mut latency = Latency::default();
    let started = Instant::now();
    let stop = Stop::after(time);
    let mut count = 0;
    while !stop.is_over() {
        let begun = Instant::now();
        let mut connection = Connection::open(server).await?;
        call(&mut connection, SMALL).await?;
        latency.record(begun.elapsed());
        count += 1;
    }
    Ok(Outcome::since(started, count).with_latency(&latency))
}

/// How far shouts go ahead of the slowest client, as for the other contenders.
const SHOUTS_AHEAD: u64 = 8;

async fn broadcast(
    server: &Server,
    size: usize,
    peers: usize,
    time: Duration,
) -> Result<Outcome, Failure> {
    let arrivals = Arrivals::default();
    let mut listeners = JoinSet::new();
    for _ in 0..peers {
        let mut connection = Connection::open(server).await?;
        call(&mut connection, SMALL).await?;
        let counter = arrivals.of_one();
        listeners.spawn(async move {
            let mut note = RawNote::default();
            // It ends with this task.
            while connection.turn().await.is_ok() {
                while let Ok(Some(frame)) = connection.inbox.next() {
                    if note.read(frame.body).is_ok() {
                        counter.add(note.number);
                    }
                }
            }
        });
    }
    // The sender of a broadcast receives it too, which is not counted.
    let mut shouter = Connection::open(server).await?;
    let mut note = RawNote {
        number: 0,
        data: data_of(size).to_vec(),
    };
    let each = peers as u64;
    let started = Instant::now();
    let stop = Stop::after(time);
    let mut number = 0;
    while !stop.is_over() {
        note.number = number;
        put(&mut shouter.out, kind::SHOUT, number, &note);
        number += 1;
        let mut is_answered = false;
        while !is_answered {
            shouter.turn().await?;
            while let Some(frame) = shouter.inbox.next()? {
                is_answered |= frame.kind == kind::SHOUT;
            }
        }
        arrivals
            .reach(number.saturating_sub(SHOUTS_AHEAD) * each)
            .await?;
    }
    arrivals.reach(number * each).await?;
    Ok(Outcome::since(started, number * each))
}

/// Calls among large messages: one of these goes out whenever all else is written.
async fn beside(
    server: &Server,
    in_flight: usize,
    urgent: bool,
    time: Duration,
) -> Result<Outcome, Failure> {
    if urgent {
        return Err(Failure::NotOffered);
    }
    let mut connection = Connection::open(server).await?;
    let mut small = RawNote {
        number: 0,
        data: data_of(SMALL).to_vec(),
    };
    let mut large = RawNote {
        number: 0,
        data: data_of(BULK).to_vec(),
    };
    let mut answer = RawNote::default();
    let mut latency = Latency::default();
    let mut sent = Tally::default();
    let mut asked = vec![Instant::now(); in_flight];
    let mut open = 0;
    let started = Instant::now();
    let stop = Stop::after(time);
    for id in 0..in_flight as u64 {
        small.number = id;
        put(&mut connection.out, kind::ECHO, id, &small);
        open += 1;
    }
    while open > 0 {
        while connection.out.len() < WRITE_LEN && !stop.is_over() {
            large.number = sent.count;
            put(&mut connection.out, kind::NOTE, 0, &large);
            sent.add(large.number);
        }
        connection.turn_written().await?;
        while let Some(frame) = connection.inbox.next()? {
            answer.read(frame.body)?;
            expect_same(frame.id, &small.data, answer.number, &answer.data)?;
            open -= 1;
            // Each of them has a place, which its id names.
            let place = usize::try_from(frame.id)
                .ok()
                .and_then(|id| asked.get_mut(id));
            let Some(place) = place else {
                return Err(Failure::Protocol(format!("nobody asked {}", frame.id)));
            };
            latency.record(place.elapsed());
            if !stop.is_over() {
                *place = Instant::now();
                small.number = frame.id;
                put(&mut connection.out, kind::ECHO, frame.id, &small);
                open += 1;
            }
        }
    }
    let outcome = Outcome::since(started, latency.count()).with_latency(&latency);
    check_tally(sent, tally(&mut connection).await?)?;
    Ok(Outcome {
        bulk: sent.count,
        ..outcome
    })
}
