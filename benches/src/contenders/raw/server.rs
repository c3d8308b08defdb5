//! The server: a task per connection, a write per read.

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Poll, Waker},
};

use msip_load::{Failure, Tally, data_of};
use prost::Message as _;
use tokio::{
    io::{AsyncWrite as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::frame::{Inbox, RawFeed, RawNote, RawTally, WRITE_LEN, kind, put};

/// Those who are told what anybody shouts: what is to be written to each, and the task that writes it.
type Crowd = Arc<Mutex<HashMap<u64, Arc<Mutex<Told>>>>>;

/// What one connection was told, and has not written.
#[derive(Debug, Default)]
struct Told {
    bytes: Vec<u8>,
    writer: Option<Waker>,
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
        let told = Arc::<Mutex<Told>>::default();
        lock(&crowd).insert(id, Arc::clone(&told));
        let crowd = Arc::clone(&crowd);
        connections.spawn(async move {
            // Why it ended the client tells.
            let _ = connection(stream, &told, &crowd).await;
            lock(&crowd).remove(&id);
        });
        while connections.try_join_next().is_some() {}
    }
    Ok(())
}

async fn connection(
    mut stream: TcpStream,
    told: &Mutex<Told>,
    crowd: &Crowd,
) -> Result<(), Failure> {
    let mut inbox = Inbox::new();
    let mut note = RawNote::default();
    let mut out = Vec::new();
    let mut tally = Tally::default();
    while next_bytes(&mut stream, &mut inbox, &mut out, told).await? > 0 {
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
                            stream.write_all(&out).await?;
                            out.clear();
                        }
                    }
                }
                kind::SHOUT => {
                    note.read(frame.body)?;
                    let mut shout = Vec::new();
                    put(&mut shout, kind::NOTE, 0, &note);
                    tell(crowd, &shout);
                    put(&mut out, kind::SHOUT, frame.id, &RawTally::default());
                }
                other => {
                    return Err(Failure::Protocol(format!("there is no kind {other}")));
                }
            }
            if out.len() >= WRITE_LEN {
                stream.write_all(&out).await?;
                out.clear();
            }
        }
    }
    Ok(())
}

/// Writes what is there to be written, and what the connection is told meanwhile, until something has come.
async fn next_bytes(
    stream: &mut TcpStream,
    inbox: &mut Inbox,
    out: &mut Vec<u8>,
    told: &Mutex<Told>,
) -> Result<usize, Failure> {
    let mut written = 0;
    let len = poll_fn(|context| {
        loop {
            if written == out.len() {
                out.clear();
                written = 0;
                let mut told = lock(told);
                std::mem::swap(&mut told.bytes, out);
                if out.is_empty() {
                    let waker = context.waker();
                    match &mut told.writer {
                        Some(writer) => writer.clone_from(waker),
                        None => told.writer = Some(waker.clone()),
                    }
                    break;
                }
            }
            match Pin::new(&mut *stream).poll_write(context, &out[written..]) {
                Poll::Ready(len) => written += len?,
                Poll::Pending => break,
            }
        }
        inbox.poll_fill(stream, context)
    })
    .await?;
    // What could not be written yet comes first the next time.
    out.drain(..written);
    Ok(len)
}

/// Tells everyone.
fn tell(crowd: &Crowd, shout: &[u8]) {
    let crowd = lock(crowd);
    for told in crowd.values() {
        let mut told = lock(told);
        told.bytes.extend_from_slice(shout);
        let writer = told.writer.take();
        drop(told);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

/// Nothing panics while it holds one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
