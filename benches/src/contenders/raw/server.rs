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
use tokio::{io::AsyncWrite as _, task::JoinSet};

use super::{
    frame::{Inbox, RawFeed, RawNote, RawTally, WRITE_LEN, kind, put},
    way::{Listener, Reader, Way, Writer},
};

/// The receivers of broadcasts.
type Crowd = Arc<Mutex<HashMap<u64, Arc<Mutex<Outbox>>>>>;

/// What is to be written to one connection.
struct Outbox {
    writer: Writer,
    bytes: Vec<u8>,
    written: usize,
    /// Whether the stream has been flushed since: some hold back what they have taken.
    is_flushed: bool,
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
            self.is_flushed = false;
        }
        self.written = 0;
        self.bytes.clear();
        if !self.is_flushed {
            ready!(Pin::new(&mut self.writer).poll_flush(context))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes a shout at once where nothing is before it; else the connection's task will.
    fn shout(&mut self, shout: &[u8]) {
        let mut written = 0;
        if self.bytes.is_empty() && self.is_flushed {
            // What cannot be written now, for whatever reason, is left to that task.
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(Ok(len)) = Pin::new(&mut self.writer).poll_write(&mut context, shout)
            {
                written = len;
                let flushing = Pin::new(&mut self.writer).poll_flush(&mut context);
                self.is_flushed = matches!(flushing, Poll::Ready(Ok(())));
            }
        }
        let rest = &shout[written..];
        self.bytes.extend_from_slice(rest);
        if (!rest.is_empty() || !self.is_flushed)
            && let Some(task) = self.task.take()
        {
            task.wake();
        }
    }
}

/// Serves until it is dropped.
pub(crate) async fn serve(way: Way, announce: impl FnOnce(u16)) -> Result<(), Failure> {
    let listener = Listener::bind(way).await?;
    announce(listener.port()?);
    let crowd = Crowd::default();
    let mut connections = JoinSet::new();
    for id in 0.. {
        let accepted = listener.accept().await?;
        let crowd = Arc::clone(&crowd);
        connections.spawn(async move {
            // Why it ended the client tells.
            let Ok((reader, writer)) = accepted.open().await else {
                return;
            };
            let outbox = Arc::new(Mutex::new(Outbox {
                writer,
                bytes: Vec::new(),
                written: 0,
                is_flushed: true,
                task: None,
            }));
            lock(&crowd).insert(id, Arc::clone(&outbox));
            let _ = connection(reader, &outbox, &crowd).await;
            lock(&crowd).remove(&id);
        });
        while connections.try_join_next().is_some() {}
    }
    Ok(())
}

async fn connection(
    mut reader: Reader,
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
    reader: &mut Reader,
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
