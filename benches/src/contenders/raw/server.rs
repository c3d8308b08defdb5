//! The server: a task per connection, a write per read.

use std::{
    collections::HashMap,
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use msip_load::{Failure, Tally, data_of};
use prost::Message as _;
use tokio::{
    io::AsyncWrite as _,
    net::{
        TcpListener,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};

use super::frame::{Inbox, RawFeed, RawNote, RawTally, WRITE_LEN, kind, put};

/// The receivers of broadcasts.
type Crowd = Arc<Mutex<HashMap<u64, Arc<Mutex<Outbox>>>>>;

/// What is to be written to one connection.
struct Outbox {
    writer: OwnedWriteHalf,
    bytes: Vec<u8>,
    written: usize,
    /// The task that writes what a shout could not.
    task: Option<Waker>,
}

impl Outbox {
    /// Takes what is in `out`, and writes what the socket takes.
    fn poll_send(&mut self, out: &mut Vec<u8>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.bytes.is_empty() {
            std::mem::swap(&mut self.bytes, out);
        } else {
            self.bytes.append(out);
        }
        while self.written < self.bytes.len() {
            let rest = &self.bytes[self.written..];
            self.written += ready!(Pin::new(&mut self.writer).poll_write(context, rest))?;
        }
        self.written = 0;
        self.bytes.clear();
        Poll::Ready(Ok(()))
    }

    /// Writes a shout at once where nothing is before it; else the connection's task will.
    fn shout(&mut self, shout: &[u8]) {
        let mut written = 0;
        if self.bytes.is_empty() {
            // What cannot be written now, for whatever reason, is left to that task.
            written = self.writer.try_write(shout).unwrap_or(0);
        }
        let rest = &shout[written..];
        self.bytes.extend_from_slice(rest);
        if !rest.is_empty()
            && let Some(task) = self.task.take()
        {
            task.wake();
        }
    }
}

/// Serves until it is dropped.
pub(crate) async fn serve(announce: impl FnOnce(u16)) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    announce(listener.local_addr()?.port());
    let crowd = Crowd::default();
    let mut connections = JoinSet::new();
    for id in 0.. {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let outbox = Arc::new(Mutex::new(Outbox {
            writer,
            bytes: Vec::new(),
            written: 0,
            task: None,
        }));
        lock(&crowd).insert(id, Arc::clone(&outbox));
        let crowd = Arc::clone(&crowd);
        connections.spawn(async move {
            // Why it ended the client tells.
            let _ = connection(reader, &outbox, &crowd).await;
            lock(&crowd).remove(&id);
        });
        while connections.try_join_next().is_some() {}
    }
    Ok(())
}

async fn connection(
    mut reader: OwnedReadHalf,
    outbox: &Mutex<Outbox>,
    crowd: &Crowd,
) -> Result<(), Failure> {
    let mut inbox = Inbox::new();
    let mut note = RawNote::default();
    let mut out = Vec::new();
    let mut tally = Tally::default();
    while next_bytes(&mut reader, &mut inbox, &mut out, outbox).await? > 0 {
        while let Some(frame) = inbox.next()? {
            match frame.kind {
                kind::ECHO => {
                    note.read(frame.body)?;
                    put(&mut out, kind::ECHO, frame.id, &note);
                }
                kind::NOTE => {
                    note.read(frame.body)?;
                    tally.add(note.number);
                }
                kind::TALLY => {
                    let Tally { count, sum } = tally;
                    put(&mut out, kind::TALLY, frame.id, &RawTally { count, sum });
                }
                kind::FEED => {
                    let feed = RawFeed::decode(frame.body).map_err(Failure::library)?;
                    note.data = data_of(feed.size as usize).to_vec();
                    for number in 0..feed.count {
                        note.number = number;
                        put(&mut out, kind::FEED, frame.id, &note);
                        if out.len() >= WRITE_LEN {
                            send(outbox, &mut out).await?;
                        }
                    }
                }
                kind::SHOUT => {
                    note.read(frame.body)?;
                    let mut shout = Vec::new();
                    put(&mut shout, kind::NOTE, 0, &note);
                    for outbox in lock(crowd).values() {
                        lock(outbox).shout(&shout);
                    }
                    put(&mut out, kind::SHOUT, frame.id, &RawTally::default());
                }
                other => {
                    return Err(Failure::Protocol(format!("there is no kind {other}")));
                }
            }
            if out.len() >= WRITE_LEN {
                send(outbox, &mut out).await?;
            }
        }
    }
    Ok(())
}

/// Writes all of it.
async fn send(outbox: &Mutex<Outbox>, out: &mut Vec<u8>) -> io::Result<()> {
    poll_fn(|context| lock(outbox).poll_send(out, context)).await
}

/// Writes what is there to be written, and what a broadcast queues meanwhile, until something was received.
async fn next_bytes(
    reader: &mut OwnedReadHalf,
    inbox: &mut Inbox,
    out: &mut Vec<u8>,
    outbox: &Mutex<Outbox>,
) -> io::Result<usize> {
    poll_fn(|context| {
        {
            let mut outbox = lock(outbox);
            if let Poll::Ready(sent) = outbox.poll_send(out, context) {
                sent?;
            }
            let waker = context.waker();
            if outbox
                .task
                .as_ref()
                .is_none_or(|task| !task.will_wake(waker))
            {
                outbox.task = Some(waker.clone());
            }
        }
        inbox.poll_fill(reader, context)
    })
    .await
}

/// Nothing panics while it holds one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
