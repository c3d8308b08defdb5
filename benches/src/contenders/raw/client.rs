//! The client: one task, which reads and writes as the socket allows.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::Poll,
    time::{Duration, Instant},
};

use msip_load::{
    Failure, Job, Latency, Load, Outcome, Stop, Tally, check_tally, data_of, expect_same,
};
use prost::Message as _;
use tokio::{
    io::{AsyncWrite as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use super::frame::{Inbox, RawNote, RawTally, WRITE_LEN, kind, put};

/// Puts a load on the server at this port.
pub(crate) async fn drive(port: u16, job: Job) -> Result<Outcome, Failure> {
    match job.load {
        Load::Calls {
            size,
            in_flight,
            connections,
        } => calls(port, size, in_flight, connections, job.time).await,
        Load::OneWay { size } => one_way(port, size, job.time).await,
    }
}

/// A connection: what came, and what is to go.
struct Connection {
    stream: TcpStream,
    inbox: Inbox,
    out: Vec<u8>,
    /// How much of `out` is written.
    written: usize,
}

impl Connection {
    async fn open(port: u16) -> Result<Self, Failure> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            inbox: Inbox::new(),
            out: Vec::new(),
            written: 0,
        })
    }

    /// Writes what the socket takes, until something has come.
    async fn turn(&mut self) -> Result<(), Failure> {
        let len = poll_fn(|context| {
            while self.written < self.out.len() {
                let rest = &self.out[self.written..];
                match Pin::new(&mut self.stream).poll_write(context, rest) {
                    Poll::Ready(len) => self.written += len?,
                    Poll::Pending => break,
                }
            }
            if self.written == self.out.len() {
                self.out.clear();
                self.written = 0;
            }
            self.inbox.poll_fill(&mut self.stream, context)
        })
        .await?;
        if len == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        self.stream.write_all(&self.out).await?;
        self.out.clear();
        Ok(())
    }
}

async fn calls(
    port: u16,
    size: usize,
    in_flight: usize,
    connections: usize,
    time: Duration,
) -> Result<Outcome, Failure> {
    let mut opened = Vec::new();
    for _ in 0..connections {
        opened.push(Connection::open(port).await?);
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
    Ok(Outcome {
        messages,
        seconds: started.elapsed().as_secs_f64(),
        latency: latency.percentiles(),
    })
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

async fn one_way(port: u16, size: usize, time: Duration) -> Result<Outcome, Failure> {
    let mut connection = Connection::open(port).await?;
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
    Ok(Outcome {
        messages: sent.count,
        seconds: started.elapsed().as_secs_f64(),
        latency: None,
    })
}

/// Asks what has come of the notes.
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
